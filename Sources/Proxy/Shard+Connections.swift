// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// The life of connections: made, verified, given up, and who waits for them.
extension Shard {
  /// Whether a connection, or the attempt to make it, is still wanted.
  public func isCurrent(_ id: LinkID) -> Bool { link(id) != nil }

  /// Sees to it that every link there should be has a connection, or an attempt at one.
  func makeLinks() {
    guard view.isServing else { return }
    if groups[home] == nil { groups[home] = makeGroup(home) }
    makeSpares()
    for case let link? in links where link.state == .idle { connect(link) }
  }

  /// What a client that asks for nothing speaks.
  var home: LinkGroupKey { LinkGroupKey(database: configuration.database, version: .two) }

  func addGroup(_ key: LinkGroupKey) {
    groups[key] = makeGroup(key)
    makeLinks()
  }

  private func makeGroup(_ key: LinkGroupKey) -> [Link] {
    (0..<configuration.linksPerGroup).map { _ in makeLink(.shared(key)) }
  }

  func makeLink(_ purpose: Link.Purpose) -> Link {
    let slot = links.firstIndex { $0 == nil } ?? links.count
    let link = Link(slot: slot, purpose: purpose, limits: configuration.replyLimits)
    if slot == links.count { links.append(link) } else { links[slot] = link }
    return link
  }

  /// The link that a client's commands travel on. While it is owed replies that never changes.
  func sharedLink(of client: Client) -> Link? {
    if let link = client.link {
      guard client.order.isSettled, link.isBusy, let other = lessBusy(than: link, for: client)
      else { return link }
      client.link = other
      return other
    }
    let key = client.group
    if groups[key] == nil, groupErrors[key] == nil, view.isServing {
      addGroup(key)
    }
    guard let group = groups[key], !group.isEmpty else { return nil }
    client.link = group[client.linkChoice % group.count]
    return client.link
  }

  func connect(_ link: Link) {
    guard link.state == .idle, view.isServing, link.connectMilliseconds <= now,
      let address = view.address
    else { return }
    connectionCount &+= 1
    link.connection = connectionCount
    link.state = .connecting
    link.generation = view.generation
    link.progressMilliseconds = now
    if case .shared(let key) = link.purpose { link.prepared = key } else { link.prepared = home }
    actions.append(.connect(link.id, address))
  }

  func greet(_ link: Link, credentials: Credentials?, isReset: Bool) {
    // Ids of another process say nothing: its predecessors died with it.
    let isSameProcess = link.predecessorRunID == nil || link.predecessorRunID == view.runID
    link.handshake = LinkHandshake(
      version: link.prepared.version, database: link.prepared.database, credentials: credentials,
      expectedRunID: view.runID,
      predecessors: isSameProcess ? link.predecessors : [], isReset: isReset,
      request: &link.greeting)
    link.state = .handshake
    link.progressMilliseconds = now
    queueOutput(link)
  }

  func shakeHands(_ link: Link, _ reply: UnsafeRawBufferPointer) {
    let value = try? RESPValue.parse(reply, from: 0, limits: configuration.replyLimits)?.value
    guard let value, let outcome = link.handshake?.receive(value) else {
      return lose(link, event: .closed)
    }
    switch outcome {
    case .more: break
    case .send(let request):
      link.greeting += request
      queueOutput(link)
    case .ready(let facts): begin(link, facts)
    case .failed(let failure): fail(link, failure)
    }
  }

  private func begin(_ link: Link, _ facts: LinkFacts) {
    link.facts = facts
    link.handshake = nil
    link.state = .ready
    report(link, .ready)
    if !facts.isPredecessorVoid { giveUpUnknown(link) }
    link.predecessors = []
    link.predecessorRunID = nil
    switch link.purpose {
    case .shared:
      queueOutput(link)
      loadScripts(on: link)
      tellKeyspaceEvents(on: link)
      resendDue(link, isNew: true)
      wakeMasterWaiters()
      resumeNatives()
    case .spare: offer(link)
    case .barrier: askReplicas()
    case .leased: break
    }
  }

  /// A new process knows none of the scripts that apps loaded through the daemon.
  private func loadScripts(on link: Link) {
    guard scriptsGeneration != view.generation else { return }
    scriptsGeneration = view.generation
    for load in scripts.commands {
      load.withUnsafeBytes { enqueue($0, .nobody, 0, .own, on: link) }
    }
  }

