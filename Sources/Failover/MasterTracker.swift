// SPDX-License-Identifier: Apache-2.0

/// Follows the master that the sentinels name, once the node itself confirms it.
///
/// Every event ends in the same steps, whatever it was: decide which generation holds, whether its
/// node may be used and whether writes wait, schedule probes and polls. So no state depends on the order in
/// which facts arrive.
public struct MasterTracker: Tracker {
  /// What the shards were last told.
  public internal(set) var view = MasterView.initial

  let configuration: TrackerConfiguration
  var actions: [TrackerAction] = []

  /// Watched sentinels, seeds first.
  var sentinels: [SentinelRecord]
  var nodes: [NodeAddress: NodeRecord] = [:]
  var generation: Generation?

  /// The claim being verified, and since when.
  var candidate: (claim: Claim, since: Int64)?
  /// A majority's claim by a lower epoch, since when, and by how many polls.
  var reset: (claim: Claim, since: Int64, polls: Int)?
  /// Another process answers at our address: its run_id, and since when.
  var restart: (runID: String, since: Int64)?

  /// The failover that is about to replace the generation's node: writes are fenced.
  var failover: PendingFailover?
  var fencesRaised: UInt64 = 0
  var fenceLiftReason = ""

  /// The record of the failover that goes on, and the record as handed out last.
  var timeline: FailoverTimeline?
  var emittedTimeline: FailoverTimeline?
  var timelinesMade: UInt64 = 0
  var timelineOpenedAt: Int64 = .min
  var firstSignAt: Int64?

  /// Why the last failover was given up, until another starts.
  var abortReason: String?
  var hopelessSince: Int64?
  var quorumShortSince: Int64?
  var isQuorumNotedLost = false
  var notedDisagreement: [NodeAddress] = []
  var promotable: [NodeAddress: Bool] = [:]

  var urgentUntil: Int64 = .min
  var pace: PollPace?
  var wantsPoll = false
  var isStarted = false
  var firstAnswerAt: Int64?

  /// A tracker that starts from the configured seeds.
  public init(configuration: TrackerConfiguration) {
    self.configuration = configuration
    var seen: Set<NodeAddress> = []
    sentinels = configuration.seeds.filter { seen.insert($0).inserted }.map {
      SentinelRecord(address: $0, isSeed: true, listedAt: .min)
    }
  }

  /// Takes an event; `nowMilliseconds` is monotonic. Returns what is to be done, in order.
  public mutating func handle(
    _ event: TrackerEvent, nowMilliseconds now: Int64
  ) -> [TrackerAction] {
    actions = []
    if !isStarted {
      isStarted = true
      actions.append(.watchSentinels(sentinels.map(\.address)))
    }
    switch event {
    case .sentinelPolled(let poll): polled(poll, now)
    case .sentinelFailed(let address, let failure): sentinelFailed(address, failure)
    case .subscribed(let address):
      // What happened before the subscription stood was not heard.
      if index(of: address) != nil { wantsPoll = true }
    case .announced(let sentinel, let name, let payload):
      announced(by: sentinel, name: name, payload: payload, now)
    case .nodeProbed(let address, let identity): probed(address, .identified(identity), now)
    case .nodeFailed(let address, let failure): probed(address, .failed(failure), now)
    case .linkReported(let report): linkReported(report, now)
    case .tick: break
    }
    updateMembership(now)
    decide(now)
    updateFailover(now)
    updateView(now)
    schedule(now)
    updateTimeline(now)
    defer { actions = [] }
    return actions
  }

  /// Everything known, for people.
  public var status: TrackerStatus {
    let known = knownIDs
    let neverAnswered = sentinels.filter { $0.isSeed && $0.id == nil }.count
    return TrackerStatus(
      view: view,
      configEpoch: generation?.epoch ?? 0,
      sentinels: sentinels.map {
        .init(
          address: $0.address, id: $0.id, isReachable: $0.isReachable, master: $0.word?.master,
          configEpoch: $0.word?.epoch)
      },
      sentinelsReachable: reachableIDs.count,
      // A seed that never answered may be one of those that others list.
      sentinelsKnown: max(known.count, reachableIDs.count + neverAnswered),
      replicas: sentinels.first { $0.isReachable && $0.replicas != nil }?.replicas ?? [])
  }

  mutating func note(_ note: TrackerNote) {
    actions.append(.note(note))
  }

  mutating func becomeUrgent(_ now: Int64) {
    urgentUntil = max(urgentUntil, now + configuration.urgentMilliseconds)
    wantsPoll = true
  }
}
