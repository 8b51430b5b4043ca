// SPDX-License-Identifier: Apache-2.0

// Whether the generation's node may be used, and how urgent things are.
extension MasterTracker {
  mutating func updateView(_ now: Int64) {
    let votes = self.votes
    updateQuorum(votes, now)
    let next: MasterView
    if let generation, let reason = whyUnusable(generation, votes) {
      let wasServing = view.isServing && view.generation == generation.number
      self.generation?.isInGap = true
      next = makeView(waitOrGiveUp(reason, votes, now))
      if wasServing { noteGap(generation, reason) }
    } else if let generation {
      hopelessSince = nil
      next = makeView(resume(generation, votes, now))
    } else {
      next = makeView(waitOrGiveUp(whyNone(votes), votes, now))
    }
    guard next != view else { return }
    noteFence(next)
    if case .hopeless(let reason) = next.state, !isHopeless(view) {
      note(.hopeless(reason: reason))
    }
    view = next
    actions.append(.publish(next))
  }

  private mutating func noteFence(_ next: MasterView) {
    guard next.fence?.number != view.fence?.number else { return }
    if let fence = view.fence { note(.fenceLifted(number: fence.number, reason: fenceLiftReason)) }
    if let fence = next.fence { note(.fenceRaised(number: fence.number, reason: fence.reason)) }
  }

  private func isHopeless(_ view: MasterView) -> Bool {
    switch view.state {
    case .hopeless: true
    case .serving, .waiting: false
    }
  }

  private func makeView(_ state: MasterView.State) -> MasterView {
    MasterView(
      generation: generation?.number ?? 0, address: generation?.address,
      runID: generation?.runID, state: state, fence: fence, replicaCount: promotableReplicaCount,
      failoverNumber: timelinesMade)
  }

  /// Nil while the node itself confirms that it is this generation's master.
  private func whyUnusable(
    _ generation: Generation, _ votes: [String: SentinelWord]
  ) -> String? {
    switch nodes[generation.address]?.verdict ?? .unknown {
    case .unknown: return "\(generation.address) was not asked yet"
    case .failed(let failure): return "\(generation.address): \(failure.reason)"
    case .identified(let identity):
      if !identity.isMaster { return "\(generation.address) says it is a \(identity.role)" }
      if identity.runID != generation.runID {
        return "\(generation.address) was restarted and no sentinel has confirmed it yet"
      }
    }
    if isDisowned(generation, votes) {
      let other = candidate.map { "\($0.claim.address)" } ?? "another node"
      return "a majority of the sentinels names \(other), which is not verified yet"
    }
    return nil
  }

  private func whyNone(_ votes: [String: SentinelWord]) -> String {
    if !sentinels.contains(where: \.isReachable) { return "no sentinel answers" }
    if votes.isEmpty { return "no sentinel knows a master named '\(configuration.masterName)'" }
    guard let candidate else { return "the sentinels name different masters by the same epoch" }
    let address = candidate.claim.address
    switch nodes[address]?.verdict ?? .unknown {
    case .unknown: return "\(address) was not asked yet"
    case .failed(let failure): return "\(address): \(failure.reason)"
    case .identified(let identity):
      if !identity.isMaster { return "\(address) says it is a \(identity.role)" }
      return "\(address) is being verified"
    }
  }

  private mutating func noteGap(_ generation: Generation, _ reason: String) {
    switch nodes[generation.address]?.verdict ?? .unknown {
    case .failed(let failure):
      note(.masterUnreachableFromHere(generation.address, reason: failure.reason))
    case .unknown, .identified: note(.staleMasterRefused(generation.address, reason: reason))
    }
  }

  /// The node is good. After a gap a failover may have begun meanwhile: a sentinel that answers must
  /// have been heard since, and not be about to replace the node.
  private mutating func resume(
    _ generation: Generation, _ votes: [String: SentinelWord], _ now: Int64
  ) -> MasterView.State {
    if generation.isInGap {
      let since = generation.regainedAt
      if since == nil {
        self.generation?.regainedAt = now
        becomeUrgent(now)
      }
      if isBeingReplaced(generation.address, votes) {
        return .waiting(reason: "a failover is replacing \(generation.address)")
      }
      let isHeardSince = votes.values.contains { $0.heardAt >= since ?? .max }
      if !votes.isEmpty, !isHeardSince {
        return .waiting(reason: "\(generation.address) is back, a sentinel is being asked")
      }
      abortReason = nil
      self.generation?.isInGap = false
      self.generation?.regainedAt = nil
      note(.masterReachable(generation.address, generation: generation.number))
    }
    return .serving(isProvisional: isProvisional(generation, votes))
  }

