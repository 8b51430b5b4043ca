// SPDX-License-Identifier: Apache-2.0

/// What a topology looks like.
public struct TopologyOptions: Sendable {
  /// Replicas beside the master.
  public var replicas = 2
  /// Sentinels; 0 for none.
  public var sentinels = 3
  /// How many sentinels must agree that the master is down.
  public var quorum = 2
  /// After how long without an answer a sentinel takes a node for down.
  public var downAfterMilliseconds = 500
  /// Sentinel's failover-timeout.
  public var failoverTimeoutMilliseconds = 5000
  /// The name that the sentinels monitor the master under.
  public var masterName = "mymaster"
  /// `requirepass` and `masterauth` of all Redis nodes.
  public var password: String?
  /// `requirepass` of all sentinels.
  public var sentinelPassword: String?
  /// Whether Redis nodes write an append-only file, so that data survives a kill and a restart.
  public var appendOnly = false
  /// Whether a ``Relay`` stands in front of each Redis node and each sentinel, and all (each other
  /// included) know them by the relays' ports alone.
  public var relayed = false
  /// More lines for each Redis node's configuration, such as `maxmemory 10mb`.
  public var extraRedis: [String] = []
  /// More lines for each sentinel's configuration.
  public var extraSentinel: [String] = []

  /// One master, two replicas, three sentinels.
  public init() {}

  /// The defaults with changes.
  public init(_ change: (inout TopologyOptions) -> Void) {
    change(&self)
  }

  func redisConfiguration(announcedPort: Int, replicaOf master: Int?) -> [String] {
    var lines = [
      "save \"\"", "appendonly \(appendOnly ? "yes" : "no")",
      // By default a write may be answered before it reaches the file, while the disk is busy.
      "appendfsync always", "repl-diskless-sync-delay 0",
      "tcp-backlog 511", "replica-announce-ip 127.0.0.1", "replica-announce-port \(announcedPort)",
      // Replicas find out soon that a frozen or cut-off master is gone.
      "repl-ping-replica-period 1",
    ]
    if let password { lines += ["requirepass \(password)", "masterauth \(password)"] }
    if let master { lines.append("replicaof 127.0.0.1 \(master)") }
    return lines + extraRedis
  }

  /// What each sentinel is told of the others at its start saves the seconds of finding them.
  func sentinelConfiguration(
    announcedPort: Int, id: String, others: [(id: String, port: Int)], ports: [Int]
  ) -> [String] {
    var lines = [
      "sentinel myid \(id)", "sentinel announce-ip 127.0.0.1",
      "sentinel announce-port \(announcedPort)",
      "sentinel monitor \(masterName) 127.0.0.1 \(ports[0]) \(quorum)",
      "sentinel down-after-milliseconds \(masterName) \(downAfterMilliseconds)",
      "sentinel failover-timeout \(masterName) \(failoverTimeoutMilliseconds)",
      "sentinel parallel-syncs \(masterName) 1",
    ]
    if let password { lines.append("sentinel auth-pass \(masterName) \(password)") }
    if let sentinelPassword {
      lines += ["requirepass \(sentinelPassword)", "sentinel sentinel-pass \(sentinelPassword)"]
    }
    for port in ports.dropFirst() {
      lines.append("sentinel known-replica \(masterName) 127.0.0.1 \(port)")
    }
    for other in others {
      lines.append("sentinel known-sentinel \(masterName) 127.0.0.1 \(other.port) \(other.id)")
    }
    return lines + extraSentinel
  }
}
