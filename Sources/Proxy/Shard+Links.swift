// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// Link events: connections come up, replies arrive, connections are lost.
extension Shard {
  /// The control plane sees the master anew.
  public func masterChanged(_ view: MasterView, nowMilliseconds: Int64) {
    guard view != self.view else { return }
    now = nowMilliseconds
    let isNewGeneration = view.generation != self.view.generation
    self.view = view
    if isNewGeneration {
      groupErrors = [:]
      for case let link? in links where link.state != .idle && link.generation != view.generation {
        lose(link, event: nil)
      }
      for case let link? in links {
        link.failureCount = 0
        link.connectMilliseconds = now
      }
    }
    switch view.state {
    case .serving:
      makeLinks()
      wakeMasterWaiters()
      for case let link? in links where link.isReady { resendDue(link) }
    case .hopeless: failWaiters()
    case .waiting: break
    }
    runResumeQueue()
  }

  /// A connection to Redis is established; it is not used before the node is verified.
  public func linkConnected(
    _ id: LinkID, credentials: Credentials?, nowMilliseconds: Int64
  ) {
    guard let link = link(id), link.state == .connecting else { return }
    now = nowMilliseconds
    link.credentials = credentials
    greet(link, credentials: credentials, isReset: false)
  }

  /// A connection to Redis was closed, or could not be made.
  public func linkClosed(_ id: LinkID, event: LinkEvent, nowMilliseconds: Int64) {
    guard let link = link(id) else { return }
    now = nowMilliseconds
    lose(link, event: event)
    runResumeQueue()
  }

  /// A connection takes more bytes, or does not for now.
  public func linkWritable(_ id: LinkID, _ isWritable: Bool) {
    guard let link = link(id) else { return }
    link.isWritable = isWritable
    if isWritable { queueOutput(link) }
  }

  /// Redis has sent bytes.
  public func linkReceived(
    _ id: LinkID, _ bytes: UnsafeRawBufferPointer, nowMilliseconds: Int64
  ) {
    guard let link = link(id) else { return }
    now = nowMilliseconds
    link.progressMilliseconds = nowMilliseconds
    if link.input.isEmpty {
      let taken = read(link, bytes)
      if taken < bytes.count { link.input.append(contentsOf: bytes[taken...]) }
    } else {
      // Moved out, so that nothing changes it while it is read.
      var input: [UInt8] = []
      swap(&input, &link.input)
      input.append(contentsOf: bytes)
      let taken = input.withUnsafeBytes { read(link, $0) }
      if link.id == id {
        if taken == input.count { input = [] } else { input.removeFirst(taken) }
        swap(&input, &link.input)
      }
    }
    runResumeQueue()
  }

  func link(_ id: LinkID) -> Link? {
    guard id.slot < links.count, let link = links[id.slot], link.id == id else { return nil }
    return link
  }

