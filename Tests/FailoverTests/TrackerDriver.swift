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
    /// Any role, with replication offsets and the like.
    case says(NodeIdentity)
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
  var timelines: [FailoverTimeline] = []
  var pollsWanted = 0
  var leaderPolls: [NodeAddress] = []
  var pace: PollPace?
  var watched: [NodeAddress] = []

  init(
    seeds: [NodeAddress] = sentinels, configure: (inout TrackerConfiguration) -> Void = { _ in }
  ) {
    var configuration = TrackerConfiguration(masterName: "sessions", seeds: seeds)
    configure(&configuration)
    tracker = MasterTracker(configuration: configuration)
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
      case .pollSentinel(let address): leaderPolls.append(address)
      case .setPace(let pace): self.pace = pace
      case .publish(let view): views.append(view)
      case .note(let note): notes.append(note)
      case .timeline(let timeline): timelines.append(timeline)
      case .watchSentinels(let addresses): watched = addresses
      }
    }
    return due
  }

  func answer(_ address: NodeAddress) -> TrackerEvent {
    switch nodes[address] ?? .down {
    case .master(let id): .nodeProbed(address, NodeIdentity(role: "master", runID: id))
    case .replica(let id): .nodeProbed(address, NodeIdentity(role: "slave", runID: id))
    case .says(let identity): .nodeProbed(address, identity)
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

  /// Lets time pass in ticks of 20 ms, or as given; `each` runs before every tick.
  mutating func pass(
    _ milliseconds: Int64, tick: Int64 = 20, each: (inout TrackerDriver) -> Void = { _ in }
  ) {
    let end = now + milliseconds
    while now < end {
      now += tick
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

// MARK: Failovers

extension TrackerDriver.Node {
  /// `a`, with this many bytes written.
  static func master(at offset: UInt64) -> Self {
    .says(NodeIdentity(role: "master", runID: "run-a", offset: offset, replicationID: "history-1"))
  }

  /// `b`, a replica of `a` that has this many bytes.
  static func replica(at offset: UInt64, of master: NodeAddress = TrackerDriver.a) -> Self {
    .says(
      NodeIdentity(
        role: "slave", runID: "run-b", offset: offset, replicationID: "history-1", master: master,
        isLinkedToMaster: true))
  }

  /// A replica of `a` after its promotion; of the old history it has what lies before `offset`.
  static func promoted(_ runID: String = "run-b", at offset: Int64 = 1001) -> Self {
    .says(
      NodeIdentity(
        role: "master", runID: runID, offset: UInt64(offset), replicationID: "history-2",
        secondReplicationID: "history-1", secondOffset: offset))
  }
}

extension TrackerDriver {
  /// Settled; every sentinel lists `b` and `c` as replicas.
  static func withReplicas(
    configure: (inout TrackerConfiguration) -> Void = { _ in }
  ) -> TrackerDriver {
    var driver = TrackerDriver(configure: configure)
    driver.nodes[a] = .master(at: 1000)
    driver.nodes[b] = .replica(at: 1000)
    let replicas = [ReplicaRecord(address: b), ReplicaRecord(address: c)]
    for number in 1...3 { driver.poll(number, names: a, replicas: replicas) }
    driver.pass(1000)
    return driver
  }

  /// Sentinel 1 was told to fail over from `a`, and has chosen `b` if `selecting`.
  static func planned(
    selecting: Bool = false, configure: (inout TrackerConfiguration) -> Void = { _ in }
  ) -> TrackerDriver {
    var driver = withReplicas(configure: configure)
    driver.announce(1, "+try-failover", FenceTests.aboutA)
    if selecting { driver.select() }
    return driver
  }

  /// `a` is dead, sentinel 1 leads and has chosen `b`.
  static func crashed(
    configure: (inout TrackerConfiguration) -> Void = { _ in }
  ) -> TrackerDriver {
    var driver = withReplicas(configure: configure)
    driver.nodes[a] = .down
    driver.report(.closed)
    driver.announce(1, "+sdown", FenceTests.aboutA)
    driver.announce(1, "+odown", FenceTests.aboutA)
    driver.announce(1, "+try-failover", FenceTests.aboutA)
    driver.select()
    return driver
  }

  mutating func select(_ number: Int = 1, payload: String = FenceTests.bOfA) {
    announce(number, "+elected-leader", FenceTests.aboutA)
    announce(number, "+failover-state-select-slave", FenceTests.aboutA)
    announce(number, "+selected-slave", payload)
    announce(number, "+failover-state-send-slaveof-noone", payload)
  }

  /// `b` says master, and there was time to ask it.
  mutating func promoteB() {
    nodes[Self.b] = .promoted()
    pass(30, tick: 5)
  }

  /// The sentinel answers that it leads a failover of `a`.
  mutating func leading(
    _ number: Int = 1, state: String = "wait_promotion", promoted: NodeAddress? = nil,
    isForced: Bool = true
  ) {
    var flags: InstanceFlags = .failoverInProgress
    if isForced { flags.insert(.forcedFailover) }
    poll(
      number, names: Self.a, flags: flags, state: state,
      replicas: promoted.map { [ReplicaRecord(address: $0, flags: .promoted)] })
  }

  /// The sentinel answers that it leads none.
  mutating func idle(_ number: Int = 1) { poll(number, names: Self.a) }

  /// Sentinel 1 gives up; `a` and its replicas are as before.
  mutating func giveUp() {
    announce(1, "-failover-abort-slave-timeout", FenceTests.aboutA)
    pass(100, tick: 5) { $0.idle() }
  }

  var fenceNotes: [String] {
    notes.compactMap { note in
      switch note {
      case .fenceRaised(let number, _): "raised \(number)"
      case .fenceLifted(let number, _): "lifted \(number)"
      default: nil
      }
    }
  }
}
