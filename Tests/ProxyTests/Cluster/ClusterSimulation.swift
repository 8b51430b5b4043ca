// SPDX-License-Identifier: Apache-2.0
import Failover
import Foundation
import RESP
import Testing

@testable import Proxy

/// The real tracker and the real data path, with its fence, links and retries, in a modelled cluster where everything
/// goes wrong that a seed can think of. Nothing that was acknowledged may be lost: replicas are up to date in a crash,
/// and lag by less than 0.1 s in a planned failover.
final class ClusterSimulation {
  enum Fault: CaseIterable {
    case planned, kill, killAndReturn, freeze, leaderDies, sentinelDown, cutLinks, clog, cutOff
    case forged, stale
  }

  let cluster: Cluster
  private var clients: [SimulatedClient] = []
  private let isCrashing: Bool
  private var lastEpoch: UInt64 = 0

  init(seed: UInt64) {
    isCrashing = seed % 3 != 0
    cluster = Cluster(seed: seed, lagMilliseconds: isCrashing ? 0 : Int64(seed % 60)) {
      $0.linksPerGroup = 1 + Int(seed % 2)
      $0.sparesMax = 2
      $0.leasesMax = 8
      $0.inFlightPerClientMax = 30
      $0.inFlightMax = 150
    }
    for number in 1...5 {
      clients.append(SimulatedClient(number, cluster.rig.connect(), usesLeases: false))
    }
  }

  var problems: [String] {
    cluster.problems
      + clients.flatMap { client in
        client.problems.filter { !cluster.hasAbandoned || !isLoss($0) }
          .map { "client \(client.number): \($0)" }
      }
  }

  private func isLoss(_ problem: String) -> Bool {
    ["lost", "INCR gave", "not one of", "count "].contains { problem.contains($0) }
  }

  func run() {
    for _ in 0..<3 { plan() }
    let end = cluster.now + 9_000
    while cluster.now < end, problems.isEmpty { step(isTalking: true) }
    heal()
    check()
  }

  private func step(isTalking: Bool) {
    if isTalking, cluster.random.chance(30) { talk() }
    cluster.step()
    for client in clients { client.receive() }
    checkLimits()
  }

  private func talk() {
    guard let client = clients.randomElement(using: &cluster.random) else { return }
    if client.awaited.count < 25, client.connection.isReading { client.ask(&cluster.random) }
    cluster.rig.push(client.connection, client.unsent)
    client.unsent = []
  }

  // MARK: Faults

  private func plan() {
    let allowed = Fault.allCases.filter { isCrashing || isHarmless($0) }
    guard let fault = allowed.randomElement(using: &cluster.random) else { return }
    cluster.after(1_500...7_000) { self.cause(fault) }
  }

  /// With replicas that lag, no crash: what it loses is no fault of ours.
  private func isHarmless(_ fault: Fault) -> Bool {
    switch fault {
    case .planned, .sentinelDown, .cutLinks, .clog, .cutOff, .forged, .stale: true
    case .kill, .killAndReturn, .freeze, .leaderDies: false
    }
  }

  private func cause(_ fault: Fault) {
    cluster.note("fault: \(fault)")
    guard let master = cluster.master else { return }
    let sentinel = cluster.sentinels[Int.random(in: 0..<3, using: &cluster.random)]
    switch fault {
    case .planned: cluster.failOver(by: sentinel, isForced: true)
    case .kill:
      master.kill()
      cluster.after(4_000...6_000) { self.bringBack(master) }
    case .killAndReturn:
      master.kill()
      cluster.after(5...1_500) { self.bringBack(master) }
    case .freeze:
      master.server.isFrozen = true
      cluster.after(500...5_000) {
        master.server.isFrozen = false
        self.cluster.after(0...1_500) { self.cluster.demoteOthers() }
      }
    case .leaderDies:
      cluster.failOver(by: sentinel, isForced: true)
      cluster.after(50...250) { self.rest(sentinel) }
    case .sentinelDown: rest(sentinel)
    case .cutLinks:
      for (_, connection) in cluster.rig.sortedConnections where cluster.random.chance(50) {
        connection.end()
      }
    case .clog:
      for (id, _) in cluster.rig.sortedConnections {
        cluster.clogged[id] = cluster.now + Int64.random(in: 50...3_000, using: &cluster.random)
      }
    case .cutOff:
      cluster.cutOff.insert(master.port)
      cluster.after(200...4_000) { self.cluster.cutOff.remove(master.port) }
    case .forged:
      let other = cluster.nodes.first { $0 !== master }?.port ?? 0
      cluster.say(
        sentinel, "+switch-master", "sessions 127.0.0.1 \(master.port) 127.0.0.1 \(other)")
      cluster.say(sentinel, "+switch-master", "sessions 1.2.3.4 1 127.0.0.1")
    case .stale:
      sentinel.stale = (0, cluster.nodes.first { $0 !== master }?.port ?? 0)
      cluster.after(500...4_000) { sentinel.stale = nil }
    }
  }

