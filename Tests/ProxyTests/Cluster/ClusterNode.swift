// SPDX-License-Identifier: Apache-2.0
import Failover

@testable import Proxy

/// A Redis of the modelled cluster: role, data and replication history.
final class ClusterNode {
  let server: FakeMaster
  private(set) var isAlive = true
  /// The node that it copies; nil for a master.
  private(set) var master: Int?
  private var history: String
  private var formerHistory = ""
  private var formerEnd = -1
  private var lives = 0
  /// Since when it is no master any more.
  private(set) var demotedMilliseconds: Int64 = .min
  /// What it held a moment ago, for replicas that lag.
  private var past: [(time: Int64, values: [Int: [String: String]], executed: [String])] = []

  init(port: Int, master: Int?) {
    server = FakeMaster(port: port, runID: "run-\(port)-0")
    self.master = master
    history = "history-\(master ?? port)"
    server.role = master == nil ? "master" : "slave"
  }

  var port: Int { server.port }
  var address: NodeAddress { NodeAddress(host: "127.0.0.1", port: port) }
  var isMaster: Bool { master == nil }
  var offset: Int { server.store.executed.count }
  var isResponsive: Bool { isAlive && !server.isFrozen }

  func identity(replicas: Int) -> NodeIdentity {
    NodeIdentity(
      role: server.role, runID: server.runID, offset: UInt64(offset), replicationID: history,
      secondReplicationID: formerHistory, secondOffset: Int64(formerEnd),
      master: master.map { NodeAddress(host: "127.0.0.1", port: $0) },
      isLinkedToMaster: master != nil, replicaCount: replicas)
  }

  // MARK: Replication

  func remember(at now: Int64) {
    past.append((now, server.store.values, server.store.executed))
    if past.count > 200 { past.removeFirst(100) }
  }

  /// Takes what its master held so long ago.
  func copy(_ other: ClusterNode, lagMilliseconds: Int64, at now: Int64) {
    guard lagMilliseconds > 0 else {
      server.store.values = other.server.store.values
      server.store.executed = other.server.store.executed
      history = other.history
      return
    }
    guard let state = other.past.last(where: { $0.time <= now - lagMilliseconds }) else { return }
    server.store.values = state.values
    server.store.executed = state.executed
    history = other.history
  }

  // MARK: What happens to it

  /// `REPLICAOF NO ONE` by Sentinel, which also ends all connections of clients.
  func promote() {
    guard !isMaster else { return }
    formerHistory = history
    formerEnd = offset + 1
    history = "history-\(port)-\(lives)-\(offset)"
    become(nil)
  }

  func follow(_ port: Int, at now: Int64) {
    guard port != self.port, master != port else { return }
    if isMaster { demotedMilliseconds = now }
    become(port)
  }

  private func become(_ master: Int?) {
    self.master = master
    server.role = master == nil ? "master" : "slave"
    past = []
    for connection in server.readyConnections { connection.end() }
  }

  func kill() {
    isAlive = false
    server.isFrozen = false
    for connection in server.readyConnections { connection.end() }
  }

  /// Comes back as what its configuration says.
  func restart() {
    guard !isAlive else { return }
    isAlive = true
    lives += 1
    server.runID = "run-\(port)-\(lives)"
    server.scripts = []
  }
}

/// A sentinel of the modelled cluster: what it believes, and how far its failover is.
final class ClusterSentinel {
  let number: Int
  var isAlive = true
  var epoch: UInt64 = 1
  var master: Int
  /// It leads a failover.
  var state: String?
  var isForced = false
  var seesDown = false
  /// It tells an older state of things than it knows.
  var stale: (epoch: UInt64, master: Int)?
  /// Steps of an earlier failover do nothing any more.
  var failovers = 0

  init(number: Int, master: Int) {
    self.number = number
    self.master = master
  }

  var address: NodeAddress { NodeAddress(host: "sentinel-\(number)", port: 26_379) }

  func record() -> MasterRecord {
    var flags: InstanceFlags = []
    if state != nil { flags.insert(.failoverInProgress) }
    if state != nil, isForced { flags.insert(.forcedFailover) }
    if seesDown { flags.formUnion([.subjectivelyDown, .objectivelyDown]) }
    return MasterRecord(
      configEpoch: stale?.epoch ?? epoch, flags: flags, failoverState: state, quorum: 2,
      otherSentinels: 2)
  }
}
