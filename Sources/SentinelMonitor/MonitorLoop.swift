// SPDX-License-Identifier: Apache-2.0

import Failover
import NIOCore

/// Feeds the tracker and carries its actions out. Lives in the monitor's one task.
struct MonitorLoop {
  /// A sentinel's worker: at most one request is pending.
  private struct Sentinel {
    let requests: AsyncStream<SentinelWorker.Request>.Continuation
    let subscription: SubscriptionCheck
    var nextPollAt: Int64 = .min
    var listsAt: Int64 = .min / 2
    var failures = 0
  }

  /// A node's worker: at most one request is pending.
  private struct Node {
    let requests: AsyncStream<Void>.Continuation
    var usedAt: Int64
  }

  private static let nodeIdleMilliseconds: Int64 = 60_000
  private static let stableTickMilliseconds: Int64 = 2_000
  private static let stableListsMilliseconds: Int64 = 2_900
  private static let urgentListsMilliseconds: Int64 = 900

  private let configuration: MonitorConfiguration
  private let group: any EventLoopGroup
  private let inbox: Inbox
  private let onView: @Sendable (MasterView) -> Void
  private let onNote: @Sendable (TrackerNote) -> Void
  private let onTimeline: @Sendable (FailoverTimeline) -> Void
  private var tracker: any Tracker
  private var sentinels: [NodeAddress: Sentinel] = [:]
  private var nodes: [NodeAddress: Node] = [:]
  private(set) var pace = PollPace.urgent
  /// When all sentinels that answer are polled next, while all is well.
  private var roundAt: Int64 = 0

  init(
    configuration: MonitorConfiguration, group: any EventLoopGroup, inbox: Inbox,
    onView: @escaping @Sendable (MasterView) -> Void,
    onNote: @escaping @Sendable (TrackerNote) -> Void,
    onTimeline: @escaping @Sendable (FailoverTimeline) -> Void
  ) {
    self.configuration = configuration
    self.group = group
    self.inbox = inbox
    self.onView = onView
    self.onNote = onNote
    self.onTimeline = onTimeline
    let timings = configuration.timings
    switch configuration.mode {
    case .sentinels(let addresses, let masterName):
      var settings = TrackerConfiguration(masterName: masterName, seeds: addresses)
      // Less than between two rounds of polls, so that it is due at each of them and not at a time of its own.
      settings.probeMilliseconds = timings.pollMilliseconds * 7 / 10
      settings.urgentProbeMilliseconds = timings.urgentPollMilliseconds
      settings.hopelessAfterMilliseconds = timings.hopelessAfterMilliseconds
      settings.earlyCutOver = configuration.earlyCutOver
      settings.provisionalMilliseconds = timings.provisionalMilliseconds
      settings.waitMilliseconds = timings.waitMilliseconds
      tracker = MasterTracker(configuration: settings)
    case .fixed(let address):
      var settings = FixedTracker.Configuration()
      settings.probeMilliseconds = timings.pollMilliseconds
      settings.urgentProbeMilliseconds = timings.urgentPollMilliseconds
      tracker = FixedTracker(address: address, configuration: settings)
    }
  }

  var status: MonitorStatus { tracker.status }

  /// When it is to be told that time has passed.
  var tickMilliseconds: Int64 {
    switch pace {
    case .stable:
      let now = SentinelMonitor.nowMilliseconds
      let limit = min(Self.stableTickMilliseconds, configuration.timings.pollMilliseconds)
      return roundAt > now ? min(roundAt - now, Self.stableTickMilliseconds) : limit
    case .urgent: return 20
    case .failover: return 5
    }
  }

  mutating func take(_ item: Inbox.Item, _ tasks: inout DiscardingTaskGroup) {
    let now = SentinelMonitor.nowMilliseconds
    switch item {
    case .note(let note): onNote(note)
    case .event(let event):
      noteOutcome(of: event, now)
      for action in tracker.handle(event, nowMilliseconds: now) { carryOut(action, now, &tasks) }
      if event == .tick { onTick(now) }
    }
  }

  /// Ends every worker: each closes its connections.
  mutating func end() {
    for worker in sentinels.values { worker.requests.finish() }
    for worker in nodes.values { worker.requests.finish() }
    sentinels = [:]
    nodes = [:]
  }

