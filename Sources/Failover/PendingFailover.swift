// SPDX-License-Identifier: Apache-2.0

/// A failover that is to replace the master, as far as its leader was heard. While one is pending
/// writes are fenced.
struct PendingFailover {
  let fenceNumber: UInt64
  /// The node that is to be replaced.
  let master: NodeAddress
  let begunAt: Int64
  /// The sentinel that leads it.
  var leader: NodeAddress
  /// Commanded by `SENTINEL FAILOVER`; else it follows an `o_down`.
  var isForced: Bool
  /// Two sentinels lead at once: whose replica wins is not known before one of them says so.
  var isContested = false

  /// The replica to be promoted, which sentinel chose it, and when we heard of it.
  var selected: NodeAddress?
  var selectedBy: NodeAddress?
  var selectedAt: Int64 = .min

  var leaderPolledAt: Int64?
  /// Answers in a row in which the leader led no failover. A sentinel is asked one question at a
  /// time, so the second was surely asked after the fence began.
  var clearAnswers = 0
  /// Since when the leader leads no more, or is given up as lost.
  var leaderGoneAt: Int64?
  var coverage = ReplicationCoverage()

  /// The replica that the leader of now chose.
  var leadersChoice: NodeAddress? { selectedBy == leader ? selected : nil }

  /// When it last went a step on: nodes are asked often for a while after that.
  var advancedAt: Int64 { max(begunAt, selectedAt) }

  var fence: Fence {
    Fence(
      number: fenceNumber,
      reason: "sentinel \(leader) is failing over \(master)",
      sinceMilliseconds: begunAt, coveredMilliseconds: coverage.coveredMilliseconds)
  }
}

/// Which writes to a master are on a replica, from what both say about their offsets.
struct ReplicationCoverage {
  private static let marksMax = 64

  private struct Mark {
    /// When the question began: replies that came before it are about earlier bytes.
    let beganAt: Int64
    let offset: UInt64
  }

  /// Writes whose replies came before this are on the replica. Only rises.
  private(set) var coveredMilliseconds: Int64 = .min
  private var replicationID = ""
  private var marks: [Mark] = []
  private var replicaOffset: UInt64?

  mutating func masterSaid(_ identity: NodeIdentity, beganAt: Int64) {
    guard identity.isMaster, !identity.replicationID.isEmpty else { return }
    if identity.replicationID != replicationID {
      // Another history: its offsets do not compare.
      replicationID = identity.replicationID
      marks = []
      replicaOffset = nil
    }
    marks.append(Mark(beganAt: beganAt, offset: identity.offset))
    if marks.count > Self.marksMax { marks.removeFirst() }
    settle()
  }

  mutating func replicaSaid(_ identity: NodeIdentity) {
    guard !identity.isMaster, identity.replicationID == replicationID, !replicationID.isEmpty else {
      return
    }
    replicaOffset = max(identity.offset, replicaOffset ?? 0)
    settle()
  }

  /// Another replica is to be promoted: what the former has says nothing.
  mutating func replicaChanged() {
    replicaOffset = nil
  }

  private mutating func settle() {
    guard let replicaOffset else { return }
    for mark in marks where mark.offset <= replicaOffset {
      coveredMilliseconds = max(coveredMilliseconds, mark.beganAt)
    }
    marks.removeAll { $0.offset <= replicaOffset }
  }
}
