// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

@testable import Proxy

/// Three Redis nodes and three sentinels, as far as the tracker and the data path can tell them apart, and one clock.
/// The times between a failover's steps are those of Redis' `sentinel.c` (a tick of 100 ms, INFO once a second).
final class Cluster {
  var random: SimulationRandom
  var now: Int64 = 10_000
  let nodes: [ClusterNode]
  let sentinels: [ClusterSentinel]
  let rig: Rig
  var tracker: MasterTracker
  let lagMilliseconds: Int64
  /// Ports that the host cannot reach.
  var cutOff: Set<Int> = []
  /// The shard is not told of fences: writes must be lost then, or the checks are blind.
  var isFenceHidden = false
  /// Connections on which nothing arrives until then.
  var clogged: [LinkID: Int64] = [:]
  private(set) var problems: [String] = []
  /// The leader died between a promotion and its word: what was written meanwhile is lost, as the README says.
  private(set) var hasAbandoned = false
  /// The last things that happened.
  private(set) var trace: [String] = []
  private var queue: [(time: Int64, number: Int, run: () -> Void)] = []
  private var queued = 0
  private var nextTick: Int64 = 0
  private var nextShardTick: Int64 = 0
  private var nextPoll: Int64 = 0
  private var pace = PollPace.stable
  private var downSince: Int64?
  private var failoverEnds: Int64 = .min

  init(seed: UInt64, lagMilliseconds: Int64, _ change: (inout ProxyConfiguration) -> Void) {
    random = SimulationRandom(state: seed)
    self.lagMilliseconds = lagMilliseconds
    nodes = [7001, 7002, 7003].map { ClusterNode(port: $0, master: $0 == 7001 ? nil : 7001) }
    sentinels = (1...3).map { ClusterSentinel(number: $0, master: 7001) }
    rig = Rig(change)
    tracker = MasterTracker(
      configuration: TrackerConfiguration(
        masterName: "sessions", seeds: sentinels.map(\.address)))
    for node in nodes { rig.masters[node.port] = node.server }
    rig.onReport = { [unowned self] report in
      self.after(0...1) { self.feed(.linkReported(report)) }
    }
    rig.isReachable = { [unowned self] port in
      self.nodes.contains { $0.port == port && $0.isAlive } && !self.cutOff.contains(port)
    }
    for sentinel in sentinels {
      after(0...5) { self.feed(.subscribed(sentinel.address)) }
    }
  }

  func note(_ text: String) {
    trace.append("\(now) \(text)")
    if trace.count > 60 { trace.removeFirst(20) }
  }

  func complain(_ text: String) { problems.append("at \(now): \(text)") }

  // MARK: Time

  func after(_ milliseconds: ClosedRange<Int64>, _ run: @escaping () -> Void) {
    queued += 1
    queue.append((now + Int64.random(in: milliseconds, using: &random), queued, run))
  }

  /// One step of time; shorter ones while something goes on.
  func step() {
    let isBusy = pace == .failover || tracker.view.fence != nil || !tracker.view.isServing
    now += isBusy ? 1 : Int64.random(in: 1...5, using: &random)
    rig.now = now
    while let index = queue.indices.min(by: {
      (queue[$0].time, queue[$0].number) < (queue[$1].time, queue[$1].number)
    }),
      queue[index].time <= now
    {
      queue.remove(at: index).run()
    }
    tick()
    watchMaster()
    network()
  }

  private func tick() {
    if now >= nextTick {
      switch pace {
      case .stable: nextTick = now + 100
      case .urgent: nextTick = now + 20
      case .failover: nextTick = now + 5
      }
      feed(.tick)
    }
    if now >= nextPoll {
      nextPoll = now + (pace == .stable ? 1000 : 100)
      for sentinel in sentinels { poll(sentinel) }
    }
    if now >= nextShardTick {
      nextShardTick = now + (rig.shard.isRestless ? 20 : 100)
      rig.shard.tick(nowMilliseconds: now)
    }
  }

  // MARK: The control plane

  func feed(_ event: TrackerEvent) {
    for action in tracker.handle(event, nowMilliseconds: now) {
      switch action {
      case .probe(let address): probe(address)
      case .pollSentinels: for sentinel in sentinels { poll(sentinel) }
      case .pollSentinel(let address):
        for sentinel in sentinels where sentinel.address == address { poll(sentinel) }
      case .setPace(let pace): self.pace = pace
      case .publish(let view): publish(view)
      case .note(let text):
        note("\(text)")
        switch text {
        case .generationAbandoned: hasAbandoned = true
        // The leader told us and died before it told the others, which name the old master further on.
        case .masterSwitched(_, _, _, _, let evidence) where evidence.contains("reset its epoch"):
          hasAbandoned = true
        default: break
        }
      case .timeline, .watchSentinels: break
      }
    }
  }

