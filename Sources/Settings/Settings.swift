// SPDX-License-Identifier: Apache-2.0

/// What a `holdfastd` is told to do: typed, validated, complete. Made by ``load(file:environment:flags:)``.
///
/// A property's initial value is its default; ``KeyTable`` lists the keys and what each allows.
public struct Settings: Sendable, Equatable {
  /// The socket that apps connect to.
  public var listen = Listen()
  /// The listener for clients that cannot use it.
  public var tcp = TCP()
  /// Redis Sentinel, which names the master.
  public var sentinel = Sentinel()
  /// Redis itself.
  public var redis = Redis()
  /// Connections to the master.
  public var pool = Pool()
  /// What happens while there is no master.
  public var failover = Failover()
  /// Which commands are sent again after a connection was lost.
  public var replay = Replay.standard
  /// When a write is acknowledged.
  public var durability = Durability()
  /// Native sessions.
  public var sessions = Sessions()
  /// Locks that frameworks' drivers take by themselves.
  public var locks = Locks()
  /// What drivers get wrong, and is made good.
  public var repairs = Repairs()
  /// Bounds on what clients may take.
  public var limits = Limits()
  /// Which commands are open.
  public var commands = Commands()
  /// The graceful stop.
  public var access = Access()
  /// Figures for Prometheus.
  public var metrics = Metrics()
  /// The graceful stop.
  public var shutdown = Shutdown()
  /// What is logged.
  public var log = Log()

  /// All defaults; names no master yet.
  public init() {}
}

extension Settings {
  /// The socket that apps connect to.
  public struct Listen: Sendable, Equatable {
    /// Where the socket is; ignored where systemd hands over a socket.
    public var path = "/run/holdfast/holdfast.sock"
    /// The socket's permission bits.
    public var mode: UInt32 = 0o660
    /// The group that owns the socket; `nil`: the process' own.
    public var group: String?
    /// Connections that may wait to be accepted.
    public var backlog = 4096
    /// The file that holds the password of its clients; `nil`: none is asked for.
    public var passwordFile: String?

    /// All defaults.
    public init() {}
  }

  /// Redis Sentinel, which names the master.
  public struct Sentinel: Sendable, Equatable {
    /// Sentinels to begin with; others are discovered. Empty in single-Redis mode.
    public var addresses: [HostPort] = []
    /// The master's name in `sentinel monitor`.
    public var master = ""
    /// ACL user at the sentinels; `nil`: the default user.
    public var username: String?
    /// The file that holds the sentinels' password.
    public var passwordFile: String?
    /// TLS to the sentinels.
    public var tls = TLS()
    /// How long to connect may take.
    public var connectTimeoutMilliseconds = 500
    /// How long an answer may take.
    public var queryTimeoutMilliseconds = 500
    /// The pause between two queries of a sentinel while nothing happens.
    public var pollMilliseconds = 1650

    /// All defaults.
    public init() {}
  }

  /// Redis itself.
  public struct Redis: Sendable, Equatable {
    /// A single fixed Redis, followed without Sentinel; `nil`: Sentinel names it.
    public var address: HostPort?
    /// The database of a connection that has not sent `SELECT`.
    public var database = 0
    /// ACL user at Redis; `nil`: the default user.
    public var username: String?
    /// The file that holds Redis' password.
    public var passwordFile: String?
    /// TLS to Redis.
    public var tls = TLS()
    /// How long to connect may take, authentication included.
    public var connectTimeoutMilliseconds = 1000
    /// How long a reply may take before the connection is given up.
    public var commandTimeoutMilliseconds = 5000

    /// All defaults.
    public init() {}
  }

  /// TLS of one kind of connection.
  public struct TLS: Sendable, Equatable {
    /// Whether TLS is used.
    public var enabled = false
    /// PEM file of the authorities to trust; `nil`: the system's.
    public var caFile: String?
    /// PEM file of the client certificate chain; `nil`: none is shown.
    public var certificateFile: String?
    /// PEM file of the client certificate's key.
    public var keyFile: String?
    /// The name that certificates must carry; `nil`: the host connected to.
    public var serverName: String?
    /// What of the server's certificate is checked.
    public var verify = Verification.full

    /// All defaults: no TLS.
    public init() {}

    /// What of a server's certificate is checked.
    public enum Verification: String, Sendable, CaseIterable {
      /// The chain and the name.
      case full
      /// The chain alone.
      case ca
      /// Nothing: for tests only.
      case none
    }
  }

  /// Connections to the master.
  public struct Pool: Sendable, Equatable {
    /// Event loops that serve clients.
    public var shards = 1
    /// Shared connections to the master per shard and database.
    public var linksPerShard = 2
    /// Idle connections kept ready for transactions, blocking commands and subscriptions, per shard.
    public var sparesPerShard = 4
    /// The most connections leased to single clients at a time, per shard.
    public var leasedPerShard = 64
    /// After how long without traffic a connection is checked with `PING`.
    public var checkIdleMilliseconds = 5000

    /// All defaults.
    public init() {}
  }

