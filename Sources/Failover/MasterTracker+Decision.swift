// SPDX-License-Identifier: Apache-2.0

// Which generation holds.
extension MasterTracker {
  mutating func decide(_ now: Int64) {
    let votes = self.votes
    noteDisagreement(votes)
    setCandidate(pickCandidate(votes), now)
    setReset(pickReset(votes), now)
    if let candidate, isSettled(for: candidate.claim, votes, now),
      let identity = verified(candidate.claim.address, since: candidate.since, votes)
    {
      let supporters = votes.values.filter { $0.master == candidate.claim.address }.count
      adopt(
        candidate.claim, identity, now,
        evidence: "\(supporters) of \(reachableIDs.count) reachable sentinels, ROLE master")
    } else if let reset, now - reset.since >= configuration.resetMilliseconds,
      reset.polls >= 2 * (knownIDs.count / 2 + 1),
      let identity = verified(reset.claim.address, since: reset.since, votes)
    {
      adopt(reset.claim, identity, now, evidence: "a majority reset its epoch, ROLE master")
    } else if !cutOverEarly(votes, now), !goBack(votes, now) {
      followRestart(votes, now)
    }
  }

  /// The claim to verify: the highest epoch's. Of two masters by one epoch, the one that a majority
  /// of all known sentinels names, or neither.
  private func pickCandidate(_ votes: [String: SentinelWord]) -> Claim? {
    guard let highest = votes.values.map(\.epoch).max(),
      highest >= generation?.epoch ?? 0
    else { return nil }
    // Of an early generation no sentinel knows yet: by the old epoch they name the old node.
    if let generation, generation.early != nil, highest == generation.epoch { return nil }
    let top = votes.values.filter { $0.epoch == highest }
    let masters = Set(top.map(\.master))
    let isContested =
      masters.count > 1 || (generation?.epoch == highest && masters != [generation?.address])
    let pick: NodeAddress?
    if isContested {
      pick = masters.first { master in
        top.filter { $0.master == master }.count * 2 > knownIDs.count
      }
    } else {
      pick = masters.first
    }
    guard let pick else { return nil }
    let claim = Claim(address: pick, epoch: highest)
    if let generation, claim == Claim(address: generation.address, epoch: generation.epoch) {
      return nil
    }
    return claim
  }

  /// A lower epoch that a majority of all known sentinels agrees on while nobody reports ours: the
  /// sentinels were reset (SENTINEL REMOVE and MONITOR on all of them).
  private func pickReset(_ votes: [String: SentinelWord]) -> Claim? {
    let ours = generation?.epoch ?? votes.values.map(\.epoch).max() ?? 0
    if generation != nil, votes.values.contains(where: { $0.epoch >= ours }) { return nil }
    var counts: [NodeAddress: [UInt64: Int]] = [:]
    for word in votes.values where word.epoch < ours {
      counts[word.master, default: [:]][word.epoch, default: 0] += 1
    }
    for (address, epochs) in counts {
      for (epoch, count) in epochs where count * 2 > knownIDs.count {
        return Claim(address: address, epoch: epoch)
      }
    }
    return nil
  }

  private mutating func setCandidate(_ claim: Claim?, _ now: Int64) {
    guard claim != candidate?.claim else { return }
    candidate = claim.map { ($0, now) }
    if let claim {
      becomeUrgent(now)
      // The very claim came from a poll just now; ask the node instead.
      wantProbe(claim.address, urgently: true)
    }
  }

  private mutating func setReset(_ claim: Claim?, _ now: Int64) {
    guard claim != reset?.claim else { return }
    reset = claim.map { ($0, now, 0) }
    if let claim { wantProbe(claim.address) }
  }

  /// At the start the first answer may be a stale sentinel's: the others get a moment, unless a
  /// majority agrees already or all were tried.
  private func isSettled(
    for claim: Claim, _ votes: [String: SentinelWord], _ now: Int64
  ) -> Bool {
    if generation != nil { return true }
    if sentinels.allSatisfy(\.wasTried) { return true }
    let supporters = votes.values.filter { $0.master == claim.address && $0.epoch == claim.epoch }
    if supporters.count * 2 > max(sentinels.count, knownIDs.count) { return true }
    return now - (firstAnswerAt ?? now) >= configuration.settleMilliseconds
  }