  private func fail(_ link: Link, _ failure: LinkHandshake.Failure) {
    let event: LinkEvent
    switch failure {
    case .authentication(let text): event = .authenticationFailed(text)
    case .notMaster(let role): event = .notMaster(role: role)
    case .runIDChanged(let runID): event = .runIDChanged(runID)
    case .loading: event = .loading
    case .busy: event = .busy
    case .refused: event = .closed
    case .database(let text):
      event = .closed
      if case .shared(let key) = link.purpose { groupErrors[key] = text }
    }
    if case .runIDChanged = failure {
      // Another process: whatever the given-up connections held is gone with the old one.
      link.predecessors = []
    }
    lose(link, event: event)
    if case .database = failure, case .shared(let key) = link.purpose { dropGroup(key) }
  }

  /// Ends a group whose database Redis refuses; its clients are told so.
  private func dropGroup(_ key: LinkGroupKey) {
    for link in groups.removeValue(forKey: key) ?? [] {
      links[link.slot] = nil
      lose(link, event: nil)
      expire(link, all: true)
    }
    for client in clients.all where client.database == key.database { client.link = nil }
    wakeMasterWaiters()
  }

  // MARK: Going down

  /// Gives a connection up; what it had unanswered is sent again where that is safe.
  func lose(_ link: Link, event: LinkEvent?) {
    guard link.state != .idle else { return }
    if let event { report(link, event) }
    let wasUsed = link.state == .ready
    if wasUsed || link.state == .handshake { rememberPredecessor(link) }
    actions.append(.closeLink(link.id))
    link.disconnect()
    if event != nil { backOff(link, wasUsed: wasUsed) }
    switch link.purpose {
    case .shared:
      walk(link)
      if links[link.slot] === link { connect(link) }
    case .barrier:
      link.queue.removeAll()
      loseBarrier()
      connect(link)
    case .spare:
      spares.removeAll { $0 === link }
      link.queue.removeAll()
      // One that failed keeps its place, and with it its patience.
      if event == nil { drop(link) }
    case .leased(let id):
      drop(link)
      if let client = clients[id] { loseLease(of: client, link) }
    }
  }

  private func backOff(_ link: Link, wasUsed: Bool) {
    link.connectMilliseconds =
      now + (wasUsed ? link.backoffMilliseconds : max(20, link.backoffMilliseconds))
    link.failureCount += 1
  }

  /// Redis runs what a closed connection has sent once it wakes. Before anything is sent again to the same
  /// process, that connection must be ended.
  private func rememberPredecessor(_ link: Link) {
    guard link.queue.sentOffset > link.queue.firstOffset else { return }
    link.predecessorRunID = link.facts.runID ?? view.runID
    addPredecessor(link.facts.clientID, to: link)
  }

  /// More than a few: one that is not named stands for all, and makes their commands uncertain.
  func addPredecessor(_ id: Int64?, to link: Link) {
    if link.predecessors.count >= 8 {
      link.predecessors = [nil]
    } else {
      link.predecessors.append(id)
    }
  }

  /// Ends a place for spare or leased connections.
  func drop(_ link: Link) {
    spares.removeAll { $0 === link }
    links[link.slot] = nil
  }

  func wakeMasterWaiters() {
    guard !masterWaiters.isEmpty else { return }
    var taken: [ClientID] = []
    swap(&taken, &masterWaiters)
    for id in taken {
      guard let client = clients[id], isWaitingForMaster(id) else { continue }
      let link = client.isAwaitingNative ? nativeLink(of: client) : sharedLink(of: client)
      let isReady = view.isServing && (link?.isReady ?? true)
      let mustWait = client.block == .fence && isFenced
      let group = client.isAwaitingNative ? nativeGroup : client.group
      guard !mustWait, isReady || groupErrors[group] != nil else {
        masterWaiters.append(id)
        continue
      }
      noteWait(client)
      unblock(client)
    }
  }

  func noteWait(_ client: Client) {
    noteWait(
      milliseconds: now - (client.deadlineMilliseconds - configuration.waitMilliseconds))
  }

  func noteWait(milliseconds: Int64) {
    counters.longestWaitMilliseconds = max(counters.longestWaitMilliseconds, milliseconds)
    figures.addWait(milliseconds)
  }

  /// No master can come: nobody waits for one.
  func failWaiters() {
    var taken: [ClientID] = []
    swap(&taken, &masterWaiters)
    for id in taken + Array(leaseWaiters) {
      guard let client = clients[id], client.block == .lease || isWaitingForMaster(id) else {
        continue
      }
      unblock(client)
    }
    leaseWaiters = []
    for case let link? in links { expire(link, all: true) }
  }
}
