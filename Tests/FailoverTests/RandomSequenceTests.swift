// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

/// SplitMix64: the same seed gives the same run everywhere.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Any events in any order: nothing crashes, and what must always hold holds after each.
@Suite struct RandomSequenceTests {
  static let seeds = Array(UInt64(1)...20) + [UInt64.random(in: .min ... .max)]

  @Test(arguments: seeds) func invariantsHold(seed: UInt64) {
    var run = RandomRun(seed: seed)
    for step in 0..<1000 {
      if let broken = run.step() {
        Issue.record("seed \(seed), step \(step): \(broken)")
        return
      }
    }
    if !run.heal() { Issue.record("seed \(seed): not serving after everything healed") }
  }

  @Test func theSequencesReachEarlyGenerationsAndFences() {
    var switches = 0
    var fences: UInt64 = 0
    for seed in UInt64(5)...9 {
      var run = RandomRun(seed: seed)
      for _ in 0..<1000 where run.step() == nil {}
      switches += run.earlySwitches
      fences = max(fences, run.fences)
    }
    #expect(switches > 5)
    #expect(fences > 10)
  }
}

private struct RandomRun {
  static let addresses = (1...4).map { NodeAddress(host: "10.0.0.\($0)", port: 6379) }
  static let sentinels = TrackerDriver.sentinels

  var random: SeededGenerator
  var tracker = MasterTracker(
    configuration: TrackerConfiguration(masterName: "sessions", seeds: sentinels))
  var now: Int64 = 0
  var generation: UInt64 = 0
  var lastIdentity: [NodeAddress: NodeIdentity] = [:]
  var outstanding: Set<NodeAddress> = []
  var last = MasterView.initial
  /// Since when the generation is one that no sentinel has named.
  var earlySince: Int64?
  /// By which epoch the one before it was named.
  var earlyEpoch: UInt64 = 0
  /// Whether a sentinel said anything since the master changed last, and which was before it.
  var wasWordHeard = false
  var beforeLast: NodeAddress?
  var earlySwitches = 0
  var fences: UInt64 = 0
  /// Events that come next: by chance alone a whole failover is rare.
  var plot: [TrackerEvent] = []

  init(seed: UInt64) { random = SeededGenerator(state: seed) }

  /// One random event; returns what broke.
  mutating func step() -> String? {
    now += Int64.random(in: 0...400, using: &random)
    if Int.random(in: 0..<20, using: &random) == 0 { plotPromotion() }
    let event = plot.isEmpty ? randomEvent() : plot.removeFirst()
    return check(event, tracker.handle(event, nowMilliseconds: now))
  }

  mutating func check(_ event: TrackerEvent, _ actions: [TrackerAction]) -> String? {
    switch event {
    case .nodeProbed(let address, let identity):
      outstanding.remove(address)
      lastIdentity[address] = identity
    case .nodeFailed(let address, let failure):
      outstanding.remove(address)
      if case .busy = failure {} else { lastIdentity[address] = nil }
    case .sentinelPolled, .announced: wasWordHeard = true
    case .sentinelFailed, .subscribed, .linkReported, .tick: break
    }
    for action in actions {
      if case .probe(let address) = action, !outstanding.insert(address).inserted {
        return "two probes of \(address) at once"
      }
      if case .watchSentinels(let watched) = action {
        if !Self.sentinels.allSatisfy(watched.contains) { return "a seed was dropped" }
        if watched.count > 32 { return "too many sentinels" }
      }
    }
    if outstanding.count > 16 { return "too many probes" }
    let view = tracker.view
    if view.generation < generation { return "the generation fell" }
    generation = view.generation
    if view.isServing {
      guard let address = view.address, let identity = lastIdentity[address] else {
        return "serving a node that did not answer"
      }
      if !identity.isMaster { return "serving a node whose last ROLE was not master" }
      if identity.runID != view.runID { return "serving another process" }
    }
    let broken = checkFence(event, view) ?? checkGenerations(actions, view)
    last = view
    return broken
  }

  private mutating func checkFence(_ event: TrackerEvent, _ view: MasterView) -> String? {
    if let fence = view.fence {
      fences = fence.number
      if fence.coveredMilliseconds > now { return "the future is covered" }
      if let before = last.fence {
        if fence.number < before.number { return "fence numbers fell" }
        if fence.number == before.number, view.generation == last.generation,
          fence.coveredMilliseconds < before.coveredMilliseconds
        {
          return "covered fell"
        }
      }
    }
    // A sentinel that answers "I am replacing the node that you use" fences it at once.
    if case .sentinelPolled(let poll) = event, let after = poll.after,
      poll.before?.configEpoch == after.configEpoch, let master = poll.master,
      master == view.address, view.generation == last.generation,
      after.flags.contains(.failoverInProgress),
      ["select_slave", "wait_promotion"].contains(after.failoverState), view.fence == nil
    {
      return "writes go to a node that is being replaced"
    }
    return nil
  }

  private mutating func checkGenerations(
    _ actions: [TrackerAction], _ view: MasterView
  ) -> String? {
    if view.address != last.address {
      if view.address == beforeLast, !wasWordHeard { return "back without a sentinel's word" }
      wasWordHeard = false
      beforeLast = last.address
    }
    for action in actions {
      guard case .note(.masterSwitched(_, _, let epoch, _, let evidence)) = action else { continue }
      earlySince = evidence.contains("no sentinel names it yet") ? now : nil
      earlyEpoch = epoch
      if earlySince != nil { earlySwitches += 1 }
    }
    if let since = earlySince, tracker.status.configEpoch == earlyEpoch {
      if view.isServing, !view.isProvisional { return "an early generation is not provisional" }
      if now - since >= 3000, view.fence == nil { return "an early generation is not bounded" }
    }
    return nil
  }

