// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab

/// One entry of `HOLDFAST.FAILOVERS`.
struct FailoverRecord: Sendable, CustomStringConvertible {
  let fields: [String: RESPValue]

  func text(_ name: String) -> String? { fields[name]?.text }
  func number(_ name: String) -> Int64? { fields[name]?.integerValue }

  /// The steps that happened, in the order in which they must happen, with their time in milliseconds.
  var steps: [(name: String, milliseconds: Int64)] {
    ["odown", "fenced", "selected", "promotion-seen", "cut-over", "confirmed", "ended"]
      .compactMap { name in number("\(name)-ms").map { (name, $0) } }
  }

  var description: String {
    fields.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

extension Daemon {
  /// `HOLDFAST.FAILOVERS`, the oldest first.
  func failovers() async throws -> [FailoverRecord] {
    let client = try await connect()
    try await client.command("HELLO", "3")
    let reply = try await client.command("HOLDFAST.FAILOVERS")
    guard let elements = reply.elements else {
      throw LabError.failed("HOLDFAST.FAILOVERS: \(reply)")
    }
    return elements.reversed().map { FailoverRecord(fields: $0.dictionary ?? [:]) }
  }

  /// The first failover, once it is over.
  func firstFailover() async throws -> FailoverRecord {
    try await eventually("end of the first failover", within: 40_000, every: 50) {
      guard let first = try await self.failovers().first, first.text("outcome") != "underway"
      else { return nil }
      return first
    }
  }
}
