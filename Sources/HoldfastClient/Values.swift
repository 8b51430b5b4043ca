// SPDX-License-Identifier: Apache-2.0
import RESP

/// A session's id: what the cookie carries. It prints nothing of itself.
public struct SessionID: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
  /// Its text.
  public let text: String

  /// Nil for what Holdfast cannot have made: 64 lower-case hex digits are an id.
  public init?(_ text: String) {
    guard text.utf8.count == 64,
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { return nil }
    self.text = text
  }

  /// Says what it is, and no more.
  public var description: String { "SessionID" }
  /// No children.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// Proves that a lock is held. It prints nothing of itself.
public struct LockToken: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
  let text: String

  /// Says what it is, and no more.
  public var description: String { "LockToken" }
  /// No children.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A lock that is held.
public struct SessionLock: Sendable {
  /// For `set`, `extend` and `unlock`.
  public let token: LockToken
  /// Rises with each grant of this lock, across failovers too.
  public let fencing: Int64
}

/// A session as it was read.
public struct Session: Sendable, Equatable {
  /// What the app keeps in it.
  public var data: [UInt8]
  /// Of the data; each write makes another one.
  public var version: Int64
  /// Whose it is, once logged in.
  public var user: String?
  /// Until it ends unless it is used, in milliseconds.
  public var ttlMilliseconds: Int64
  /// The id to be used from now on, where it was regenerated a moment ago.
  public var newID: SessionID?
}

/// A session in a user's list.
public struct SessionRow: Sendable, Equatable {
  /// Names it for `kill`; no credential.
  public var handle: String
  /// When it was made, in milliseconds since 1970.
  public var createdMilliseconds: Int64
  /// When it was last used.
  public var seenMilliseconds: Int64
  /// Until it ends unless it is used.
  public var ttlMilliseconds: Int64
  /// The address that it was made from, if told.
  public var address: String?
  /// What the app said of it.
  public var meta: String?
}

/// Whether an end survives a failover.
public enum Confirmation: String, Sendable {
  /// A replica has it.
  case confirmed
  /// Denied on this host, and tried until a replica has it.
  case pending
}

/// What an end did.
public struct Ended: Sendable, Equatable {
  /// Sessions ended.
  public var count: Int
  /// See ``Confirmation``.
  public var confirmation: Confirmation
}
