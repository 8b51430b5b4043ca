// SPDX-License-Identifier: Apache-2.0
import RESP
import Sessions

/// What a shard is allowed to hold, wait for and retry. Every limit is this shard's part.
public struct ProxyConfiguration: Sendable {
  /// Whether settling commands are sent again after a lost connection.
  public enum ReplayPolicy: Sendable, Equatable {
    /// Settling commands are sent again.
    case standard
    /// Settling commands answer `UNCERTAIN`.
    case strict
  }

  /// Database of a connection that selects none.
  public var database = 0
  /// Databases a client may select: 0 ..< this.
  public var databasesMax = 16
  /// Multiplexed links a database and protocol version.
  public var linksPerGroup = 2
  /// Spare connections kept warm for pinned use.
  public var sparesMax = 4
  /// Connections leased to clients at one time.
  public var leasesMax = 64
  /// How long a request may wait for a master.
  public var waitMilliseconds: Int64 = 15_000
  /// How long a link may make no progress before it is given up.
  public var commandTimeoutMilliseconds: Int64 = 5_000
  /// How long a link may be idle before it is checked with a `PING`.
  public var checkIdleMilliseconds: Int64 = 5_000
  /// What is sent again.
  public var replay = ReplayPolicy.standard
  /// When a write is acknowledged, on a connection that says nothing else.
  public var durability = Durability.async
  /// Clients at one time.
  public var clientsMax = 10_000
  /// Lengths of requests.
  public var requestLimits = ScanLimits()
  /// Lengths of replies.
  public var replyLimits = ScanLimits(elementsMax: 1 << 30, lineBytesMax: 1 << 20)
  /// Commands of one client without a reply; above it the client is not read.
  public var inFlightPerClientMax = 1024
  /// Bytes of one client's commands without a reply; above it the client is not read.
  public var inFlightBytesPerClientMax = 16 << 20
  /// Commands of all clients without a reply; above it commands answer `OVERLOADED`.
  public var inFlightMax = 100_000
  /// Bytes of all clients' commands without a reply, unfinished requests included.
  public var inFlightBytesMax = 256 << 20
  /// Replies a client has not read; above it the client is cut off.
  public var outputBytesPerClientMax = 64 << 20
  /// Replies that all clients together have not read; above it the one that reads least is cut off.
  public var outputBytesMax = 256 << 20
  /// How long a client may be idle before it is closed; 0: for ever.
  public var idleClientMilliseconds: Int64 = 0
  /// Refused commands that are opened, in upper case.
  public var opened: Set<String> = []
  /// Keys that `KEYS` answers before it is refused.
  public var keysMax = 10_000
  /// Scripts remembered for a new master, and their bytes.
  public var scriptsMax = 256
  /// Bytes of all remembered scripts.
  public var scriptBytesMax = 4 << 20
  /// What the settings say about native sessions.
  public var sessions = SessionConfiguration()
  /// Locks that frameworks' drivers take by themselves; nil: not looked at.
  public var driverLocks: DriverLocks?
  /// Ended sessions that no replica has confirmed; older ones are no longer denied where there are more.
  public var denialsMax = 10_000
  /// Where clients must give a password.
  public var guarded: Set<Entrance> = []
  /// That password, asked for each time it is needed, so that a changed one counts at once.
  public var password: @Sendable (Entrance) -> String = { _ in "" }
  /// Whether apps may set `notify-keyspace-events`, which each new master is then told.
  public var areKeyspaceEventsOpen = false
  /// What drivers get wrong and is made good; nil: nothing.
  public var repairs: Repairs?
  /// Who may do what; nil: everyone everything.
  public var access: AccessPolicy?
  /// The daemon's version, for `INFO` and `HELLO`.
  public var version = "0.1.0"

  /// The defaults.
  public init() {}
}

/// The process at the other end of a client's socket.
public struct Peer: Sendable, Equatable {
  /// Process id, 0 where unknown.
  public let pid: Int32
  /// User id.
  public let uid: UInt32
  /// Group id.
  public let gid: UInt32

  /// Names the process for as long as it lives; nil where it cannot be watched.
  public let processKey: UInt64?

  /// Groups besides its own, where a rule asks for them.
  public let groups: [UInt32]

  /// A peer's credentials as the kernel gives them.
  public init(
    pid: Int32, uid: UInt32, gid: UInt32, processKey: UInt64? = nil, groups: [UInt32] = []
  ) {
    self.processKey = processKey
    self.groups = groups
    self.pid = pid
    self.uid = uid
    self.gid = gid
  }
}
