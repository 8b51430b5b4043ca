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
    let wasFenced = isFenced
    let isNewFailover = view.failoverNumber != self.view.failoverNumber
    // Whatever came between: nobody has confirmed them. They belong to the failover so far.
    if isNewGeneration, provisional.count > 0 { endProvisional(isAbandoned: true) }
    if isNewFailover { beginFigures() }
    self.view = view
    if isNewGeneration {
      isFenced = view.fence != nil
      groupErrors = [:]
      for case let link? in links where link.state != .idle && link.generation != view.generation {
        lose(link, event: nil)
      }
      for case let link? in links {
        link.failureCount = 0
        link.connectMilliseconds = now
      }
      endHeldOfOldGenerations()
      restartNatives()
    } else {
      if !isProvisional, view.isServing { endProvisional(isAbandoned: false) }
      followFence(was: wasFenced)
    }
    switch view.state {
    case .serving:
      makeLinks()
      wakeMasterWaiters()
      for case let link? in links where link.isReady { resendDue(link) }
      resumeNatives()
    case .hopeless:
      failWaiters()
      resumeNatives()
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
      if taken < bytes.count {
        makeRoom(for: link.scanner.bytesNeeded, in: &link.input)
        link.input.append(contentsOf: bytes[taken...])
      }
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
    // Once for all replies that came together.
    if !held.isEmpty { askReplicas() }
    settleEndings()
    runResumeQueue()
  }

  /// A large reply gets all the room it needs at once, and what comes right behind it too: growing step by step would
  /// copy it again and again.
  func makeRoom(for byteCount: Int, in buffer: inout [UInt8]) {
    let needed = buffer.count + min(byteCount, Self.reservedBytesMax) + Self.largeBytes
    guard byteCount >= Self.largeBytes, needed > buffer.capacity else { return }
    // Many large ones in a row must not copy all before them each time.
    buffer.reserveCapacity(max(needed, 2 * buffer.capacity))
  }

  private static let largeBytes = 64 << 10
  private static let reservedBytesMax = 16 << 20

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
    let write = writeOfFirst(link, isError: frame.isError)
    if frame.isError, link.queue.entries.first?.kind != .kill, takeError(link, reply) { return }
    if !link.deferred.isEmpty {
      if mustReadAgain(link) { return }
      if !frame.isError { endOvertaken(link) }
    }
    if link.queue.entries.first?.kind == .scriptLoad { rememberScript(link, reply) }
    if link.queue.entries.first?.kind == .configSet { rememberKeyspaceEvents(link, reply) }
    if link.queue.entries.first?.kind == .tracking { noteTracking(link, reply) }
    if mustWaitForDriverLock(link, reply) { return }
    let driver = driverCommand(link)
    guard let due = link.queue.takeReply() else { return lose(link, event: .closed) }
    if let kind = due.traffic {
      traffic.answered(
        kind, microseconds: nowMicroseconds - due.sentMicroseconds, isError: frame.isError)
    }
    settle(link, due, reply, write: write)
    if let driver { noteDriver(due, driver, reply) }
  }

  /// Gives a reply to whom it is for. `write`: the command, where its reply may have to be held.
  private func settle(
    _ link: Link, _ due: DueReply, _ reply: UnsafeRawBufferPointer, write: [UInt8]?
  ) {
    link.failureCount = 0
    discharge(due)
    if due.kind == .barrierMark || due.kind == .barrier { return takeBarrierReply(due.kind, reply) }
    if due.kind == .keyspaceEvents { return learnKeyspaceEvents(reply) }
    guard let client = clients[due.client] else { return }
    switch due.kind {
    case .own, .marker, .move, .keyspaceEvents, .barrierMark, .barrier: break
    case .setup: return takeSetupReply(client, link, reply)
    case .client, .native, .driverLock, .driverRelease, .kill, .scriptLoad, .configSet, .tracking:
      acknowledge(client, due, reply, write: write)
    case .keysScan: continueKeys(client, link, reply)
    case .transactionBegin:
      if reply.first == UInt8(ascii: "-") { client.transaction = .none }
      answer(client, due, reply)
    case .transactionEnd:
      client.transaction = .none
      client.isWatching = false
      acknowledge(client, due, reply, write: write)
    case .unwatch:
      // A later `WATCH` may be on its way.
      if reply.first == UInt8(ascii: "+"), due.position > client.watchPosition {
        client.isWatching = false
      }
      answer(client, due, reply)
    }
    if client.lease == link.id {
      if client.order.isSettled { client.isBlocking = false }
      releaseLeaseIfOver(client, link)
    }
  }

  /// Whether tracking is on is for Redis to say; a command that it refuses changes nothing.
  private func noteTracking(_ link: Link, _ reply: UnsafeRawBufferPointer) {
    guard reply.first == UInt8(ascii: "+"), let command = firstCommand(link),
      case .leased(let id) = link.purpose, let client = clients[id]
    else { return }
    client.isTracking = withArguments(command) { $0.matches(2, "ON") }
  }

  private func discharge(_ due: DueReply) {
    switch due.kind {
    case .own, .setup, .marker, .move, .keyspaceEvents, .keysScan, .barrierMark, .barrier: return
    case .client, .native, .driverLock, .driverRelease, .kill, .scriptLoad, .configSet,
      .transactionBegin, .transactionEnd, .unwatch, .tracking:
      break
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
      return deferFirst(link, refusal: reply, retryMilliseconds: now + 100)
    case .noScript:
      guard let load = scriptOfFirst(link) else { return false }
      load.withUnsafeBytes { enqueue($0, .nobody, 0, .own, on: link) }
      // At once; but where loading it did not help, not in a circle.
      let isFirst = link.queue.entries.first.map { !hasLoaded($0) } ?? true
      return deferFirst(link, refusal: reply, retryMilliseconds: isFirst ? now : now + 100)
    }
  }

  /// Whether the script of the command that is being answered may have been loaded for it before.
  private func hasLoaded(_ entry: InFlightEntry) -> Bool {
    if entry.kind == .native, let client = clients[entry.client] {
      defer { client.natives[entry.position]?.loadedGeneration = view.generation }
      return client.natives[entry.position]?.loadedGeneration == view.generation
    }
    // It has had to wait, or was sent before.
    guard let client = clients[entry.client], client.deadlineMilliseconds > 0 else { return false }
    return client.deadlinePosition == entry.position + UInt64(entry.answered)
  }

  func report(_ link: Link, _ event: LinkEvent) {
    actions.append(.report(LinkReport(generation: link.generation, event: event)))
  }
}
