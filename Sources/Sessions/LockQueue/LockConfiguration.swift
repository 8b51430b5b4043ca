// SPDX-License-Identifier: Apache-2.0

/// Bounds of the queue of locks.
public struct LockConfiguration: Sendable, Equatable {
  /// How long a lock is held without `TTL`.
  public var ttlMilliseconds: Int64 = 10_000
  /// Longest `TTL`, and longest `EXTEND`.
  public var ttlMillisecondsMax: Int64 = 3_600_000
  /// Longest `WAIT`.
  public var waitMillisecondsMax: Int64 = 600_000
  /// Attempts of one waiter without `RETRIES`.
  public var retries: Int64 = 50
  /// First pause between attempts at a lock that another host holds; it doubles up to ten times that.
  public var backoffMilliseconds: Int64 = 100
  /// Waiters for one lock.
  public var waitersPerLockMax = 1000
  /// Waiters of the host.
  public var waitersMax = 10_000
  /// Locks held by one process or connection.
  public var locksPerOwnerMax = 10_000

  /// The defaults.
  public init() {}
}

/// A lock's key in Redis.
public struct LockName: Hashable, Sendable {
  /// The key.
  public var key: [UInt8]
  /// The database of a framework driver's own lock; nil for those of native sessions.
  public var database: Int?

  /// A key in a database.
  public init(_ key: [UInt8], database: Int? = nil) {
    self.key = key
    self.database = database
  }
}

/// Whose a lock is.
public enum LockOwner: Hashable, Sendable {
  /// A process: its connections come and go.
  case process(UInt64)
  /// One connection.
  case connection(UInt64)
  /// Nobody whose end would be heard of: the lock ends with its time.
  case nobody
}

/// Who asks for something.
public struct LockClient: Sendable, Equatable {
  /// Its connection, by a name that no other connection ever had.
  public var connection: UInt64
  /// Which of its commands it is.
  public var position: UInt64
  /// Its process by the same rule; nil where that is not known.
  public var process: UInt64?
  /// For the operator's eyes; 0 where unknown.
  public var pid: Int32
  /// For the operator's eyes.
  public var uid: UInt32

  /// A client of these.
  public init(
    connection: UInt64, position: UInt64, process: UInt64?, pid: Int32 = 0, uid: UInt32 = 0
  ) {
    self.connection = connection
    self.position = position
    self.process = process
    self.pid = pid
    self.uid = uid
  }
}

/// What the queue of locks wants done.
public enum LockAction: Sendable, Equatable {
  /// Send this to the master; its reply goes to ``LockTable/answered(_:_:nowMilliseconds:random:)``.
  case call(ticket: UInt64, RedisCall)
  /// A lock that a framework's driver took was freed: its other waiters may try.
  case freed(LockName)
  /// Answer this client's command.
  case answer(connection: UInt64, position: UInt64, SessionReply)
}

/// Counts since the start.
public struct LockStatistics: Sendable, Equatable {
  /// Locks given.
  public var granted: UInt64 = 0
  /// Of these: from one client of this host to the next in one step.
  public var handedOver: UInt64 = 0
  /// Refused, or waited for in vain.
  public var busy: UInt64 = 0
  /// Freed because their owner was gone.
  public var freedByDeath: UInt64 = 0

  /// All zero.
  public init() {}
}

/// A lock as the operator sees it.
public struct LockView: Sendable, Equatable {
  /// Names it without giving the session away.
  public var handle: String
  /// The holder's process, 0 where unknown; nil where another host holds it.
  public var pid: Int32?
  /// The holder's user.
  public var uid: UInt32?
  /// How long it is still held, as far as this host knows.
  public var ttlMilliseconds: Int64
  /// Clients of this host that wait for it.
  public var waiters: Int
}
