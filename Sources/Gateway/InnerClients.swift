// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Proxy
import RESP

/// The daemon's own questions: clients of a shard without a connection, each of which asks once.
struct InnerClients {
  /// What became of a reply.
  enum Taken {
    /// It is for a client with a connection.
    case notOne
    /// The rest of it is still to come.
    case more
    /// The question is answered with this, and its client is of no more use.
    case answered(RESPValue, EventLoopPromise<RESPValue>)
  }

  private struct Asked {
    let promise: EventLoopPromise<RESPValue>
    var received: [UInt8] = []
  }

  private var asked: [ClientID: Asked] = [:]

  /// What this client is to send.
  mutating func begin(
    _ id: ClientID, _ words: [String], _ promise: EventLoopPromise<RESPValue>
  ) -> [UInt8] {
    asked[id] = Asked(promise: promise)
    var request: [UInt8] = []
    request.writeCommand(["HELLO", "3"])
    request.writeCommand(words)
    return request
  }

  /// Takes what the shard answers. The reply is the second: the first is that of `HELLO`.
  mutating func take(_ id: ClientID, _ bytes: [UInt8]) -> Taken {
    guard !asked.isEmpty, var one = asked[id] else { return .notOne }
    one.received += bytes
    asked[id] = one
    let limits = ScanLimits()
    let reply = one.received.withUnsafeBytes { bytes -> RESPValue? in
      guard let hello = try? RESPValue.parse(bytes, from: 0, limits: limits) else { return nil }
      return try? RESPValue.parse(bytes, from: hello.byteCount, limits: limits)?.value
    }
    guard let reply else { return .more }
    asked[id] = nil
    return .answered(reply, one.promise)
  }

  /// The shard closes this client; whom its question was for, if it is one of these.
  mutating func end(_ id: ClientID) -> EventLoopPromise<RESPValue>? {
    asked.removeValue(forKey: id)?.promise
  }

  /// All that are not answered.
  var ids: [ClientID] { Array(asked.keys) }
}
