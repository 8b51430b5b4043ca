// SPDX-License-Identifier: Apache-2.0

import Failover

/// Three sentinels and four nodes by short names, and a clock that moves when told to.
struct TrackerDriver {
  static let sentinels = (1...3).map { NodeAddress(host: "sentinel-\($0)", port: 26379) }
  static let a = NodeAddress(host: "10.0.0.1", port: 6379)
  static let b = NodeAddress(host: "10.0.0.2", port: 6379)
  static let c = NodeAddress(host: "10.0.0.3", port: 6379)

  /// What a node would answer if asked.
  enum Node {
    case master(String)
    case replica(String)
    case down
    case frozen
    case busy
  }

  var tracker: MasterTracker
  var now: Int64 = 1000
  var nodes: [NodeAddress: Node] = [
    a: .master("run-a"), b: .replica("run-b"), c: .replica("run-c"),
  ]
  var views: [MasterView] = []
  var notes: [TrackerNote] = []
  var probes: [NodeAddress] = []
  var pollsWanted = 0
  var pace: PollPace?
  var watched: [NodeAddress] = []

  init(seeds: [NodeAddress] = sentinels) {
    tracker = MasterTracker(
      configuration: TrackerConfiguration(masterName: "sessions", seeds: seeds))
    send(.tick)
  }

  var view: MasterView { tracker.view }
  var isServing: Bool { view.isServing }

  /// Sends an event and answers every probe that follows from it, as the nodes would.
  mutating func send(_ event: TrackerEvent) {
    var due = collect(tracker.handle(event, nowMilliseconds: now))
    var rounds = 0
    while !due.isEmpty, rounds < 100 {
      rounds += 1
      now += 1
      due += collect(tracker.handle(answer(due.removeFirst()), nowMilliseconds: now))
    }
  }

  /// Carries actions out but for the probes, which it returns.
  private mutating func collect(_ actions: [TrackerAction]) -> [NodeAddress] {
    var due: [NodeAddress] = []
    for action in actions {
      switch action {
      case .probe(let address):
        due.append(address)
        probes.append(address)
      case .pollSentinels: pollsWanted += 1
      case .setPace(let pace): self.pace = pace
      case .publish(let view): views.append(view)
      case .note(let note): notes.append(note)
      case .watchSentinels(let addresses): watched = addresses
      }
    }
    return due
  }

  func answer(_ address: NodeAddress) -> TrackerEvent {
    switch nodes[address] ?? .down {
    case .master(let id): .nodeProbed(address, NodeIdentity(role: "master", runID: id))
    case .replica(let id): .nodeProbed(address, NodeIdentity(role: "slave", runID: id))
    case .down: .nodeFailed(address, .unreachable("refused"))
    case .frozen: .nodeFailed(address, .timedOut)
    case .busy: .nodeFailed(address, .busy("BUSY script"))
    }
  }

  /// Sentinel `number` (1 to 3) answers a poll.
  mutating func poll(
    _ number: Int, names master: NodeAddress, epoch: UInt64 = 1, epochBefore: UInt64? = nil,
    id: String? = nil, flags: InstanceFlags = [], state: String? = nil,
    peers: [PeerSentinel]? = nil, replicas: [ReplicaRecord]? = nil
  ) {
    let after = MasterRecord(
      configEpoch: epoch, flags: flags, failoverState: state, quorum: 2, otherSentinels: 2)
    var before = after
    before.configEpoch = epochBefore ?? epoch
    now += 1
    send(
      .sentinelPolled(
        SentinelPoll(
          address: Self.sentinels[number - 1], id: id ?? "id-\(number)", before: before,
          master: master, after: after, peers: peers, replicas: replicas)))
  }

  mutating func pollAll(names master: NodeAddress, epoch: UInt64 = 1) {
    for number in 1...3 { poll(number, names: master, epoch: epoch) }
  }

  mutating func lose(_ number: Int) {
    now += 1
    send(.sentinelFailed(Self.sentinels[number - 1], .timedOut))
  }

  mutating func announce(_ number: Int, _ name: String, _ payload: String) {
    now += 1
    send(.announced(sentinel: Self.sentinels[number - 1], name: name, payload: payload))
  }

  mutating func report(_ event: LinkEvent, generation: UInt64? = nil) {
    now += 30
    send(.linkReported(LinkReport(generation: generation ?? view.generation, event: event)))
    send(.tick)
  }

  /// Lets time pass in ticks of 20 ms; `each` runs before every tick.
  mutating func pass(_ milliseconds: Int64, each: (inout TrackerDriver) -> Void = { _ in }) {
    let end = now + milliseconds
    while now < end {
      now += 20
      each(&self)
      send(.tick)
    }
  }

  /// All agree on `a` by epoch 1, verified.
  static func settled() -> TrackerDriver {
    var driver = TrackerDriver()
    driver.pollAll(names: a)
    return driver
  }
}

extension MasterView {
  var isProvisional: Bool { state == .serving(isProvisional: true) }
  var isWaiting: Bool { if case .waiting = state { true } else { false } }
  var isHopeless: Bool { if case .hopeless = state { true } else { false } }
}