  /// Takes whole replies; returns how many bytes were taken.
  private func read(_ link: Link, _ bytes: UnsafeRawBufferPointer) -> Int {
    let id = link.id
    var offset = 0
    while link.id == id {
      do throws(ProtocolError) {
        guard let frame = try link.scanner.next(in: bytes, from: offset) else { return offset }
        let reply = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + frame.byteCount])
        offset += frame.byteCount
        switch link.state {
        case .ready: deliver(link, frame, reply)
        // What Redis still pushed to its last client answers nothing.
        case .handshake: if !frame.isPush { shakeHands(link, reply) }
        case .idle, .connecting: return bytes.count
        }
      } catch {
        lose(link, event: .closed)
      }
    }
    return bytes.count
  }

  private func deliver(_ link: Link, _ frame: Frame, _ reply: UnsafeRawBufferPointer) {
    if case .leased(let id) = link.purpose {
      guard let client = clients[id] else { return }
      if client.isStreaming, takeStreamed(client, link, frame, reply) { return }
      if frame.isPush { return passPush(client, reply) }
    } else if frame.isPush {
      return
    }
    if frame.isError, link.queue.entries.first?.kind != .kill, takeError(link, reply) { return }
    if !link.deferred.isEmpty {
      if mustReadAgain(link) { return }
      if !frame.isError { endOvertaken(link) }
    }
    if link.queue.entries.first?.kind == .scriptLoad { rememberScript(link, reply) }
    guard let due = link.queue.takeReply() else { return lose(link, event: .closed) }
    settle(link, due, reply)
  }

  /// Gives a reply to whom it is for.
  func settle(_ link: Link, _ due: DueReply, _ reply: UnsafeRawBufferPointer) {
    link.failureCount = 0
    discharge(due)
    guard let client = clients[due.client] else { return }
    switch due.kind {
    case .own, .marker: break
    case .setup:
      if reply.first == UInt8(ascii: "-") { return loseLease(of: client, link, reply) }
    case .client: answer(client, due.position, reply)
    case .kill: answer(client, due.position, UnsafeRawBufferPointer(start: nil, count: 0))
    case .silent:
      answer(client, due.position, UnsafeRawBufferPointer(start: nil, count: 0))
      // No command follows an `EXEC` before it is answered.
      if client.transaction == .ending, client.order.isSettled {
        client.transaction = .none
        client.isWatching = false
      }
    case .keysScan: continueKeys(client, link, reply)
    case .scriptLoad: answer(client, due.position, reply)
    case .transactionEnd:
      client.transaction = .none
      client.isWatching = false
      answer(client, due.position, reply)
    case .unwatch:
      client.isWatching = false
      answer(client, due.position, reply)
    }
    if client.lease == link.id {
      if client.order.isSettled { client.isBlocking = false }
      releaseLeaseIfOver(client, link)
    }
  }

  private func discharge(_ due: DueReply) {
    switch due.kind {
    case .own, .setup, .marker, .keysScan: return
    case .client, .silent, .kill, .scriptLoad, .transactionEnd, .unwatch: break
    }
    inFlightCount -= 1
    inFlightBytes -= due.releasedBytes
    clients[due.client]?.inFlightBytes -= due.releasedBytes
  }

  /// Looks at an error of Redis: some mean "not executed, not now". True: it was dealt with.
  private func takeError(_ link: Link, _ reply: UnsafeRawBufferPointer) -> Bool {
    switch ServerReply.read(reply) {
    case .passThrough:
      return false
    case .notMaster:
      report(link, .readOnly)
      return deferFirst(link, retryMilliseconds: now + 50)
    case .tryLater:
      report(link, reply.dropFirst().starts(with: "LOADING".utf8) ? .loading : .busy)
      return deferFirst(link, retryMilliseconds: now + 100)
    case .noScript:
      guard let load = scriptOfFirst(link) else { return false }
      load.withUnsafeBytes { enqueue($0, noClient, 0, .own, on: link) }
      return deferFirst(link, retryMilliseconds: now)
    }
  }

  /// An entry of the daemon's own belongs to no client.
  var noClient: ClientID { ClientID(slot: Int32.max, serial: 0) }

  func report(_ link: Link, _ event: LinkEvent) {
    actions.append(.report(LinkReport(generation: link.generation, event: event)))
  }

  // MARK: Coming up

  /// Sees to it that every link there should be has a connection, or an attempt at one.
  func makeLinks() {
    guard view.isServing else { return }
    let home = LinkGroupKey(database: configuration.database, version: .two)
    if groups[home] == nil { groups[home] = makeGroup(home) }
    makeSpares()
    for case let link? in links where link.state == .idle { connect(link) }
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

  /// The link that a client's commands travel on. It never changes while database and protocol stay.
  func sharedLink(of client: Client) -> Link? {
    if let link = client.link { return link }
    let key = LinkGroupKey(database: client.database, version: client.version)
    if groups[key] == nil, groupErrors[key] == nil, view.isServing {
      groups[key] = makeGroup(key)
      makeLinks()
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
    actions.append(.connect(link.id, address))
  }

  func greet(_ link: Link, credentials: Credentials?, isReset: Bool) {
    var version = RESPVersion.two
    var database = configuration.database
    if case .shared(let key) = link.purpose {
      version = key.version
      database = key.database
    }
    // Ids of another process say nothing: its predecessors died with it.
    let isSameProcess = link.predecessorRunID == nil || link.predecessorRunID == view.runID
    link.handshake = LinkHandshake(
      version: version, database: database, credentials: credentials, expectedRunID: view.runID,
      predecessors: isSameProcess ? link.predecessors : [], isReset: isReset,
      request: &link.greeting)
    link.state = .handshake
    link.progressMilliseconds = now
    queueOutput(link)
  }

  private func shakeHands(_ link: Link, _ reply: UnsafeRawBufferPointer) {
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
      resendDue(link, isNew: true)
      wakeMasterWaiters()
    case .spare: offer(link)
    case .leased: break
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
    case .spare:
      spares.removeAll { $0 === link }
      link.queue.removeAll()
      // One that failed keeps its place, and with it its patience.
      if event == nil { drop(link) }
    case .leased(let id):
      drop(link)
      if let client = clients[id] { loseLease(of: client, link, nil) }
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
      guard let client = clients[id], client.block == .master else { continue }
      let isReady = view.isServing && (sharedLink(of: client)?.isReady ?? true)
      guard
        isReady
          || groupErrors[LinkGroupKey(database: client.database, version: client.version)] != nil
      else {
        masterWaiters.append(id)
        continue
      }
      noteWait(client)
      unblock(client)
    }
  }

  func noteWait(_ client: Client) {
    let began = client.waitDeadlineMilliseconds - configuration.waitMilliseconds
    counters.longestWaitMilliseconds = max(counters.longestWaitMilliseconds, now - began)
  }

  /// No master can come: nobody waits for one.
  private func failWaiters() {
    var taken: [ClientID] = []
    swap(&taken, &masterWaiters)
    for id in taken + Array(leaseWaiters) {
      guard let client = clients[id], client.block == .master || client.block == .lease else {
        continue
      }
      unblock(client)
    }
    leaseWaiters = []
    for case let link? in links { expire(link, all: true) }
  }
}

extension Shard {
  /// Whether a connection, or the attempt to make it, is still wanted.
  public func isCurrent(_ id: LinkID) -> Bool { link(id) != nil }
}
