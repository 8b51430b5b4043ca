// SPDX-License-Identifier: Apache-2.0

/// The tracker for a single Redis without sentinels: used while its own `ROLE` says master.
public struct FixedTracker: Tracker {
  /// Times, in milliseconds.
  public struct Configuration: Sendable {
    /// Time between probes while all is well.
    public var probeMilliseconds: Int64 = 1500
    /// Time between probes while it is not used.
    public var urgentProbeMilliseconds: Int64 = 100

    /// The defaults.
    public init() {}
  }

  /// What the shards were last told.
  public private(set) var view = MasterView.initial
  private let address: NodeAddress
  private let configuration: Configuration
  private var isProbing = false
  private var wantsProbe = true
  private var lastProbeAt: Int64?
  private var pace: PollPace?

  /// A tracker for the node at this address.
  public init(address: NodeAddress, configuration: Configuration = Configuration()) {
    self.address = address
    self.configuration = configuration
  }

  /// The view; a fixed node has no sentinels.
  public var status: TrackerStatus {
    TrackerStatus(view: view)
  }

  /// Takes an event; returns what is to be done, in order.
  public mutating func handle(
    _ event: TrackerEvent, nowMilliseconds: Int64
  ) -> [TrackerAction] {
    var actions: [TrackerAction] = []
    switch event {
    case .nodeProbed(address, let identity):
      isProbing = false
      probed(identity, into: &actions)
    case .nodeFailed(address, let failure):
      isProbing = false
      failed(failure, into: &actions)
    case .linkReported(let report):
      if report.generation == view.generation, report.event != .ready { wantsProbe = true }
    case .tick, .nodeProbed, .nodeFailed, .sentinelPolled, .sentinelFailed, .subscribed,
      .announced:
      break
    }
    schedule(nowMilliseconds, into: &actions)
    return actions
  }

  private mutating func probed(_ identity: NodeIdentity, into actions: inout [TrackerAction]) {
    var next = view
    next.replicaCount = identity.isMaster ? identity.replicaCount : 0
    if !identity.isMaster {
      next.state = .waiting(reason: "\(address) says it is a \(identity.role), not a master")
      if next != view {
        actions.append(.note(.staleMasterRefused(address, reason: "it is a \(identity.role)")))
      }
    } else if identity.runID != view.runID {
      next.generation += 1
      next.address = address
      next.runID = identity.runID
      next.state = .serving(isProvisional: false)
      actions.append(
        .note(
          .masterSwitched(
            old: view.address, new: address, epoch: 0, generation: next.generation,
            evidence: view.runID == nil ? "the only node, ROLE master" : "restarted (new run_id)")))
    } else {
      next.state = .serving(isProvisional: false)
      if !view.isServing {
        actions.append(.note(.masterReachable(address, generation: next.generation)))
      }
    }
    publish(next, into: &actions)
  }

  private mutating func failed(_ failure: ProbeFailure, into actions: inout [TrackerAction]) {
    // Busy says nothing about its role: what was known stays.
    if case .busy = failure, view.isServing { return }
    var next = view
    next.state = .waiting(reason: "\(address): \(failure.reason)")
    if next != view {
      if case .authentication(let message) = failure {
        actions.append(.note(.authenticationFailed(address, isSentinel: false, message: message)))
      } else {
        actions.append(.note(.masterUnreachableFromHere(address, reason: failure.reason)))
      }
    }
    publish(next, into: &actions)
  }

  private mutating func publish(_ next: MasterView, into actions: inout [TrackerAction]) {
    guard next != view else { return }
    view = next
    actions.append(.publish(next))
  }

  private mutating func schedule(_ now: Int64, into actions: inout [TrackerAction]) {
    let nextPace: PollPace = view.isServing && !wantsProbe ? .stable : .urgent
    if nextPace != pace {
      pace = nextPace
      actions.append(.setPace(nextPace))
    }
    guard !isProbing else { return }
    let interval =
      view.isServing ? configuration.probeMilliseconds : configuration.urgentProbeMilliseconds
    // Reports of a flapping link must not turn into a probe storm.
    let due = lastProbeAt.map { $0 + (wantsProbe ? 20 : interval) } ?? now
    guard now >= due else { return }
    isProbing = true
    wantsProbe = false
    lastProbeAt = now
    actions.append(.probe(address))
  }
}
