// SPDX-License-Identifier: Apache-2.0

/// Something worth a line in the journal.
public enum TrackerNote: Sendable, Equatable {
  /// How urgent a note is.
  public enum Severity: Sendable, Equatable {
    /// Routine.
    case info
    /// Significant, but nothing is wrong.
    case notice
    /// Something is degraded.
    case warning
    /// Requests wait or fail because of it.
    case error
  }

  /// A node became the master of a new generation; `old` is nil at the first.
  case masterSwitched(
    old: NodeAddress?, new: NodeAddress, epoch: UInt64, generation: UInt64, evidence: String)
  /// The same generation is used again after a gap.
  case masterReachable(NodeAddress, generation: UInt64)
  /// The master does not answer us.
  case masterUnreachableFromHere(NodeAddress, reason: String)
  /// A node claims to be master and is not used.
  case staleMasterRefused(NodeAddress, reason: String)
  /// A majority of the sentinels follows: the generation is no longer provisional.
  case generationConfirmed(UInt64)
  /// A promotion that was followed early was not completed: what was written to it is lost.
  case generationAbandoned(UInt64, NodeAddress)
  /// Writes wait.
  case fenceRaised(number: UInt64, reason: String)
  /// Writes go on.
  case fenceLifted(number: UInt64, reason: String)
  /// No failover can come: requests fail fast.
  case hopeless(reason: String)
  /// A sentinel began a failover.
  case failoverStarted(sentinel: NodeAddress)
  /// A sentinel gave one up; the rest of the event's name (`no-good-slave`, `not-elected`, ...).
  case failoverAborted(sentinel: NodeAddress, reason: String)
  /// One sentinel takes the master for down.
  case subjectivelyDown(NodeAddress, sentinel: NodeAddress)
  /// A quorum takes the master for down.
  case objectivelyDown(NodeAddress, sentinel: NodeAddress)
  /// A sentinel takes the master for up again.
  case masterUp(NodeAddress, sentinel: NodeAddress)
  /// A sentinel stopped answering.
  case sentinelLost(NodeAddress, reason: String)
  /// A sentinel answers (again).
  case sentinelBack(NodeAddress)
  /// Too few sentinels are alive for a failover.
  case quorumLost(alive: Int, needed: Int)
  /// Enough are alive again.
  case quorumRestored(alive: Int, needed: Int)
  /// Sentinels name different masters by the same epoch.
  case sentinelsDisagree(epoch: UInt64, masters: [NodeAddress])
  /// The watched sentinels changed.
  case sentinelSetChanged([NodeAddress])
  /// A sentinel entered or left TILT (its clock jumped; it decides nothing meanwhile).
  case tilt(sentinel: NodeAddress, isOn: Bool)
  /// A sentinel does not know the configured master's name.
  case masterNameUnknown(sentinel: NodeAddress)
  /// A replica became promotable, or stopped being so.
  case replicaChanged(NodeAddress, isPromotable: Bool)
  /// A peer refused our credentials.
  case authenticationFailed(NodeAddress, isSentinel: Bool, message: String)
}

extension TrackerNote: CustomStringConvertible {
  /// How urgent it is.
  public var severity: Severity {
    switch self {
    case .sentinelBack, .sentinelSetChanged, .generationConfirmed, .replicaChanged: .info
    case .masterSwitched, .masterReachable, .masterUp, .quorumRestored, .failoverStarted,
      .fenceRaised, .fenceLifted:
      .notice
    case .staleMasterRefused, .subjectivelyDown, .objectivelyDown, .sentinelLost,
      .sentinelsDisagree, .tilt, .masterNameUnknown, .failoverAborted, .quorumLost:
      .warning
    case .masterUnreachableFromHere, .generationAbandoned, .hopeless, .authenticationFailed: .error
    }
  }

  /// In plain words, one line.
  public var description: String {
    switch self {
    case .masterSwitched(let old, let new, let epoch, let generation, let evidence):
      "master is \(new)\(old.map { ", was \($0)" } ?? "") "
        + "(epoch \(epoch), generation \(generation)): \(evidence)"
    case .masterReachable(let node, let generation):
      "master \(node) is used again (generation \(generation))"
    case .masterUnreachableFromHere(let node, let reason):
      "master \(node) cannot be used from here: \(reason)"
    case .staleMasterRefused(let node, let reason): "\(node) is not used: \(reason)"
    case .generationConfirmed(let generation):
      "generation \(generation) is confirmed by a majority of the sentinels"
    case .generationAbandoned(let generation, let node):
      "generation \(generation) is abandoned, writes to \(node) since its promotion are lost"
    case .fenceRaised(let number, let reason): "writes wait (fence \(number)): \(reason)"
    case .fenceLifted(let number, let reason): "writes go on (fence \(number)): \(reason)"
    case .hopeless(let reason): "no master, and no failover can come: \(reason)"
    case .failoverStarted(let sentinel): "sentinel \(sentinel) started a failover"
    case .failoverAborted(let sentinel, let reason):
      "sentinel \(sentinel) gave up the failover: \(reason)"
    case .subjectivelyDown(let node, let sentinel): "sentinel \(sentinel) misses master \(node)"
    case .objectivelyDown(let node, let sentinel):
      "sentinel \(sentinel): a quorum agrees that master \(node) is down"
    case .masterUp(let node, let sentinel): "sentinel \(sentinel) sees master \(node) up"
    case .sentinelLost(let sentinel, let reason):
      "sentinel \(sentinel) does not answer: \(reason)"
    case .sentinelBack(let sentinel): "sentinel \(sentinel) answers"
    case .quorumLost(let alive, let needed):
      "\(alive) sentinels are alive, a failover needs \(needed)"
    case .quorumRestored(let alive, let needed):
      "\(alive) sentinels are alive again, a failover needs \(needed)"
    case .sentinelsDisagree(let epoch, let masters):
      "sentinels name \(masters.map(\.description).joined(separator: " and ")) "
        + "by the same epoch \(epoch): keeping what we have"
    case .sentinelSetChanged(let sentinels):
      "watching sentinels \(sentinels.map(\.description).joined(separator: ", "))"
    case .tilt(let sentinel, let isOn):
      "sentinel \(sentinel) \(isOn ? "entered" : "left") TILT mode"
    case .masterNameUnknown(let sentinel):
      "sentinel \(sentinel) does not know the configured master name"
    case .replicaChanged(let node, let isPromotable):
      "replica \(node) \(isPromotable ? "can" : "cannot") be promoted"
    case .authenticationFailed(let node, let isSentinel, let message):
      "\(isSentinel ? "sentinel" : "Redis") \(node) refused our credentials: \(message)"
    }
  }
}