  private mutating func carryOut(
    _ action: TrackerAction, _ now: Int64, _ tasks: inout DiscardingTaskGroup
  ) {
    switch action {
    case .probe(let address): probe(address, now, &tasks)
    case .pollSentinels: for address in sentinels.keys { poll(address, now) }
    case .pollSentinel(let address): poll(address, now, withLists: true)
    case .setPace(let pace):
      self.pace = pace
      if pace != .stable { for address in sentinels.keys { hurry(address, now) } }
    case .publish(let view): onView(view)
    case .note(let note): onNote(note)
    case .timeline(let timeline): onTimeline(timeline)
    case .watchSentinels(let addresses): watch(addresses, now, &tasks)
    }
  }

  // MARK: Sentinels

  private mutating func watch(
    _ addresses: [NodeAddress], _ now: Int64, _ tasks: inout DiscardingTaskGroup
  ) {
    guard case .sentinels(_, let masterName) = configuration.mode else { return }
    let wanted = Set(addresses)
    for (address, worker) in sentinels where !wanted.contains(address) {
      worker.requests.finish()
      sentinels[address] = nil
    }
    for address in addresses where sentinels[address] == nil {
      let (requests, continuation) = AsyncStream<SentinelWorker.Request>.makeStream(
        bufferingPolicy: .bufferingNewest(1))
      let subscription = SubscriptionCheck()
      sentinels[address] = Sentinel(requests: continuation, subscription: subscription)
      let worker = SentinelWorker(
        address: address, masterName: masterName, configuration: configuration, group: group,
        inbox: inbox, requests: requests, subscription: subscription)
      tasks.addTask { await worker.run() }
      poll(address, now)
    }
  }

  /// The lists of sentinels and replicas are long and change seldom: they are asked for less often.
  private mutating func poll(_ address: NodeAddress, _ now: Int64, withLists: Bool = false) {
    guard var worker = sentinels[address] else { return }
    worker.nextPollAt = nextPoll(after: now, worker.failures)
    let age = pace == .stable ? Self.stableListsMilliseconds : Self.urgentListsMilliseconds
    let areListsDue = withLists || now - worker.listsAt >= age
    sentinels[address] = worker
    worker.requests.yield(areListsDue ? .withLists : .plain)
  }

  private mutating func hurry(_ address: NodeAddress, _ now: Int64) {
    guard let worker = sentinels[address] else { return }
    let soon = now + pollWait(worker.failures)
    sentinels[address]?.nextPollAt = min(worker.nextPollAt, soon)
  }

  /// While all is well the sentinels are polled together, so that an idle daemon wakes once for all of them.
  private mutating func nextPoll(after now: Int64, _ failures: Int) -> Int64 {
    guard pace == .stable, failures == 0 else { return now + pollWait(failures) }
    if roundAt <= now { roundAt = now + pollWait(0) }
    return roundAt
  }

  /// A sentinel that does not answer is asked less often, but never much less while it matters.
  private func pollWait(_ failures: Int) -> Int64 {
    let timings = configuration.timings
    let isUrgent = pace != .stable
    let base = Backoff.jittered(
      isUrgent ? timings.urgentPollMilliseconds : timings.pollMilliseconds)
    guard failures > 0 else { return base }
    let limit = isUrgent ? timings.backoffMaxMilliseconds / 4 : timings.backoffMaxMilliseconds
    return max(base, Backoff.milliseconds(failures: failures, max: limit))
  }

  private mutating func noteOutcome(of event: TrackerEvent, _ now: Int64) {
    switch event {
    case .sentinelPolled(let poll):
      sentinels[poll.address]?.failures = 0
      if poll.replicas != nil { sentinels[poll.address]?.listsAt = now }
    case .sentinelFailed(let address, _): sentinels[address]?.failures += 1
    case .subscribed, .announced, .nodeProbed, .nodeFailed, .linkReported, .tick: break
    }
  }

  // MARK: Nodes

  private mutating func probe(
    _ address: NodeAddress, _ now: Int64, _ tasks: inout DiscardingTaskGroup
  ) {
    if nodes[address] == nil {
      let (requests, continuation) = AsyncStream<Void>.makeStream(
        bufferingPolicy: .bufferingNewest(1))
      nodes[address] = Node(requests: continuation, usedAt: now)
      let worker = NodeWorker(
        address: address, configuration: configuration, group: group, inbox: inbox,
        requests: requests)
      tasks.addTask { await worker.run() }
    }
    nodes[address]?.usedAt = now
    nodes[address]?.requests.yield()
  }

  private mutating func onTick(_ now: Int64) {
    for (address, worker) in sentinels {
      worker.subscription.check(configuration.timings)
      if now >= worker.nextPollAt { poll(address, now) }
    }
    for (address, worker) in nodes where now - worker.usedAt > Self.nodeIdleMilliseconds {
      worker.requests.finish()
      nodes[address] = nil
    }
  }
}
