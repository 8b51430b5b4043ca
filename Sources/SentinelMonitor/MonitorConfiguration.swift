// SPDX-License-Identifier: Apache-2.0

public import Failover
public import NIOSSL
public import RESP

/// TLS towards sentinels or Redis nodes.
public struct TLS: Sendable {
  /// Certificates and their verification.
  public var context: NIOSSLContext
  /// The name that certificates must carry; nil: the host name connected to.
  public var serverName: String?

  /// Makes TLS settings.
  public init(context: NIOSSLContext, serverName: String?) {
    self.context = context
    self.serverName = serverName
  }
}

/// What a `SentinelMonitor` watches, and how.
public struct MonitorConfiguration: Sendable {
  /// Where the master comes from.
  public enum Mode: Sendable {
    /// Sentinels decide; these are the first ones to ask, and are never dropped.
    case sentinels(addresses: [NodeAddress], masterName: String)
    /// One fixed Redis, for development and small sites.
    case fixed(NodeAddress)
  }

  /// Times, all in milliseconds.
  public struct Timings: Sendable {
    /// Resolving a name and connecting.
    public var connectTimeoutMilliseconds: Int64 = 500
    /// One pipeline of queries to a sentinel, and AUTH.
    public var queryTimeoutMilliseconds: Int64 = 500
    /// `INFO` and `ROLE` of a node; a node slower than this is not used meanwhile.
    public var probeTimeoutMilliseconds: Int64 = 500
    /// Between polls while all is well, plus or minus 20 %.
    public var pollMilliseconds: Int64 = 1650
    /// Between polls while something is going on, plus or minus 20 %.
    public var urgentPollMilliseconds: Int64 = 100
    /// Between pings of a subscription, at least.
    public var subscriptionPingMilliseconds: Int64 = 700
    /// A subscription is closed when a ping was not answered for so long.
    public var subscriptionSilenceMilliseconds: Int64 = 2500
    /// The longest wait before a failed connection is tried again.
    public var backoffMaxMilliseconds: Int64 = 2000
    /// The wait after credentials were refused.
    public var refusedBackoffMilliseconds: Int64 = 5000
    /// How long the condition "no failover can come" must hold before requests fail fast.
    public var hopelessAfterMilliseconds: Int64 = 1500
    /// How long a promoted replica takes writes before a sentinel has named it.
    public var provisionalMilliseconds: Int64 = 3000
    /// How long a failover's leader that cannot be reached is waited for, while writes wait.
    public var waitMilliseconds: Int64 = 15_000

    /// The defaults.
    public init() {}
  }

  /// Where the master comes from.
  public var mode: Mode
  /// Read again at each connect to a sentinel; nil: no AUTH.
  public var sentinelCredentials: @Sendable () -> Credentials?
  /// Read again at each connect to a Redis node; nil: no AUTH.
  public var redisCredentials: @Sendable () -> Credentials?
  /// TLS towards sentinels; nil: plain TCP.
  public var sentinelTLS: TLS?
  /// TLS towards Redis nodes; nil: plain TCP.
  public var redisTLS: TLS?
  /// Times.
  public var timings: Timings
  /// Whether a promoted replica is used before a sentinel names it.
  public var earlyCutOver: EarlyCutOver

  /// A configuration without credentials and TLS, unless given.
  public init(
    mode: Mode,
    sentinelCredentials: @escaping @Sendable () -> Credentials? = { nil },
    redisCredentials: @escaping @Sendable () -> Credentials? = { nil },
    sentinelTLS: TLS? = nil,
    redisTLS: TLS? = nil,
    timings: Timings = Timings(),
    earlyCutOver: EarlyCutOver = .always
  ) {
    self.mode = mode
    self.sentinelCredentials = sentinelCredentials
    self.redisCredentials = redisCredentials
    self.sentinelTLS = sentinelTLS
    self.redisTLS = redisTLS
    self.timings = timings
    self.earlyCutOver = earlyCutOver
  }
}