  private func publish(_ view: MasterView) {
    if view.generation != rig.shard.view.generation, let port = view.address?.port,
      let node = nodes.first(where: { $0.port == port }),
      node.server.role != "master", node.demotedMilliseconds < now - 300
    {
      complain("generation \(view.generation) is \(port), which is no master")
    }
    note(
      "view \(view.generation) \(view.address?.port ?? 0) \(view.state) \(view.fence?.reason ?? "")"
    )
    var told = view
    if isFenceHidden { told.fence = nil }
    rig.shard.masterChanged(told, nowMilliseconds: now)
  }

  private func probe(_ address: NodeAddress) {
    guard let node = nodes.first(where: { $0.address == address }) else { return }
    after(0...2) { [self] in
      guard node.isAlive, !cutOff.contains(node.port) else {
        return after(0...2) { self.feed(.nodeFailed(address, .unreachable("refused"))) }
      }
      guard !node.server.isFrozen else {
        return after(300...300) { self.feed(.nodeFailed(address, .timedOut)) }
      }
      let count = nodes.filter { $0.master == node.port && $0.isResponsive }.count
      let identity = node.identity(replicas: count)
      after(0...2) { self.feed(.nodeProbed(address, identity)) }
    }
  }

  private func poll(_ sentinel: ClusterSentinel) {
    after(0...3) { [self] in
      guard sentinel.isAlive else {
        return feed(.sentinelFailed(sentinel.address, .unreachable("refused")))
      }
      let record = sentinel.record()
      let port = sentinel.stale?.master ?? sentinel.master
      let replicas = nodes.filter { $0.port != port }.map {
        ReplicaRecord(
          address: $0.address, flags: $0.isAlive ? [] : .subjectivelyDown, offset: UInt64($0.offset)
        )
      }
      let peers = sentinels.filter { $0 !== sentinel }.map {
        PeerSentinel(address: $0.address, id: "id-\($0.number)")
      }
      let poll = SentinelPoll(
        address: sentinel.address, id: "id-\(sentinel.number)", before: record,
        master: NodeAddress(host: "127.0.0.1", port: port), after: record, peers: peers,
        replicas: replicas)
      after(0...2) { self.feed(.sentinelPolled(poll)) }
    }
  }

  // MARK: Sentinels

  func say(_ sentinel: ClusterSentinel, _ name: String, _ payload: String) {
    guard sentinel.isAlive else { return }
    note("sentinel \(sentinel.number) \(name)")
    after(0...2) { self.feed(.announced(sentinel: sentinel.address, name: name, payload: payload)) }
  }

  private func about(_ port: Int) -> String { "master sessions 127.0.0.1 \(port)" }

  private func about(_ replica: Int, of master: Int) -> String {
    "slave 127.0.0.1:\(replica) 127.0.0.1 \(replica) @ sessions 127.0.0.1 \(master)"
  }

  /// Down for a second by a majority: a failover.
  private func watchMaster() {
    guard let believer = sentinels.filter(\.isAlive).max(by: { $0.epoch < $1.epoch }),
      let node = nodes.first(where: { $0.port == believer.master })
    else { return }
    guard !node.isResponsive else {
      downSince = nil
      for sentinel in sentinels { sentinel.seesDown = false }
      return
    }
    let since = downSince ?? now
    downSince = since
    let alive = sentinels.filter(\.isAlive)
    guard now - since >= 1000, alive.count >= 2, now >= failoverEnds else { return }
    for sentinel in alive where !sentinel.seesDown {
      sentinel.seesDown = true
      say(sentinel, "+sdown", about(node.port))
      say(sentinel, "+odown", about(node.port))
    }
    if let leader = alive.randomElement(using: &random) { failOver(by: leader, isForced: false) }
  }

  /// A failover's steps, each only if its leader still lives and leads it.
  func failOver(by leader: ClusterSentinel, isForced: Bool) {
    guard leader.isAlive, now >= failoverEnds else { return }
    let old = leader.master
    failoverEnds = now + 6_000
    leader.failovers += 1
    leader.isForced = isForced
    let number = leader.failovers
    let epoch = (sentinels.map(\.epoch).max() ?? 0) + 1
    func then(_ time: ClosedRange<Int64>, _ run: @escaping () -> Void) {
      after(time) { if leader.isAlive, leader.failovers == number { run() } }
    }
    leader.state = "wait_start"
    say(leader, "+try-failover", about(old))
    then(isForced ? 50...150 : 100...400) { [self] in
      leader.state = "select_slave"
      say(leader, "+elected-leader", about(old))
      say(leader, "+failover-state-select-slave", about(old))
      then(80...120) {
        guard let choice = self.bestReplica(of: old) else { return self.abort(leader, old) }
        leader.state = "send_slaveof_noone"
        self.say(leader, "+selected-slave", self.about(choice.port, of: old))
        self.say(leader, "+failover-state-send-slaveof-noone", self.about(choice.port, of: old))
        then(80...120) {
          leader.state = "wait_promotion"
          self.say(leader, "+failover-state-wait-promotion", self.about(choice.port, of: old))
          self.after(0...3) {
            self.note("promoted \(choice.port)")
            choice.promote()
          }
          then(50...1000) { self.conclude(leader, old, choice, epoch, then) }
        }
      }
    }
  }

