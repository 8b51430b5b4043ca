// SPDX-License-Identifier: Apache-2.0

// Failovers that are about to replace the master: writes wait while one is pending.
extension MasterTracker {
  /// While a failover goes on its nodes are asked this often, after a while less.
  static let failoverProbeMilliseconds: Int64 = 5
  static let slowFailoverProbeMilliseconds: Int64 = 50
  static let fastProbesForMilliseconds: Int64 = 2000
  static let leaderPollMilliseconds: Int64 = 50

  // MARK: Hearing of one

  /// A watched sentinel says that it leads a failover. `isStart` for the events that come before the
  /// selection only: they tell a second failover from the one that made an early generation.
  mutating func failoverHeard(
    by index: Int, of master: NodeAddress, isForced: Bool, isStart: Bool, _ now: Int64
  ) {
    let leader = sentinels[index].address
    guard isReplacing(master, leader: leader, isStart: isStart) else { return }
    guard var failover, failover.master == master else {
      if failover?.master == generation?.address, failover != nil { return }
      fencesRaised += 1
      failover = PendingFailover(
        fenceNumber: fencesRaised, master: master, begunAt: now, leader: leader,
        isForced: isForced)
      recordFenced(isForced: isForced, now)
      becomeUrgent(now)
      return
    }
    if failover.leader != leader {
      if isLeading(failover) { failover.isContested = true }
      failover.leader = leader
      failover.leaderPolledAt = nil
    } else if isStart {
      // The same sentinel starts anew: its former choice counts no more.
      failover.selectedBy = nil
    }
    failover.clearAnswers = 0
    failover.leaderGoneAt = nil
    failover.isForced = isForced
    self.failover = failover
  }

  /// A failover of our master; while its successor is not confirmed, also another one of the old.
  private func isReplacing(_ master: NodeAddress, leader: NodeAddress, isStart: Bool) -> Bool {
    guard let generation else { return false }
    if master == generation.address { return true }
    guard let early = generation.early, master == generation.previous else { return false }
    return isStart || leader != early.leader
  }

  /// The leader's choice.
  mutating func selected(_ replica: NodeAddress, by index: Int, _ now: Int64) {
    let leader = sentinels[index].address
    guard failover?.leader == leader, failover?.master != replica,
      failover?.selected != replica || failover?.selectedBy != leader
    else { return }
    if failover?.selected != replica { failover?.coverage.replicaChanged() }
    failover?.selected = replica
    failover?.selectedBy = leader
    failover?.selectedAt = now
    timeline?.selectedMilliseconds = now
    wantProbe(replica, urgently: true)
  }

  /// A poll may be the first we hear of a failover, or of its end.
  mutating func failoverPolled(_ index: Int, isConsistent: Bool, _ now: Int64) {
    let record = sentinels[index]
    guard let word = record.word, isConsistent else { return }
    if let master = replacedMaster(word), !isFirstFailover(of: master, by: record.address) {
      let isForced = word.flags.contains(.forcedFailover)
      failoverHeard(by: index, of: master, isForced: isForced, isStart: false, now)
      // A list of an earlier poll may be about an earlier failover.
      let list = record.replicasAt == now ? record.replicas : nil
      let promoted = list?.first { $0.flags.contains(.promoted) }?.address
      if let choice = word.master == master ? promoted : word.master {
        selected(choice, by: index, now)
      }
    } else if failover?.leader == record.address {
      if word.flags.contains(.failoverInProgress) {
        failover?.clearAnswers = 0
      } else {
        failover?.clearAnswers += 1
      }
    }
  }

  /// The node that the speaker is replacing; nil if it is replacing none (yet).
  private func replacedMaster(_ word: SentinelWord) -> NodeAddress? {
    guard word.flags.contains(.failoverInProgress) else { return nil }
    switch word.failoverState {
    case "select_slave", "send_slaveof_noone", "wait_promotion": return word.master
    case "wait_start":
      // Commanded: nobody's vote is needed, its next tick elects itself.
      return word.flags.contains(.forcedFailover) ? word.master : nil
    case "reconf_slaves", "update_config":
      // From here on it names the promoted one, by the new epoch.
      guard let generation, word.master != generation.address, word.epoch > generation.epoch else {
        return nil
      }
      return generation.address
    case .none, .some: return nil
    }
  }

  /// The failover that made our early generation is no threat to it.
  private func isFirstFailover(of master: NodeAddress, by leader: NodeAddress) -> Bool {
    guard let generation, let early = generation.early else { return false }
    return early.leader == leader && master == generation.previous
      && failover?.leader != leader
  }

