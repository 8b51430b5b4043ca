// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// All that time does: waits end, silent links are given up, idle ones are checked, backoffs end.
extension Shard {
  /// Time has passed. Called every 100 ms, every 20 ms while ``isRestless``, every 2 s where nothing happens.
  public func tick(nowMilliseconds: Int64) {
    now = nowMilliseconds
    traffic.rotate(nowMilliseconds: now)
    endWaits()
    endRetries()
    noteQuiet()
    tellFigures()
    expireHeld()
    askReplicas()
    if !driverQueues.isEmpty { orderDriverWaiters() }
    for case let link? in links { watch(link) }
    makeLinks()
    moveSubscribers()
    resumeNatives()
    settleEndings()
    closeLockedClients()
    if configuration.idleClientMilliseconds > 0 { closeIdleClients() }
    if isDraining { endInputs() }
    if now - groupsCheckedMilliseconds >= 60_000 { closeIdleGroups() }
    runResumeQueue()
  }

  /// No new client is served; each one is closed when it is owed nothing.
  public func drain(nowMilliseconds: Int64) {
    now = nowMilliseconds
    isDraining = true
    endInputs()
  }

  /// Nothing more comes from a client: it is closed once all that it sent is answered.
  public func clientInputEnded(_ id: ClientID, nowMilliseconds: Int64) {
    guard let client = clients[id] else { return }
    now = nowMilliseconds
    client.hasInputEnded = true
    closeIfSettled(client)
  }

  /// Whether no client is left.
  public var isDrained: Bool { connectedCount == 0 }

  /// What clients have sent so far is answered; what they send from here on fails at once, at their end.
  ///
  /// One that connected a moment ago and was not heard yet is served first: its request is on the way.
  private func endInputs() {
    for client in clients.all where !client.isSteward {
      if client.hasInputEnded {
        closeIfSettled(client)
      } else if !client.isInputEnding {
        let isNew = client.order.issued == 0 && now - client.connectedMilliseconds < 500
        guard !isNew else { continue }
        client.isInputEnding = true
        actions.append(.endInput(client.id))
      }
    }
  }

  func closeIfSettled(_ client: Client) {
    guard client.hasInputEnded, client.order.isSettled else { return }
    // What is left of a client that waits for nothing is half a request, and the rest will never come.
    let isTaken = client.inputCount == 0 || (client.block == nil && client.isWritable)
    if isTaken { close(client) }
  }

  private func closeIdleClients() {
    let since = now - configuration.idleClientMilliseconds
    for client in clients.all
    where client.activeMilliseconds <= since && client.order.isSettled && !client.isStreaming
      && !client.isSteward
    {
      close(client)
    }
  }

  /// Links of a database or protocol that no client uses any more are closed; the configured one's stay.
  private func closeIdleGroups() {
    groupsCheckedMilliseconds = now
    var used: Set<LinkGroupKey> = [home, nativeGroup]
    for client in clients.all {
      used.insert(client.group)
    }
    for (key, group) in groups where !used.contains(key) {
      guard group.allSatisfy({ $0.queue.isEmpty && $0.deferred.isEmpty }) else { continue }
      groups[key] = nil
      for link in group {
        links[link.slot] = nil
        lose(link, event: nil)
      }
    }
  }

  /// What requests went through is added up over all shards.
  func tellFigures() {
    guard figures.total != figuresTold, view.failoverNumber > 0 else { return }
    figuresTold = figures.total
    actions.append(.figures(view.failoverNumber, figures))
  }

  /// A connection is lost before the control plane knows of a failover, so what that does to requests
  /// is counted before the failover has a number. It belongs to the next one if that comes soon.
  private static let quietAfterMilliseconds: Int64 = 5_000

  func noteQuiet() {
    let isQuiet =
      view.state == .serving(isProvisional: false) && view.fence == nil && masterWaiters.isEmpty
    if !isQuiet || figures.total != quietTotal {
      quietTotal = figures.total
      quietSinceMilliseconds = now
    } else if now - quietSinceMilliseconds >= Self.quietAfterMilliseconds {
      quietFigures = figures
    }
  }

  /// The failover that has begun takes over what came since all was well.
  func beginFigures() {
    let all = figures
    figures = quietFigures
    figures.possiblyLost = all.possiblyLost
    tellFigures()
    figures = all.without(quietFigures)
    quietFigures = FailoverFigures()
    quietTotal = figures.total
    quietSinceMilliseconds = now
    figuresTold = 0
  }

  private func endWaits() {
    guard !masterWaiters.isEmpty || !leaseWaiters.isEmpty else { return }
    let waiting = masterWaiters + Array(leaseWaiters)
    masterWaiters.removeAll { isWaitOver($0) || !isWaitingForMaster($0) }
    leaseWaiters.removeAll { isWaitOver($0) || clients[$0]?.block != .lease }
    if isPoolExhausted { notePool() }
    for id in waiting {
      guard let client = clients[id], client.block == .lease || isWaitingForMaster(id),
        client.deadlineMilliseconds <= now
      else { continue }
      noteWait(client)
      failFast(client)
    }
  }

  /// All that a client has sent meanwhile is answered at once: one deadline, not one after the other.
  private func failFast(_ client: Client) {
    client.block = nil
    client.isFailingFast = true
    resume(client)
    client.isFailingFast = false
  }

  private func endRetries() {
    guard !retryWaiters.isEmpty else { return }
    var waiting: [ClientID] = []
    swap(&waiting, &retryWaiters)
    for id in waiting {
      guard let client = clients[id], client.block == .retry else { continue }
      if client.deadlineMilliseconds <= now {
        failFast(client)
      } else if client.retryMilliseconds <= now {
        unblock(client)
      } else {
        retryWaiters.append(id)
      }
    }
  }

  private func isWaitOver(_ id: ClientID) -> Bool {
    clients[id].map { $0.deadlineMilliseconds <= now } ?? true
  }

  private func watch(_ link: Link) {
    expire(link)
    let silence = now - link.progressMilliseconds
    switch link.state {
    case .idle: break
    case .connecting, .handshake:
      if silence > configuration.commandTimeoutMilliseconds { lose(link, event: .timedOut) }
    case .ready:
      if link.queue.isEmpty {
        if silence > configuration.checkIdleMilliseconds { check(link) }
      } else if silence > configuration.commandTimeoutMilliseconds, !mayBeSilent(link) {
        lose(link, event: .timedOut)
      }
      resendDue(link)
    }
  }

  /// A leased connection may be silent as long as its client's command may block. A subscriber that asked for nothing has
  /// nothing in its queue.
  private func mayBeSilent(_ link: Link) -> Bool {
    guard case .leased(let id) = link.purpose, let client = clients[id] else { return false }
    return client.isBlocking && now < client.blockingDeadlineMilliseconds
  }

  private func check(_ link: Link) {
    if case .leased = link.purpose { return }
    var ping: [UInt8] = []
    ping.writeCommand(["PING"])
    ping.withUnsafeBytes { enqueue($0, .nobody, 0, .own, on: link) }
  }
}
