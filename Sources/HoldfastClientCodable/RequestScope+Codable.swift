// SPDX-License-Identifier: Apache-2.0
import Foundation
import HoldfastClient

extension RequestScope {
  /// The session's data as a value; nil where there is no session.
  public func value<Value: Decodable & Sendable>(_ type: Value.Type) async throws -> Value? {
    guard let data = try await data() else { return nil }
    return try JSONDecoder().decode(type, from: Data(data))
  }

  /// What is to be in the session from now on, as JSON with sorted keys, so that what did not change looks the same.
  public func setValue(_ value: some Encodable & Sendable) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    set([UInt8](try encoder.encode(value)))
  }
}