  /// Until a majority of the reachable sentinels follows, and while one names the old node, which
  /// may still be master.
  private mutating func isProvisional(
    _ generation: Generation, _ votes: [String: SentinelWord]
  ) -> Bool {
    if generation.isConfirmed { return false }
    if generation.early != nil {
      self.generation?.wasProvisional = true
      return true
    }
    let followers = votes.values.filter {
      $0.master == generation.address && $0.epoch >= generation.epoch
    }
    if followers.count * 2 > reachableIDs.count {
      self.generation?.isConfirmed = true
      if generation.wasProvisional { note(.generationConfirmed(generation.number)) }
      return false
    }
    guard let previous = generation.previous,
      votes.values.contains(where: { $0.master == previous })
    else { return false }
    // Dead before the switch is dead; alive before it must be asked again.
    let isOldMasterAlive: Bool
    switch nodes[previous]?.verdict ?? .unknown {
    case .unknown: isOldMasterAlive = true
    case .failed: isOldMasterAlive = false
    case .identified(let identity): isOldMasterAlive = identity.isMaster
    }
    if isOldMasterAlive { self.generation?.wasProvisional = true }
    return isOldMasterAlive
  }

  // MARK: No master

  private mutating func waitOrGiveUp(
    _ reason: String, _ votes: [String: SentinelWord], _ now: Int64
  ) -> MasterView.State {
    generation?.regainedAt = nil
    guard let cause = whyNoFailover(votes) else {
      hopelessSince = nil
      return .waiting(reason: reason)
    }
    // What one poll says is no verdict: reachability is being looked at again right now.
    let since = hopelessSince ?? now
    hopelessSince = since
    if now - since < configuration.hopelessAfterMilliseconds { return .waiting(reason: reason) }
    return .hopeless(reason: reason == cause ? reason : "\(reason); \(cause)")
  }

  /// Why no failover can come; nil when one can.
  private func whyNoFailover(_ votes: [String: SentinelWord]) -> String? {
    guard sentinels.contains(where: \.isReachable) else { return "no sentinel answers" }
    if votes.isEmpty {
      // A word may be missing for a moment, between two epochs.
      return sentinels.contains { $0.isReachable && $0.knowsMaster }
        ? nil : "no sentinel knows a master named '\(configuration.masterName)'"
    }
    if votes.values.contains(where: { $0.flags.contains(.failoverInProgress) }) { return nil }
    if let candidate, candidate.claim.address != generation?.address,
      candidate.claim.epoch > generation?.epoch ?? .max
    {
      // It has come already; the node is being verified.
      return nil
    }
    let alive = aliveIDs.count
    let needed = sentinelsNeeded(votes)
    if alive < needed { return "\(alive) sentinels are alive, a failover needs \(needed)" }
    if let abortReason { return "the failover was given up (\(abortReason))" }
    let lists = sentinels.lazy.filter(\.isReachable).compactMap(\.replicas)
    if !lists.isEmpty, !lists.contains(where: { $0.contains(where: \.isPromotable) }) {
      return "no replica can be promoted"
    }
    return nil
  }

  /// Sentinels that must be alive: the quorum for `o_down`, a majority for the election.
  private func sentinelsNeeded(_ votes: [String: SentinelWord]) -> Int {
    let total = max(knownIDs.count, (votes.values.map(\.otherSentinels).max() ?? 0) + 1)
    return max(votes.values.map(\.quorum).max() ?? 1, total / 2 + 1)
  }

  private mutating func updateQuorum(_ votes: [String: SentinelWord], _ now: Int64) {
    let alive = aliveIDs.count
    let needed = votes.isEmpty ? max(1, knownIDs.count / 2 + 1) : sentinelsNeeded(votes)
    if alive >= needed {
      quorumShortSince = nil
      if isQuorumNotedLost { note(.quorumRestored(alive: alive, needed: needed)) }
      isQuorumNotedLost = false
      return
    }
    let since = quorumShortSince ?? now
    quorumShortSince = since
    if !isQuorumNotedLost, now - since >= configuration.hopelessAfterMilliseconds {
      isQuorumNotedLost = true
      note(.quorumLost(alive: alive, needed: needed))
    }
  }

  // MARK: Pace

  mutating func schedule(_ now: Int64) {
    let next = isFastFailover(now) ? PollPace.failover : isUrgent(now) ? .urgent : .stable
    if next != pace {
      pace = next
      actions.append(.setPace(next))
    }
    scheduleProbes(now)
    scheduleLeaderPoll(now)
    if wantsPoll {
      wantsPoll = false
      actions.append(.pollSentinels)
    }
  }

  private func isUrgent(_ now: Int64) -> Bool {
    if now < urgentUntil || fence != nil { return true }
    switch view.state {
    case .serving(isProvisional: false): break
    case .serving(isProvisional: true), .waiting, .hopeless: return true
    }
    return sentinels.contains { record in
      guard record.isReachable, let word = record.word else { return false }
      return word.master == view.address
        && !word.flags.isDisjoint(with: [
          .subjectivelyDown, .objectivelyDown, .failoverInProgress,
        ])
    }
  }
}
