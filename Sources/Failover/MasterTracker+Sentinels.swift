// SPDX-License-Identifier: Apache-2.0

// What sentinels answer, and which of them are watched.
extension MasterTracker {
  static let listMax = 64

  func index(of address: NodeAddress) -> Int? {
    sentinels.firstIndex { $0.address == address }
  }

  /// One word per reachable sentinel, by MYID: two addresses of one sentinel have one vote.
  var votes: [String: SentinelWord] {
    var votes: [String: SentinelWord] = [:]
    for record in sentinels where record.isReachable {
      guard let id = record.id, let word = record.word else { continue }
      if let other = votes[id], other.heardAt >= word.heardAt { continue }
      votes[id] = word
    }
    return votes
  }

  var reachableIDs: Set<String> {
    Set(sentinels.lazy.filter(\.isReachable).compactMap(\.id))
  }

  /// Every sentinel ever met or listed by a reachable one, dead ones too, as Sentinel counts.
  var knownIDs: Set<String> {
    var ids = Set(sentinels.compactMap(\.id))
    for record in sentinels where record.isReachable { ids.formUnion(record.peers.map(\.id)) }
    return ids
  }

  /// Sentinels that are up as far as anyone tells: a peer we cannot reach may well be alive.
  var aliveIDs: Set<String> {
    var ids = reachableIDs
    for record in sentinels where record.isReachable {
      ids.formUnion(record.peers.lazy.filter { !$0.flags.isDown }.map(\.id))
    }
    return ids
  }

  mutating func polled(_ poll: SentinelPoll, _ now: Int64) {
    guard let index = index(of: poll.address), !poll.id.isEmpty, poll.id.utf8.count <= listMax
    else { return }
    var record = sentinels[index]
    record.id = poll.id
    record.isReachable = true
    record.wasTried = true
    record.failure = nil
    record.answeredAt = now
    if firstAnswerAt == nil { firstAnswerAt = now }
    if record.isNotedLost {
      record.isNotedLost = false
      note(.sentinelBack(record.address))
    }
    if let peers = poll.peers {
      record.peers = peers.lazy.filter { !$0.id.isEmpty }.prefix(Self.listMax).map { $0 }
    }
    if let replicas = poll.replicas {
      record.replicas = Array(replicas.prefix(Self.listMax))
      record.replicasAt = now
    }
    takeWord(of: poll, into: &record, now)
    sentinels[index] = record
    failoverPolled(index, isConsistent: !record.epochsMismatched, now)
    if reset != nil { reset?.polls += 1 }
    noteReplicas()
  }

  private var listMax: Int { Self.listMax }

  private mutating func takeWord(
    of poll: SentinelPoll, into record: inout SentinelRecord, _ now: Int64
  ) {
    guard let before = poll.before, let after = poll.after, let master = poll.master else {
      if record.knowsMaster { note(.masterNameUnknown(sentinel: record.address)) }
      record.knowsMaster = false
      record.word = nil
      return
    }
    record.knowsMaster = true
    guard before.configEpoch == after.configEpoch else {
      // The configuration changed in between. Once at once; a sentinel that keeps doing it waits.
      if !record.epochsMismatched { wantsPoll = true }
      record.epochsMismatched = true
      return
    }
    record.epochsMismatched = false
    record.seesObjectivelyDown = after.flags.contains(.objectivelyDown)
    record.word = SentinelWord(
      epoch: after.configEpoch, master: master, flags: after.flags,
      failoverState: after.failoverState, quorum: after.quorum,
      otherSentinels: after.otherSentinels, heardAt: now)
    if record.word?.flags.contains(.failoverInProgress) == true { abortReason = nil }
  }

  mutating func sentinelFailed(_ address: NodeAddress, _ failure: ProbeFailure) {
    guard let index = index(of: address) else { return }
    let wasAuthentication: Bool
    if case .authentication = sentinels[index].failure {
      wasAuthentication = true
    } else {
      wasAuthentication = false
    }
    sentinels[index].wasTried = true
    sentinels[index].isReachable = false
    sentinels[index].word = nil
    sentinels[index].failure = failure
    if case .authentication(let message) = failure {
      if !wasAuthentication {
        note(.authenticationFailed(address, isSentinel: true, message: message))
      }
    } else if !sentinels[index].isNotedLost {
      note(.sentinelLost(address, reason: failure.reason))
    }
    sentinels[index].isNotedLost = true
  }

  /// Adds sentinels that reachable ones list; forgets those that nobody lists or answers for, and
  /// second addresses of one that answers elsewhere. Seeds stay whatever happens.
  mutating func updateMembership(_ now: Int64) {
    let before = sentinels.map(\.address)
    // A seed's name may stand for an address that others list: seeds get the first word.
    if sentinels.allSatisfy({ !$0.isSeed || $0.wasTried }) {
      for record in sentinels where record.isReachable {
        for peer in record.peers { listed(peer, now) }
      }
    }
    var answering = Set(sentinels.lazy.filter { $0.isSeed && $0.isReachable }.compactMap(\.id))
    sentinels.removeAll { record in
      if record.isSeed { return false }
      if record.isReachable, let id = record.id { return !answering.insert(id).inserted }
      let lastSign = max(record.listedAt, record.answeredAt ?? .min)
      return now - lastSign > configuration.forgetMilliseconds
    }
    let after = sentinels.map(\.address)
    guard after != before else { return }
    actions.append(.watchSentinels(after))
    note(.sentinelSetChanged(after))
  }

  private mutating func listed(_ peer: PeerSentinel, _ now: Int64) {
    if let index = index(of: peer.address) {
      sentinels[index].listedAt = now
    } else if sentinels.count < configuration.sentinelsMax,
      !sentinels.contains(where: { isWatched($0, as: peer.id, now) })
    {
      sentinels.append(SentinelRecord(address: peer.address, isSeed: false, listedAt: now))
    }
  }

  /// A silent one keeps its place for a while: it is more likely down than moved.
  private func isWatched(_ record: SentinelRecord, as id: String, _ now: Int64) -> Bool {
    guard record.id == id else { return false }
    return record.isReachable
      || now - (record.answeredAt ?? .min) < configuration.movedMilliseconds
  }

  /// A replica counts as promotable while any reachable sentinel thinks so.
  private mutating func noteReplicas() {
    var now: [NodeAddress: Bool] = [:]
    for record in sentinels where record.isReachable {
      for replica in record.replicas ?? [] {
        now[replica.address] = replica.isPromotable || now[replica.address] ?? false
      }
    }
    for (address, isPromotable) in now.sorted(by: { $0.key.description < $1.key.description }) {
      if promotable[address] != isPromotable, isStartedUp || !isPromotable {
        note(.replicaChanged(address, isPromotable: isPromotable))
      }
    }
    promotable = now
  }

  /// Replicas that Sentinel may promote, down or not, by the latest list of a sentinel that names
  /// our master; until there is one, by the latest at all.
  var promotableReplicaCount: Int {
    let listing = sentinels.filter { $0.isReachable && $0.replicas != nil }
    let ours = listing.filter { $0.word?.master == generation?.address }
    let latest = (ours.isEmpty ? listing : ours).max { $0.replicasAt < $1.replicasAt }
    return latest?.replicas?.count { $0.priority > 0 } ?? 0
  }

  /// After the first generation; before it everything is new and no news.
  private var isStartedUp: Bool { generation != nil }
}
