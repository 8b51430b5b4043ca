// SPDX-License-Identifier: Apache-2.0
import Failover
import Gateway
import NIOSSL
import Proxy
import RESP
import SentinelMonitor
import Sessions
import Settings
import Systemd

/// A setting that cannot be put to work.
struct WiringError: Error, CustomStringConvertible {
  let description: String
}

/// The settings as each part wants them.
struct Wiring {
  let gateway: GatewayConfiguration
  let monitor: MonitorConfiguration
  let leastPriority: Priority

  init(settings: Settings) throws {
    let redisSecret = try Secret(
      username: settings.redis.username, file: settings.redis.passwordFile,
      key: "redis.passwordFile")
    let sentinelSecret = try Secret(
      username: settings.sentinel.username, file: settings.sentinel.passwordFile,
      key: "sentinel.passwordFile")
    let redisTLS = try Self.context(settings.redis.tls, key: "redis.tls")
    let sentinelTLS = try Self.context(settings.sentinel.tls, key: "sentinel.tls")

    try Self.checkOpened(settings.commands.open)
    var gateway = GatewayConfiguration(proxy: try Self.proxy(settings)) {
      redisSecret?.credentials()
    }
    gateway.shards = settings.pool.shards
    gateway.tcp = try settings.tcp.address.map {
      TCPListener(host: $0.host, port: $0.port, tls: try Self.frontContext(settings.tcp))
    }
    gateway.locks.ttlMilliseconds = Int64(settings.sessions.lockMilliseconds)
    gateway.connectTimeoutMilliseconds = Int64(settings.redis.connectTimeoutMilliseconds)
    gateway.tls = redisTLS.map {
      UpstreamTLS(context: $0, serverName: settings.redis.tls.serverName)
    }
    self.gateway = gateway

    monitor = MonitorConfiguration(
      mode: Self.mode(settings),
      sentinelCredentials: { sentinelSecret?.credentials() },
      redisCredentials: { redisSecret?.credentials() },
      sentinelTLS: sentinelTLS.map {
        .init(context: $0, serverName: settings.sentinel.tls.serverName)
      },
      redisTLS: redisTLS.map {
        .init(context: $0, serverName: settings.redis.tls.serverName)
      },
      timings: Self.timings(settings),
      earlyCutOver: Self.earlyCutOver(settings))
    leastPriority = Self.priority(settings.log.level)
  }

  private static func mode(_ settings: Settings) -> MonitorConfiguration.Mode {
    if let address = settings.redis.address {
      return .fixed(NodeAddress(host: address.host, port: address.port))
    }
    return .sentinels(
      addresses: settings.sentinel.addresses.map { NodeAddress(host: $0.host, port: $0.port) },
      masterName: settings.sentinel.master)
  }

  private static func timings(_ settings: Settings) -> MonitorConfiguration.Timings {
    var timings = MonitorConfiguration.Timings()
    timings.connectTimeoutMilliseconds = Int64(settings.sentinel.connectTimeoutMilliseconds)
    timings.queryTimeoutMilliseconds = Int64(settings.sentinel.queryTimeoutMilliseconds)
    timings.pollMilliseconds = Int64(settings.sentinel.pollMilliseconds)
    timings.waitMilliseconds = Int64(settings.failover.waitMilliseconds)
    timings.provisionalMilliseconds = Int64(settings.failover.provisionalMilliseconds)
    return timings
  }

  private static func earlyCutOver(_ settings: Settings) -> EarlyCutOver {
    switch settings.failover.earlyCutOver {
    case .never: .never
    case .crash: .crash
    case .always: .always
    }
  }

  private static func durability(_ settings: Settings) -> Durability {
    switch settings.durability.mode {
    case .async: .async
    case .replicated:
      .replicated(
        settings.durability.replicas.map { .count($0) } ?? .all,
        timeoutMilliseconds: Int64(settings.durability.timeoutMilliseconds))
    }
  }

  private static func driverLocks(_ settings: Settings.Locks) -> DriverLocks? {
    guard !settings.prefixes.isEmpty else { return nil }
    var locks = DriverLocks(prefixes: settings.prefixes.map { Array($0.utf8) })
    switch settings.scope {
    case .process: locks.isConnectionScope = false
    case .connection: locks.isConnectionScope = true
    }
    locks.waitMilliseconds = Int64(settings.holdMilliseconds)
    return locks
  }

  private static func repairs(_ settings: Settings.Repairs) -> Repairs? {
    guard !settings.ttlPrefixes.isEmpty || !settings.tombstonePrefixes.isEmpty else { return nil }
    var repairs = Repairs()
    repairs.ttlPrefixes = settings.ttlPrefixes.map { Array($0.utf8) }
    repairs.ttlSeconds = Int64(settings.ttlSeconds)
    repairs.tombstonePrefixes = settings.tombstonePrefixes.map { Array($0.utf8) }
    repairs.tombstoneSeconds = Int64(settings.tombstoneSeconds)
    return repairs
  }

