// SPDX-License-Identifier: Apache-2.0

// What nodes say about themselves, what shards see of them, and when they are asked.
extension MasterTracker {
  static let nodesMax = 16
  /// Reports of a flapping link must not turn into a storm of probes.
  static let probeSpacingMilliseconds: Int64 = 20

  mutating func wantProbe(_ address: NodeAddress, urgently: Bool = false) {
    if nodes[address] == nil {
      guard nodes.count < Self.nodesMax else { return }
      nodes[address] = NodeRecord()
    }
    nodes[address]?.isWanted = true
    if urgently { nodes[address]?.isUrgent = true }
  }

  mutating func probed(_ address: NodeAddress, _ verdict: NodeRecord.Verdict, _ now: Int64) {
    guard var node = nodes[address] else { return }
    node.isProbing = false
    if case .failed(.busy) = verdict, node.identity != nil {
      // It is there and cannot answer now: what it said before stands.
      nodes[address] = node
      return
    }
    if case .failed(.authentication(let message)) = verdict, node.verdict != verdict {
      note(.authenticationFailed(address, isSentinel: false, message: message))
    } else if case .failed(let failure) = verdict, node.verdict != verdict, generation == nil,
      candidate?.claim.address == address
    {
      // Never reached yet: what is wrong (a certificate, a firewall) is to be found in the log.
      note(.masterUnreachableFromHere(address, reason: failure.reason))
    }
    node.verdict = verdict
    node.verdictOf = node.probedAt ?? now
    nodes[address] = node
    noteCoverage(address, node)
    guard let identity = node.identity else { return noticeRestart(at: address, node, now) }
    recordPromotion(address, identity, now)
    if let generation, generation.address == address, identity.isMaster,
      identity.runID == generation.runID
    {
      self.generation?.lastIdentity = identity
      recordHealthy(probeBeganAt: node.verdictOf)
    }
    noticeRestart(at: address, node, now)
  }

  /// Another process at our address is another generation, if a sentinel still names it after that.
  private mutating func noticeRestart(
    at address: NodeAddress, _ node: NodeRecord, _ now: Int64
  ) {
    guard let generation, generation.address == address else { return }
    guard let identity = node.identity, identity.isMaster, identity.runID != generation.runID else {
      restart = nil
      return
    }
    if restart?.runID != identity.runID {
      restart = (identity.runID, now)
      becomeUrgent(now)
    }
  }

  mutating func linkReported(_ report: LinkReport, _ now: Int64) {
    guard let generation, report.generation == generation.number else { return }
    switch report.event {
    case .ready: return
    case .closed, .connectFailed, .timedOut, .readOnly, .masterDown, .notMaster, .loading, .busy,
      .runIDChanged, .authenticationFailed:
      // Suspect. It stays in use unless its own answer says otherwise.
      recordSign(now)
      wantProbe(generation.address)
      becomeUrgent(now)
    }
  }

  /// Asks every node that matters, as often as matters now; forgets the others.
  mutating func scheduleProbes(_ now: Int64) {
    var matters: Set<NodeAddress> = []
    if let generation {
      matters.insert(generation.address)
      if !generation.isConfirmed, let previous = generation.previous { matters.insert(previous) }
    }
    if let failover {
      matters.formUnion([failover.master] + (failover.selected.map { [$0] } ?? []))
    }
    if let candidate { matters.insert(candidate.claim.address) }
    if let reset { matters.insert(reset.claim.address) }
    for address in matters where nodes[address] == nil { wantProbe(address) }

    let interval =
      pace == .stable ? configuration.probeMilliseconds : configuration.urgentProbeMilliseconds
    for address in nodes.keys.sorted(by: { $0.description < $1.description }) {
      guard var node = nodes[address], !node.isProbing else { continue }
      let isDue: Bool
      if node.isUrgent || node.probedAt == nil {
        isDue = true
      } else {
        let often = failoverProbeInterval(address, now) ?? interval
        let wait = min(often, node.isWanted ? Self.probeSpacingMilliseconds : interval)
        isDue =
          (node.isWanted || matters.contains(address)) && now - (node.probedAt ?? .min) >= wait
      }
      if isDue {
        node.isProbing = true
        node.isWanted = false
        node.isUrgent = false
        node.probedAt = now
        nodes[address] = node
        actions.append(.probe(address))
      } else if !matters.contains(address), !node.isWanted {
        nodes[address] = nil
      }
    }
  }
}