  /// The node's own word that it is master, to a question asked after the claim was heard. Not
  /// while the sentinel that names it is about to replace it.
  private func verified(
    _ address: NodeAddress, since: Int64, _ votes: [String: SentinelWord]
  ) -> NodeIdentity? {
    guard let node = nodes[address], node.verdictOf >= since, let identity = node.identity,
      identity.isMaster, !isBeingReplaced(address, votes)
    else { return nil }
    return identity
  }

  func isBeingReplaced(_ address: NodeAddress, _ votes: [String: SentinelWord]) -> Bool {
    votes.values.contains { $0.master == address && $0.isReplacingMaster }
  }

  /// ROLE alone proves nothing: a restarted old master says master for ten seconds. A sentinel must
  /// name it, by no lower epoch, in an answer that came after the restart was seen.
  private mutating func followRestart(_ votes: [String: SentinelWord], _ now: Int64) {
    guard let restart, let generation, generation.early == nil,
      let identity = nodes[generation.address]?.identity,
      identity.isMaster, identity.runID == restart.runID,
      !isBeingReplaced(generation.address, votes),
      !isDisowned(generation, votes),
      votes.values.contains(where: {
        $0.master == generation.address && $0.epoch >= generation.epoch
          && $0.heardAt >= restart.since
      })
    else { return }
    adopt(
      Claim(address: generation.address, epoch: generation.epoch), identity, now,
      evidence: "restarted (new run_id), still named by a sentinel, ROLE master")
  }

  /// A majority names another master by a higher epoch: what is written here will be lost.
  func isDisowned(_ generation: Generation, _ votes: [String: SentinelWord]) -> Bool {
    let others = votes.values.filter {
      $0.epoch > generation.epoch && $0.master != generation.address
    }
    return others.count * 2 > reachableIDs.count
  }

  /// `earlyBy`: the sentinel on whose selection it is taken, before any names it.
  mutating func adopt(
    _ claim: Claim, _ identity: NodeIdentity, _ now: Int64, evidence: String,
    earlyBy leader: NodeAddress? = nil
  ) {
    candidate = nil
    reset = nil
    restart = nil
    abortReason = nil
    if let old = generation, old.address == claim.address, old.runID == identity.runID {
      generation?.epoch = claim.epoch
      earlyConfirmed(now)
      return
    }
    let old = generation
    let new = Generation(
      number: (old?.number ?? 0) + 1, address: claim.address, runID: identity.runID,
      epoch: claim.epoch, previous: previous(before: claim.address, isEarly: leader != nil),
      adoptedAt: now, lastIdentity: identity, early: leader.map { UnconfirmedPromotion(leader: $0) }
    )
    if let old, old.early != nil { note(.generationAbandoned(old.number, old.address)) }
    recordSwitch(to: new, identity, evidence: evidence, now)
    if failover?.master == new.address {
      failover?.coverage = ReplicationCoverage()
    } else {
      failover = nil
    }
    fenceLiftReason = "generation \(new.number) took over"
    generation = new
    note(
      .masterSwitched(
        old: old?.address, new: new.address, epoch: new.epoch, generation: new.number,
        evidence: evidence))
    becomeUrgent(now)
    if let previous = new.previous { wantProbe(previous, urgently: true) }
  }

  /// The node that sentinels may still name. One that took over early from an early one: the last
  /// that a sentinel named.
  private func previous(before address: NodeAddress, isEarly: Bool) -> NodeAddress? {
    guard let old = generation, old.address != address else { return nil }
    return isEarly && old.early != nil && old.previous != address ? old.previous : old.address
  }

  private mutating func noteDisagreement(_ votes: [String: SentinelWord]) {
    let highest = votes.values.map(\.epoch).max() ?? 0
    var masters = Set(votes.values.filter { $0.epoch == highest }.map(\.master))
    if let generation, generation.early == nil, generation.epoch == highest, !masters.isEmpty {
      masters.insert(generation.address)
    }
    let disagreement =
      masters.count > 1 ? masters.sorted { $0.description < $1.description } : []
    if disagreement != notedDisagreement, !disagreement.isEmpty {
      note(.sentinelsDisagree(epoch: highest, masters: disagreement))
    }
    notedDisagreement = disagreement
  }
}