  private func conclude(
    _ leader: ClusterSentinel, _ old: Int, _ choice: ClusterNode, _ epoch: UInt64,
    _ then: (ClosedRange<Int64>, @escaping () -> Void) -> Void
  ) {
    leader.state = "reconf_slaves"
    leader.epoch = epoch
    leader.master = choice.port
    say(leader, "+promoted-slave", about(choice.port, of: old))
    say(leader, "+failover-state-reconf-slaves", about(old))
    for node in nodes where node !== choice && node.isAlive && !node.isMaster {
      node.follow(choice.port, at: now)
    }
    then(100...1000) { [self] in
      leader.state = nil
      // Who has voted starts none of its own for a while, and by then all have heard of this one.
      failoverEnds = now + 2_500
      say(leader, "+failover-end", about(old))
      say(leader, "+switch-master", "sessions 127.0.0.1 \(old) 127.0.0.1 \(choice.port)")
      for sentinel in sentinels where sentinel !== leader {
        after(0...2000) {
          guard sentinel.isAlive, sentinel.epoch < epoch else { return }
          sentinel.epoch = epoch
          sentinel.master = choice.port
          sentinel.state = nil
          self.say(
            sentinel, "+switch-master", "sessions 127.0.0.1 \(old) 127.0.0.1 \(choice.port)")
        }
      }
      after(500...2500) { self.demoteOthers() }
    }
  }

  private func abort(_ leader: ClusterSentinel, _ old: Int) {
    leader.state = nil
    failoverEnds = now + 500
    say(leader, "-failover-abort-no-good-slave", about(old))
  }

  private func bestReplica(of old: Int) -> ClusterNode? {
    nodes.filter { $0.port != old && $0.isResponsive && !$0.isMaster }.max { $0.offset < $1.offset }
  }

  /// Sentinels tell a returning or left-over master whom to follow.
  func demoteOthers() {
    guard let word = sentinels.filter(\.isAlive).max(by: { $0.epoch < $1.epoch }) else { return }
    for node in nodes where node.port != word.master && node.isResponsive && node.isMaster {
      // Not while the chosen one is promoted and nobody has said so yet.
      guard sentinels.allSatisfy({ $0.state == nil }) else { continue }
      note("demoted \(node.port)")
      node.follow(word.master, at: now)
    }
    for node in nodes where node.isResponsive && !node.isMaster && node.master != word.master {
      node.follow(word.master, at: now)
    }
  }

  // MARK: The network

  private func network() {
    rig.endTurn()
    for (id, connection) in rig.sortedConnections where rig.connections[id] === connection {
      let port = connection.master.port
      guard !cutOff.contains(port) else { continue }
      if random.chance(80) { connection.run(limit: Int.random(in: 1...8, using: &random)) }
    }
    for node in nodes where node.isAlive {
      for zombie in node.server.readyConnections where zombie.isAbandoned && random.chance(50) {
        zombie.run(limit: 4)
      }
    }
    replicate()
    for (id, connection) in rig.sortedConnections where rig.connections[id] === connection {
      if connection.isGone {
        rig.drop(connection)
      } else if !connection.outbox.isEmpty, !cutOff.contains(connection.master.port),
        clogged[id, default: 0] <= now, random.chance(80)
      {
        let limit = random.chance(70) ? Int.max : Int.random(in: 1...30, using: &random)
        rig.deliver(id, connection, limit: limit)
      }
    }
    rig.endTurn()
  }

  private func replicate() {
    for node in nodes where node.isAlive && node.isMaster { node.remember(at: now) }
    for replica in nodes where replica.isResponsive {
      guard let master = nodes.first(where: { $0.port == replica.master }), master.isAlive,
        master.isMaster
      else { continue }
      replica.copy(master, lagMilliseconds: lagMilliseconds, at: now)
    }
  }

  /// The node that all sentinels name at the end.
  var master: ClusterNode? {
    guard let word = sentinels.max(by: { $0.epoch < $1.epoch }) else { return nil }
    return nodes.first { $0.port == word.master }
  }
}
