// SPDX-License-Identifier: Apache-2.0

/// What one sentinel said last, by a pair of equal epochs.
struct SentinelWord: Equatable {
  var epoch: UInt64
  var master: NodeAddress
  var flags: InstanceFlags
  var failoverState: String?
  var quorum: Int
  var otherSentinels: Int
  var heardAt: Int64

  /// The leader is about to replace the node it still names. (`wait_start` is left out: a failover
  /// that finds no votes stays there for ten seconds and then gives up.)
  var isReplacingMaster: Bool {
    guard flags.contains(.failoverInProgress) else { return false }
    switch failoverState {
    case "select_slave", "send_slaveof_noone", "wait_promotion": return true
    case .none, .some: return false
    }
  }
}

/// A sentinel that is watched.
struct SentinelRecord {
  let address: NodeAddress
  let isSeed: Bool
  /// When it was added, or last listed by another sentinel.
  var listedAt: Int64
  /// MYID as it said itself; stays when it becomes unreachable.
  var id: String?
  var isReachable = false
  var wasTried = false
  var isNotedLost = false
  var failure: ProbeFailure?
  var answeredAt: Int64?
  var knowsMaster = true
  /// It takes the master for objectively down; as announced or polled, whichever came last.
  var seesObjectivelyDown = false
  var epochsMismatched = false
  var word: SentinelWord?
  var peers: [PeerSentinel] = []
  var replicas: [ReplicaRecord]?
  var replicasAt: Int64 = .min
}

/// A node that is probed.
struct NodeRecord {
  enum Verdict: Equatable {
    case unknown
    case identified(NodeIdentity)
    case failed(ProbeFailure)
  }

  var verdict = Verdict.unknown
  /// When the probe began that gave the verdict.
  var verdictOf: Int64 = .min
  var isProbing = false
  var probedAt: Int64?
  /// Probe as soon as the minimal spacing allows.
  var isWanted = false
  /// Probe at once.
  var isUrgent = false

  var identity: NodeIdentity? {
    if case .identified(let identity) = verdict { return identity }
    return nil
  }
}

/// The master in use: a new one for each new pair of address and run_id.
struct Generation {
  let number: UInt64
  let address: NodeAddress
  let runID: String
  /// The epoch by which it was named; follows the sentinels upwards.
  var epoch: UInt64
  /// The node it took over from; nil for the first, and for a restart at the same address.
  let previous: NodeAddress?
  let adoptedAt: Int64
  /// What the node said last as master of this generation.
  var lastIdentity: NodeIdentity
  /// Taken before any sentinel named it; nil once one does.
  var early: UnconfirmedPromotion?
  /// A majority followed once.
  var isConfirmed = false
  var wasProvisional = false
  /// It stopped being usable.
  var isInGap = false
  /// In a gap: since when its own answer is good again.
  var regainedAt: Int64?
}

/// A claim that is not followed yet.
struct Claim: Equatable {
  var address: NodeAddress
  var epoch: UInt64
}
