// SPDX-License-Identifier: Apache-2.0

/// What made a generation that no sentinel has named yet.
struct UnconfirmedPromotion: Equatable {
  /// The sentinel that promoted it.
  let leader: NodeAddress
  /// Set when it was not confirmed in time: a sentinel's word is waited for.
  var fence: Fence?
}

// Following a promotion before the sentinels announce it, and the way back.
extension MasterTracker {
  /// Takes over the leader's choice as soon as it says itself that it is master.
  mutating func cutOverEarly(_ votes: [String: SentinelWord], _ now: Int64) -> Bool {
    guard let generation, let failover, !failover.isContested, failover.clearAnswers < 2,
      isEarlyCutOverAllowed(failover), let selected = failover.leadersChoice,
      selected != generation.address, isKnownReplica(selected),
      let leader = index(of: failover.leader), sentinels[leader].id != nil,
      let node = nodes[selected], node.verdictOf >= failover.selectedAt,
      let identity = node.identity, identity.isMaster,
      !votes.values.contains(where: { $0.epoch > generation.epoch && $0.master != selected })
    else { return false }
    adopt(
      Claim(address: selected, epoch: generation.epoch), identity, now,
      evidence: "sentinel \(failover.leader) selected it, ROLE master (no sentinel names it yet)",
      earlyBy: failover.leader)
    return true
  }

  private func isEarlyCutOverAllowed(_ failover: PendingFailover) -> Bool {
    switch configuration.earlyCutOver {
    case .never: false
    case .crash: !failover.isForced
    case .always: true
    }
  }

  /// A sentinel lists it as a replica: an event alone could name any node.
  private func isKnownReplica(_ address: NodeAddress) -> Bool {
    sentinels.contains { record in
      record.isReachable && record.replicas?.contains { $0.address == address } == true
    }
  }

  /// Not confirmed in time: writes wait for a sentinel's word, reads go on.
  mutating func expireEarly(_ now: Int64) {
    guard let generation, let early = generation.early, early.fence == nil,
      now - generation.adoptedAt >= configuration.provisionalMilliseconds
    else { return }
    fencesRaised += 1
    self.generation?.early?.fence = Fence(
      number: fencesRaised,
      reason: "no sentinel has confirmed the promotion of \(generation.address)",
      sinceMilliseconds: now)
    becomeUrgent(now)
  }

  /// A sentinel names the early generation by a higher epoch than the old one's.
  mutating func earlyConfirmed(_ now: Int64) {
    guard let generation, generation.early != nil else { return }
    self.generation?.early = nil
    if failover?.master != generation.address { failover = nil }
    fenceLiftReason = "a sentinel confirmed \(generation.address)"
    timeline?.confirmedMilliseconds = now
    timeline?.epoch = generation.epoch
  }

  /// The leader was lost before it told the others: a majority still names the old master, which is
  /// one, and no failover goes on. What was written meanwhile is lost.
  mutating func goBack(_ votes: [String: SentinelWord], _ now: Int64) -> Bool {
    guard let generation, let fence = generation.early?.fence, let old = generation.previous,
      !votes.values.contains(where: { $0.flags.contains(.failoverInProgress) }),
      let node = nodes[old], node.verdictOf >= fence.sinceMilliseconds,
      let identity = node.identity, identity.isMaster
    else { return false }
    let supporters = votes.values.filter {
      $0.master == old && $0.heardAt >= fence.sinceMilliseconds
    }
    guard supporters.count * 2 > knownIDs.count else { return false }
    adopt(
      Claim(address: old, epoch: generation.epoch), identity, now,
      evidence: "\(supporters.count) of \(knownIDs.count) sentinels still name it, ROLE master; "
        + "the promotion of \(generation.address) was not completed")
    return true
  }
}
