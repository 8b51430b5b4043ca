// SPDX-License-Identifier: Apache-2.0

/// The names of Redis' keys. Scripts build the same names from the prefix, where they find users and
/// sessions by themselves; that, and one key set for several keys, is for a Redis that is no cluster.
public struct SessionKeys: Sendable, Equatable {
  /// What all keys begin with.
  public let prefix: [UInt8]
  /// What a session's key begins with: it is made for nearly every command.
  private let sessionPrefix: [UInt8]

  /// Keys under this prefix.
  public init(prefix: String) {
    self.prefix = Array(prefix.utf8)
    sessionPrefix = self.prefix + Array("session:".utf8)
  }

  /// The hash that holds a session, by its stored id ``SessionID/stored(as:)``.
  public func session(_ stored: [UInt8]) -> [UInt8] { sessionPrefix + stored }
  /// The lock of a session: a string, the owner's token, with a TTL.
  public func lock(_ stored: [UInt8]) -> [UInt8] { key("lock:session:", stored) }
  /// A user's sessions: a sorted set of ``IndexMember`` by absolute deadline.
  public func index(ofUser user: [UInt8]) -> [UInt8] { key("user:", user, ":sessions") }
  /// A user's epoch.
  public func epoch(ofUser user: [UInt8]) -> [UInt8] { key("user:", user, ":epoch") }
  /// Living sessions: a sorted set of stored ids by expiry.
  public var active: [UInt8] { key("sessions:active", []) }
  /// Logins of a day, written `YYYY-MM-DD`.
  public func logins(on day: String) -> [UInt8] { key("stats:logins:", Array(day.utf8)) }
  /// The answer that a command once gave, for its second run.
  public func once(_ nonce: [UInt8]) -> [UInt8] { key("once:", nonce) }

  /// Whether a key is one of Holdfast's own.
  func isOwn(_ key: [UInt8]) -> Bool {
    let own = ["session:", "sessions:", "lock:session:", "user:", "stats:", "once:"]
    return own.contains { key.starts(with: prefix + Array($0.utf8)) }
  }

  private func key(_ first: String, _ name: [UInt8], _ last: String = "") -> [UInt8] {
    var key: [UInt8] = []
    key.reserveCapacity(prefix.count + first.utf8.count + name.count + last.utf8.count)
    key += prefix
    key += first.utf8
    key += name
    key += last.utf8
    return key
  }
}