  /// All agree on a new master by a higher epoch, and every node answers.
  mutating func heal() -> Bool {
    let master = Self.addresses[0]
    for _ in 0..<400 {
      now += 20
      var events: [TrackerEvent] = [.tick]
      for index in 0..<3 { events.append(.sentinelPolled(word(index, master, 1000))) }
      for address in outstanding {
        let role = address == master ? "master" : "slave"
        events.append(.nodeProbed(address, NodeIdentity(role: role, runID: "healed")))
      }
      for event in events {
        if check(event, tracker.handle(event, nowMilliseconds: now)) != nil { return false }
      }
    }
    return tracker.view.address == master
      && tracker.view.state == .serving(isProvisional: false)
  }

  func word(_ index: Int, _ master: NodeAddress, _ epoch: UInt64) -> SentinelPoll {
    let record = MasterRecord(configEpoch: epoch)
    return SentinelPoll(
      address: Self.sentinels[index], id: "id-\(index)", before: record, master: master,
      after: record)
  }

  private mutating func pick<T>(_ items: [T]) -> T {
    items[Int.random(in: 0..<items.count, using: &random)]
  }

  private mutating func randomEvent() -> TrackerEvent {
    let node = pick(Self.addresses)
    let sentinel = pick(Self.sentinels)
    switch Int.random(in: 0..<13, using: &random) {
    case 0...2: return .sentinelPolled(randomPoll())
    case 3: return .sentinelFailed(sentinel, pick([.timedOut, .authentication("x")]))
    case 4, 12: return randomAnnouncement(sentinel, node)
    case 5...7:
      let asked = outstanding.sorted { $0.description < $1.description }
      let target = asked.isEmpty ? node : pick(asked)
      let role = pick(["master", "master", "slave"])
      return .nodeProbed(target, NodeIdentity(role: role, runID: pick(["r1", "r1", "r2"])))
    case 8: return .nodeFailed(node, pick([.timedOut, .busy("BUSY"), .unreachable("refused")]))
    case 9:
      let number = pick([generation, generation, 0, 77])
      return .linkReported(
        LinkReport(generation: number, event: pick([.closed, .readOnly, .ready])))
    case 10: return .subscribed(sentinel)
    default: return .tick
    }
  }

  /// A sentinel selects a node, which then says that it is master.
  private mutating func plotPromotion() {
    guard let master = tracker.view.address else { return }
    let index = Int.random(in: 0..<3, using: &random)
    let node = pick(Self.addresses)
    var poll = word(index, master, tracker.status.configEpoch)
    poll.after?.flags = .failoverInProgress
    poll.after?.failoverState = "wait_promotion"
    poll.replicas = Self.addresses.map { ReplicaRecord(address: $0) }
    plot = [
      .sentinelPolled(poll),
      .announced(
        sentinel: poll.address, name: "+selected-slave",
        payload: "slave x \(node.host) 6379 @ sessions \(master.host) 6379"),
      .nodeProbed(node, NodeIdentity(role: "master", runID: "r1")), .tick,
      .nodeProbed(node, NodeIdentity(role: "master", runID: "r1")),
    ]
  }

  private mutating func randomPoll() -> SentinelPoll {
    let index = Int.random(in: 0..<3, using: &random)
    var poll = word(index, pick(Self.addresses), UInt64.random(in: 0...6, using: &random))
    if Int.random(in: 0..<10, using: &random) == 0 { poll.before?.configEpoch += 1 }
    if Int.random(in: 0..<10, using: &random) == 0 { poll.master = nil }
    if Int.random(in: 0..<10, using: &random) == 0 { poll.id = "id-0" }
    if Int.random(in: 0..<4, using: &random) == 0 {
      poll.after?.flags = .failoverInProgress
      poll.after?.failoverState = pick([
        "wait_start", "select_slave", "wait_promotion", "reconf_slaves",
      ])
    }
    if Int.random(in: 0..<3, using: &random) == 0 {
      poll.replicas = Self.addresses.map { ReplicaRecord(address: $0) }
      if Bool.random(using: &random) { poll.replicas?[0].flags = .promoted }
    }
    if Int.random(in: 0..<4, using: &random) == 0 {
      let number = Int.random(in: 0..<60, using: &random)
      poll.peers = [
        PeerSentinel(address: NodeAddress(host: "s\(number)", port: 1), id: "p\(number)")
      ]
    }
    return poll
  }

  private mutating func randomAnnouncement(
    _ sentinel: NodeAddress, _ node: NodeAddress
  ) -> TrackerEvent {
    let name = pick([
      "+switch-master", "+odown", "-odown", "+try-failover", "+failover-state-wait-promotion",
      "-failover-abort-no-good-slave", "+selected-slave", "+selected-slave", "+elected-leader",
      "+failover-state-select-slave", "+failover-end", "+promoted-slave", "+tilt", "junk",
    ])
    let master = tracker.view.address ?? node
    let payload = pick([
      "sessions 10.0.0.1 6379 \(node.host) \(node.port)", "master sessions \(node.host) 6379",
      "master sessions \(master.host) 6379",
      "slave x \(node.host) 6379 @ sessions \(master.host) 6379",
      "slave x \(node.host) 6379 @ sessions 10.0.0.1 6379", "", "@ @ @ @ @ @",
    ])
    return .announced(sentinel: sentinel, name: name, payload: payload)
  }
}