  /// Where clients must give a password, and which.
  private static func guardEntrances(
    of proxy: inout ProxyConfiguration, _ settings: Settings
  ) throws {
    let socket = try Secret(
      username: nil, file: settings.listen.passwordFile, key: "listen.passwordFile")
    let tcp = try Secret(username: nil, file: settings.tcp.passwordFile, key: "tcp.passwordFile")
    // Only entrances that there are: clients of guarded ones are looked at again and again.
    if settings.listen.passwordFile != nil { proxy.guarded.insert(.socket) }
    if settings.tcp.address != nil { proxy.guarded.insert(.tcp) }
    proxy.password = { entrance in
      switch entrance {
      case .socket: socket?.credentials().password ?? ""
      case .tcp: tcp?.credentials().password ?? ""
      case .inside: ""
      }
    }
  }

  private static func sessions(_ settings: Settings.Sessions) -> SessionConfiguration {
    var sessions = SessionConfiguration()
    sessions.database = Int64(settings.database)
    sessions.prefix = settings.prefix ?? ""
    switch settings.idStorage {
    case .hashed: sessions.idStorage = .hashed
    case .plain: sessions.idStorage = .plain
    }
    sessions.idleSeconds = Int64(settings.idleSeconds)
    sessions.absoluteSeconds = Int64(settings.absoluteSeconds)
    sessions.slidingPercent = Int64(settings.slidingPercent)
    sessions.graceMilliseconds = Int64(settings.graceMilliseconds)
    sessions.confirmationMilliseconds = Int64(settings.confirmationMilliseconds)
    sessions.compressionBytesMin = settings.compressionBytes
    sessions.dataBytesMax = settings.dataBytes
    sessions.statisticsDays = Int64(settings.statisticsDays)
    sessions.scanKeysPerSecond = Int64(settings.scanKeysPerSecond)
    return sessions
  }

  /// Limits on all clients together are split over the shards.
  private static func proxy(_ settings: Settings) throws -> ProxyConfiguration {
    let shards = settings.pool.shards
    func share(_ limit: Int) -> Int { max(1, (limit + shards - 1) / shards) }
    var proxy = ProxyConfiguration()
    proxy.version = Holdfastd.version
    proxy.database = settings.redis.database
    proxy.databasesMax = max(proxy.databasesMax, settings.redis.database + 1)
    proxy.linksPerGroup = settings.pool.linksPerShard
    proxy.sparesMax = settings.pool.sparesPerShard
    proxy.leasesMax = settings.pool.leasedPerShard
    proxy.checkIdleMilliseconds = Int64(settings.pool.checkIdleMilliseconds)
    proxy.waitMilliseconds = Int64(settings.failover.waitMilliseconds)
    proxy.commandTimeoutMilliseconds = Int64(settings.redis.commandTimeoutMilliseconds)
    switch settings.replay {
    case .standard: proxy.replay = .standard
    case .strict: proxy.replay = .strict
    }
    proxy.durability = durability(settings)
    proxy.sessions = sessions(settings.sessions)
    proxy.driverLocks = driverLocks(settings.locks)
    proxy.repairs = repairs(settings.repairs)
    try guardEntrances(of: &proxy, settings)
    proxy.areKeyspaceEventsOpen = settings.commands.keyspaceEvents
    proxy.clientsMax = share(settings.limits.clients)
    proxy.requestLimits = ScanLimits(
      bulkBytesMax: settings.limits.requestBytes,
      elementsMax: settings.limits.requestArguments,
      frameBytesMax: settings.limits.requestBytes)
    proxy.inFlightPerClientMax = settings.limits.inFlightPerClient
    proxy.inFlightBytesPerClientMax = settings.limits.inFlightBytesPerClient
    proxy.inFlightMax = share(settings.limits.inFlightTotal)
    proxy.inFlightBytesMax = share(settings.limits.inFlightBytesTotal)
    proxy.outputBytesPerClientMax = settings.limits.outputBytesPerClient
    proxy.outputBytesMax = share(settings.limits.outputBytesTotal)
    proxy.idleClientMilliseconds = Int64(settings.limits.idleClientSeconds) * 1000
    switch settings.commands.profile {
    case .safe: proxy.opened = Set(settings.commands.open)
    case .permissive: proxy.opened = Set(CommandTable.standard.specs.map(\.name))
    }
    proxy.keysMax = settings.commands.keysMax
    proxy.access = try AccessWiring.policy(settings.access, share)
    return proxy
  }

  /// A name that is not in the table would open nothing, and nobody would notice.
  private static func checkOpened(_ names: [String]) throws {
    for name in names where !CommandTable.standard.specs.contains(where: { $0.name == name }) {
      throw WiringError(
        description: "commands.open: \(name) is no command; write CONFIG|SET for a subcommand")
    }
  }

  private static func priority(_ level: Settings.Log.Level) -> Priority {
    switch level {
    case .debug: .debug
    case .info: .info
    case .notice: .notice
    case .warning: .warning
    case .error: .error
    }
  }
}