  /// What happens while there is no master.
  public struct Failover: Sendable, Equatable {
    /// How long a request waits for a verified master before it fails with `NOMASTER`.
    public var waitMilliseconds = 15000
    /// Which promotions are followed before a sentinel announces them.
    public var earlyCutOver = EarlyCutOver.always
    /// How long such a promotion takes writes without a sentinel's word.
    public var provisionalMilliseconds = 3000

    /// All defaults.
    public init() {}
  }

  /// Which promotions are followed before a sentinel announces them.
  public enum EarlyCutOver: String, Sendable, CaseIterable {
    /// None.
    case never
    /// Those after a quorum took the master for down.
    case crash
    /// Also planned ones.
    case always
  }

  /// When a write is acknowledged.
  public struct Durability: Sendable, Equatable {
    /// What an acknowledgement means.
    public enum Mode: String, Sendable, CaseIterable {
      /// The master has the write.
      case async
      /// Replicas have it too.
      case replicated
    }

    /// What an acknowledgement means.
    public var mode = Mode.async
    /// Replicas that must have a write; nil: all that can be promoted.
    public var replicas: Int?
    /// How long they may take, then the write answers `UNREPLICATED`.
    public var timeoutMilliseconds = 1000

    /// All defaults.
    public init() {}
  }

  /// Which commands are sent again after their connection was lost.
  public enum Replay: String, Sendable, CaseIterable {
    /// Those whose effect repeats, even where a second reply may differ.
    case standard
    /// Only those whose effect and reply do not depend on what was there before.
    case strict
  }

  /// Bounds on what clients may take; global ones are split over the shards.
  public struct Limits: Sendable, Equatable {
    /// Connections from apps at a time.
    public var clients = 10_000
    /// The size of one request.
    public var requestBytes = 64 * 1024 * 1024
    /// The arguments of one request, its name included.
    public var requestArguments = 1_048_576
    /// Unanswered requests of one client.
    public var inFlightPerClient = 1024
    /// Bytes of one client's unanswered requests.
    public var inFlightBytesPerClient = 64 * 1024 * 1024
    /// Unanswered requests of all clients.
    public var inFlightTotal = 100_000
    /// Bytes of all clients' unanswered requests.
    public var inFlightBytesTotal = 256 * 1024 * 1024
    /// Replies that a client has not read yet.
    public var outputBytesPerClient = 64 * 1024 * 1024
    /// Replies that all clients together have not read yet.
    public var outputBytesTotal = 256 * 1024 * 1024
    /// After how long without traffic a client is disconnected; 0: never.
    public var idleClientSeconds = 0

    /// All defaults.
    public init() {}
  }

  /// Which commands are open.
  public struct Commands: Sendable, Equatable {
    /// How much is let through.
    public enum Profile: String, Sendable, CaseIterable {
      /// Nothing dangerous, but for what ``Commands/open`` names.
      case safe
      /// Whatever a plain Redis allows and a shared connection can bear.
      case permissive
    }

    /// How much is let through.
    public var profile = Profile.safe
    /// Commands, refused by default, that are let through: upper case, subcommands as `CONFIG|SET`.
    public var open: [String] = []
    /// The most keys that `KEYS` answers with.
    public var keysMax = 10_000
    /// Whether apps may set `notify-keyspace-events`.
    public var keyspaceEvents = false

    /// All defaults.
    public init() {}
  }

  /// The graceful stop.
  public struct Shutdown: Sendable, Equatable {
    /// How long requests in flight may take to finish.
    public var drainMilliseconds = 5000

    /// All defaults.
    public init() {}
  }

  /// What is logged.
  public struct Log: Sendable, Equatable {
    /// The least important level that is logged.
    public var level = Level.info

    /// All defaults.
    public init() {}

    /// How important a message is.
    public enum Level: String, Sendable, CaseIterable {
      /// For whoever works on Holdfast.
      case debug
      /// What happens.
      case info
      /// What an operator should know.
      case notice
      /// What may become a failure.
      case warning
      /// What failed.
      case error
    }
  }
}

/// A host, by name or address, and a TCP port.
public struct HostPort: Sendable, Hashable, CustomStringConvertible {
  /// A name, an IPv4 address, or an IPv6 address without brackets.
  public var host: String
  /// 1 to 65535.
  public var port: Int

  /// A host and a port, unchecked.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port` or `[v6]:port`; `nil` for anything else.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      guard host.contains(":"), host.utf8.allSatisfy(Self.isAddressByte) else { return nil }
    } else {
      guard host.utf8.allSatisfy(Self.isNameByte) else { return nil }
    }
    guard
      !host.isEmpty, host.utf8.count <= 253, digits.utf8.allSatisfy({ 48...57 ~= $0 }),
      let port = Int(digits), 1...65535 ~= port
    else { return nil }
    self.init(host: String(host), port: port)
  }

  /// As it is read: `host:port`, `[v6]:port`.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"):
      true
    default: false
    }
  }

  /// An IPv6 address may end in an IPv4 address or a zone.
  private static func isAddressByte(_ byte: UInt8) -> Bool {
    isNameByte(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "%")
  }
}
