// SPDX-License-Identifier: Apache-2.0
// README
import HoldfastClient
import HoldfastClientCodable

struct Visitor: Codable, Sendable {
  var visits = 0
}

func visit(_ holdfast: HoldfastClient, _ id: SessionID?) async throws -> SessionID? {
  let session = RequestScope(holdfast, id: id)
  var visitor = try await session.value(Visitor.self) ?? Visitor()
  visitor.visits += 1
  try await session.setValue(visitor)
  return try await session.finish()
}
