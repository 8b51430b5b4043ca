// SPDX-License-Identifier: Apache-2.0

// The record of each failover, for people.
extension MasterTracker {
  /// An odd word of a sentinel opens a record; one that nothing follows is closed after this.
  static let falseAlarmMilliseconds: Int64 = 1000

  mutating func recordSign(_ now: Int64) {
    if firstSignAt == nil { firstSignAt = now }
  }

  /// The node itself says that all is well: what looked like a sign was none.
  mutating func recordHealthy(probeBeganAt: Int64) {
    guard timeline == nil, let sign = firstSignAt, sign < probeBeganAt,
      !votes.values.contains(where: { $0.flags.isDown })
    else { return }
    firstSignAt = nil
  }

  mutating func recordFailover(_ kind: FailoverTimeline.Kind, _ now: Int64) {
    recordSign(now)
    guard let generation else { return }
    if let timeline {
      // One that is over but for a majority's word makes room for the next.
      if timeline.cutOverMilliseconds == nil {
        if timeline.kind == .unknown { self.timeline?.kind = kind }
        return
      }
      closeTimeline(.switched, now)
      firstSignAt = now
    }
    timelinesMade += 1
    var timeline = FailoverTimeline(
      number: timelinesMade, kind: kind, oldAddress: generation.address,
      oldGeneration: generation.number)
    timeline.firstSignMilliseconds = firstSignAt
    self.timeline = timeline
    timelineOpenedAt = now
  }

  mutating func recordObjectivelyDown(_ now: Int64) {
    recordFailover(.crash, now)
    if timeline?.objectivelyDownMilliseconds == nil {
      timeline?.objectivelyDownMilliseconds = now
    }
  }

  mutating func recordFenced(isForced: Bool, _ now: Int64) {
    // A second failover of the old master, while its successor is early, has no record of its own
    // before it switches.
    if let generation, generation.early != nil, failover?.master != generation.address { return }
    recordFailover(isForced ? .planned : .crash, now)
    timeline?.fencedMilliseconds = now
  }

  mutating func recordPromotion(_ address: NodeAddress, _ identity: NodeIdentity, _ now: Int64) {
    guard identity.isMaster, address == failover?.selected, address != generation?.address,
      timeline?.cutOverMilliseconds == nil, timeline?.promotionSeenMilliseconds == nil
    else { return }
    timeline?.promotionSeenMilliseconds = now
  }

  /// Called before `new` becomes the generation.
  mutating func recordSwitch(
    to new: Generation, _ identity: NodeIdentity, evidence: String, _ now: Int64
  ) {
    guard let old = generation else { return }
    if old.early != nil {
      closeTimeline(.abandoned, now)
      if new.address == old.previous { return }
      firstSignAt = now
    }
    recordFailover(new.address == old.address ? .restart : .unknown, now)
    if new.address == old.address { timeline?.kind = .restart }
    timeline?.newAddress = new.address
    timeline?.newGeneration = new.number
    timeline?.evidence = evidence
    if timeline?.promotionSeenMilliseconds == nil { timeline?.promotionSeenMilliseconds = now }
    timeline?.cutOverMilliseconds = now
    if new.early == nil {
      timeline?.epoch = new.epoch
      timeline?.confirmedMilliseconds = now
    }
    timeline?.possiblyLostBytes = Self.lostBytes(old: old.lastIdentity, new: identity)
  }

  private static func lostBytes(old: NodeIdentity?, new: NodeIdentity) -> Int64? {
    guard let old, !old.replicationID.isEmpty, new.secondReplicationID == old.replicationID,
      new.secondOffset > 0
    else { return nil }
    let kept = UInt64(new.secondOffset - 1)
    return old.offset > kept ? Int64(clamping: old.offset - kept) : 0
  }

  /// Ends the record when the failover is over, and hands every change out.
  mutating func updateTimeline(_ now: Int64) {
    if let timeline {
      if timeline.cutOverMilliseconds != nil {
        if view.state == .serving(isProvisional: false), generation?.isInGap == false {
          closeTimeline(.switched, now)
        }
      } else if isFalseAlarm(now) {
        closeTimeline(.aborted, now)
      }
    }
    emitTimeline()
  }

  private func isFalseAlarm(_ now: Int64) -> Bool {
    guard failover == nil, view.isServing else { return false }
    if timeline?.fencedMilliseconds != nil { return true }
    return now - timelineOpenedAt >= Self.falseAlarmMilliseconds
      && !votes.values.contains {
        $0.flags.contains(.objectivelyDown) || $0.flags.contains(.failoverInProgress)
      }
  }

  private mutating func closeTimeline(_ outcome: FailoverTimeline.Outcome, _ now: Int64) {
    guard timeline != nil else { return }
    timeline?.outcome = outcome
    timeline?.endedMilliseconds = now
    emitTimeline()
    timeline = nil
    firstSignAt = nil
  }

  private mutating func emitTimeline() {
    guard let timeline, timeline != emittedTimeline else { return }
    emittedTimeline = timeline
    actions.append(.timeline(timeline))
  }
}