  private func bringBack(_ node: ClusterNode) {
    node.restart()
    // Sentinels reconfigure a returning master after some seconds.
    cluster.after(500...2_000) { self.cluster.demoteOthers() }
  }

  private func rest(_ sentinel: ClusterSentinel) {
    sentinel.isAlive = false
    sentinel.state = nil
    sentinel.failovers += 1
    cluster.after(500...5_000) {
      sentinel.isAlive = true
      self.cluster.after(0...50) { self.cluster.feed(.subscribed(sentinel.address)) }
    }
  }

  // MARK: Checks

  private func checkLimits() {
    let shard = cluster.rig.shard
    if shard.inFlightCount > 151 || shard.inFlightCount < 0 || shard.inFlightBytes < 0 {
      cluster.complain("\(shard.inFlightCount) in flight in total")
    }
    for client in shard.clients.all where client.order.outstanding > 31 {
      cluster.complain("\(client.order.outstanding) in flight for one client")
    }
    if cluster.rig.staleSends > 0 { cluster.complain("sent to a link of an older generation") }
    let epoch = cluster.tracker.status.configEpoch
    if epoch < lastEpoch, !cluster.hasAbandoned {
      cluster.complain("epoch \(epoch) after \(lastEpoch)")
    }
    lastEpoch = epoch
  }

  /// All nodes and sentinels live; whoever waits must be answered within a bound.
  private func heal() {
    cluster.cutOff = []
    cluster.clogged = [:]
    for node in cluster.nodes {
      node.server.isFrozen = false
      node.restart()
    }
    for sentinel in cluster.sentinels {
      sentinel.stale = nil
      if !sentinel.isAlive {
        sentinel.isAlive = true
        cluster.feed(.subscribed(sentinel.address))
      }
    }
    cluster.after(8_000...8_000) { self.cluster.demoteOthers() }
    let bound = cluster.now + 30_000
    while cluster.now < bound, problems.isEmpty {
      if cluster.now > bound - 20_000, clients.allSatisfy(\.isOwedNothing) { break }
      step(isTalking: false)
    }
  }

  private func check() {
    guard problems.isEmpty else { return }
    for client in clients where !client.isOwedNothing {
      cluster.complain("client \(client.number): \(client.awaited.count) never answered")
    }
    guard let master = cluster.master, cluster.rig.shard.view.address == master.address else {
      return cluster.complain("not at the master that sentinels name")
    }
    let values = master.server.store.values[0] ?? [:]
    for client in clients {
      client.checkStore(log: values[client.log] ?? "", count: values[client.count] ?? "0")
    }
  }
}

@Suite struct ClusterSimulator {
  /// Fixed seeds, and fresh ones on each run.
  @Test func acknowledgedWritesSurviveWhateverHappens() async {
    let environment = ProcessInfo.processInfo.environment
    let isLong = environment["HOLDFAST_LONG"] == "1"
    let only = environment["HOLDFAST_SEED"].flatMap { UInt64($0) }
    let fixed = Array(1...UInt64(isLong ? 2_000 : 30))
    let fresh = (0..<(isLong ? 500 : 10)).map { _ in UInt64.random(in: 10_000 ... .max) }
    for seed in only.map({ [$0] }) ?? fixed + fresh {
      // Others have deadlines.
      await Task.yield()
      let simulation = ClusterSimulation(seed: seed)
      simulation.run()
      #expect(
        simulation.problems.isEmpty,
        """
        HOLDFAST_SEED=\(seed): \(simulation.problems.prefix(5).joined(separator: "; "))
        \(simulation.cluster.trace.suffix(40).joined(separator: "\n"))
        """)
    }
  }

  /// A planned failover without the fence, and replicas that lag: acknowledged writes are lost, and that is seen.
  @Test func theChecksSeeALoss() async {
    var hasLost = false
    for number: UInt64 in 1...20 where !hasLost {
      await Task.yield()
      let simulation = ClusterSimulation(seed: number * 3 + 48)
      simulation.cluster.isFenceHidden = true
      simulation.cluster.after(1_000...1_000) {
        simulation.cluster.failOver(by: simulation.cluster.sentinels[0], isForced: true)
      }
      simulation.run()
      hasLost = simulation.problems.contains { $0.contains("lost") || $0.contains("count") }
    }
    #expect(hasLost)
  }
}