  private func isLeading(_ failover: PendingFailover) -> Bool {
    guard let index = index(of: failover.leader) else { return false }
    return sentinels[index].isReachable && failover.clearAnswers == 0
  }

  // MARK: What its nodes say

  mutating func noteCoverage(_ address: NodeAddress, _ node: NodeRecord) {
    guard let failover, let identity = node.identity else { return }
    if address == failover.master {
      self.failover?.coverage.masterSaid(identity, beganAt: node.verdictOf)
    } else if address == failover.selected {
      self.failover?.coverage.replicaSaid(identity)
    }
  }

  // MARK: The end

  /// Ends the fence when the failover was given up and the old master stays; nothing that a sentinel
  /// announces does that.
  mutating func updateFailover(_ now: Int64) {
    let votes = self.votes
    expireEarly(now)
    guard let failover, let generation else {
      self.failover = nil
      return
    }
    let goneAt = isLeaderGone(failover, votes, now) ? failover.leaderGoneAt ?? now : nil
    self.failover?.leaderGoneAt = goneAt
    guard let goneAt, isSettledAgain(failover, generation, since: goneAt, votes, now) else {
      return
    }
    self.failover = nil
    fenceLiftReason = "the failover was given up, \(generation.address) stays"
    if generation.early?.fence != nil {
      // It shows again, as the latest.
      fencesRaised += 1
      self.generation?.early?.fence?.number = fencesRaised
    }
  }

  private func isLeaderGone(
    _ failover: PendingFailover, _ votes: [String: SentinelWord], _ now: Int64
  ) -> Bool {
    let isThreatened = votes.values.contains { word in
      if word.master != failover.master { return word.epoch > generation?.epoch ?? 0 }
      return replacedMaster(word) == failover.master
        && !isFirstFailover(of: failover.master, by: failover.leader)
    }
    if isThreatened { return false }
    if let index = index(of: failover.leader), sentinels[index].isReachable,
      sentinels[index].knowsMaster
    {
      return failover.clearAnswers >= 2
    }
    return now - failover.begunAt >= configuration.waitMilliseconds
  }

  /// The node in use says master, and the one that was to replace it says that it is its replica.
  private func isSettledAgain(
    _ failover: PendingFailover, _ generation: Generation, since: Int64,
    _ votes: [String: SentinelWord], _ now: Int64
  ) -> Bool {
    guard let old = nodes[generation.address], old.verdictOf >= since, let master = old.identity,
      master.isMaster, master.runID == generation.runID
    else { return false }
    guard let address = failover.selected, address != generation.address else { return true }
    let replica = nodes[address]
    if let replica, replica.verdictOf >= since, let identity = replica.identity {
      if identity.isMaster { return false }
      // Of another node than ours only where ours is an early one: the old may be dead.
      if generation.early != nil || identity.isReplica(of: generation.address, master) {
        return true
      }
    }
    // It may never come back. What a majority says by then is final, too.
    guard now - since >= configuration.waitMilliseconds, replica?.identity?.isMaster != true else {
      return false
    }
    let supporters = votes.values.filter {
      $0.master == generation.address && $0.heardAt >= since
    }
    return supporters.count * 2 > knownIDs.count
  }

  /// What the shards are told.
  var fence: Fence? { failover?.fence ?? generation?.early?.fence }

  // MARK: Pace

  /// Whether nodes are asked every few milliseconds.
  func isFastFailover(_ now: Int64) -> Bool {
    guard let failover else { return false }
    return now - failover.advancedAt < Self.fastProbesForMilliseconds
  }

  /// Between probes of a node that takes part in a failover; nil for others.
  func failoverProbeInterval(_ address: NodeAddress, _ now: Int64) -> Int64? {
    guard let failover,
      address == failover.selected || address == failover.master || address == generation?.address
    else { return nil }
    return isFastFailover(now)
      ? Self.failoverProbeMilliseconds : Self.slowFailoverProbeMilliseconds
  }

  mutating func scheduleLeaderPoll(_ now: Int64) {
    guard let failover, index(of: failover.leader) != nil else { return }
    if let last = failover.leaderPolledAt, now - last < Self.leaderPollMilliseconds { return }
    self.failover?.leaderPolledAt = now
    actions.append(.pollSentinel(failover.leader))
  }
}

extension NodeIdentity {
  /// Whether it is a connected replica of that node. A node may be known by several names, so the
  /// same replication history counts as well as the same address.
  func isReplica(of address: NodeAddress, _ master: NodeIdentity) -> Bool {
    guard role == "slave", isLinkedToMaster else { return false }
    return self.master == address
      || (!replicationID.isEmpty && replicationID == master.replicationID)
  }
}
