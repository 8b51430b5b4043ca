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

  init(seed: UInt64) { random = SeededGenerator(state: seed) }

  /// One random event; returns what broke.
  mutating func step() -> String? {
    now += Int64.random(in: 0...400, using: &random)
    let event = randomEvent()
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
    case .sentinelPolled, .sentinelFailed, .subscribed, .announced, .linkReported, .tick: break
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
    switch Int.random(in: 0..<12, using: &random) {
    case 0...2: return .sentinelPolled(randomPoll())
    case 3: return .sentinelFailed(sentinel, pick([.timedOut, .authentication("x")]))
    case 4: return randomAnnouncement(sentinel, node)
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

  private mutating func randomPoll() -> SentinelPoll {
    let index = Int.random(in: 0..<3, using: &random)
    var poll = word(index, pick(Self.addresses), UInt64.random(in: 0...6, using: &random))
    if Int.random(in: 0..<10, using: &random) == 0 { poll.before?.configEpoch += 1 }
    if Int.random(in: 0..<10, using: &random) == 0 { poll.master = nil }
    if Int.random(in: 0..<10, using: &random) == 0 { poll.id = "id-0" }
    if Int.random(in: 0..<4, using: &random) == 0 {
      poll.after?.flags = .failoverInProgress
      poll.after?.failoverState = pick(["wait_start", "select_slave", "reconf_slaves"])
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
      "-failover-abort-no-good-slave", "+selected-slave", "+tilt", "junk",
    ])
    let payload = pick([
      "sessions 10.0.0.1 6379 \(node.host) \(node.port)", "master sessions \(node.host) 6379",
      "slave x \(node.host) 6379 @ sessions 10.0.0.1 6379", "", "@ @ @ @ @ @",
    ])
    return .announced(sentinel: sentinel, name: name, payload: payload)
  }
}
