// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// Client events: bytes in, commands taken one by one until one must wait.
extension Shard {
  /// A client has connected. Where there are too many it is told so and closed.
  public func clientConnected(
    peer: Peer?, entrance: Entrance = .socket, nowMilliseconds: Int64
  ) -> ClientID {
    now = nowMilliseconds
    let client = clients.insert {
      Client(
        id: $0, peer: peer, entrance: entrance, configuration: configuration,
        nowMilliseconds: nowMilliseconds)
    }
    setDurability(client, configuration.durability, isNew: true)
    if connectedCount > configuration.clientsMax {
      reply(client) { $0.writeError("ERR max number of clients reached") }
      refuseByLimit(client, "limits.clients")
      close(client)
    } else if let refusal = admit(client) {
      reply(client) { $0.writeError(refusal) }
      close(client)
    }
    return client.id
  }

  /// A client has sent bytes.
  public func clientReceived(
    _ id: ClientID, _ bytes: UnsafeRawBufferPointer, nowMilliseconds: Int64
  ) {
    guard let client = clients[id], client.block != .closing else { return }
    now = nowMilliseconds
    client.activeMilliseconds = nowMilliseconds
    if client.inputCount == 0 {
      let taken = process(client, bytes)
      if taken < bytes.count { keep(client, UnsafeRawBufferPointer(rebasing: bytes[taken...])) }
    } else {
      keep(client, bytes)
      resume(client)
    }
    runResumeQueue()
  }

  /// A client's socket takes more replies, or does not for now.
  public func clientWritable(_ id: ClientID, _ isWritable: Bool, nowMilliseconds: Int64) {
    guard let client = clients[id], client.isWritable != isWritable else { return }
    now = nowMilliseconds
    client.isWritable = isWritable
    guard isWritable else { return }
    if !client.output.isEmpty { queueOutput(client) }
    resume(client)
    runResumeQueue()
  }

  /// A client's connection is gone.
  public func clientClosed(_ id: ClientID, nowMilliseconds: Int64) {
    guard let client = clients[id] else { return }
    now = nowMilliseconds
    inputBytes -= client.inputCount
    outputBytes -= client.unreadBytes
    replicatedClients -= client.durability.isReplicated ? 1 : 0
    clients.remove(id)
    abandonLease(of: client)
    if !driverQueues.isEmpty { dropDriverWaits(of: id) }
    if !watchers.isEmpty { watchers.remove(id) }
    noteConnectionEnd(client)
    settleEndings()
  }

  /// Keeps bytes that cannot be taken yet. The limit on a request's length is the scanner's.
  private func keep(_ client: Client, _ bytes: UnsafeRawBufferPointer) {
    guard client.block != .closing else { return }
    client.input.append(contentsOf: bytes)
    inputBytes += bytes.count
    if inputBytes + inFlightBytes > configuration.inFlightBytesMax {
      noteOverloaded()
      reply(client) { $0.writeError(ErrorReply.overloaded) }
      inputBytes -= client.inputCount
      client.consumeInput(client.inputCount)
      finish(client)
    }
    pauseReading(client)
  }

  /// A client that must wait is not read beyond a little, so that the kernel holds it back.
  private func pauseReading(_ client: Client) {
    let mustWait = (client.block != nil || !client.isWritable) && client.inputCount > 16 << 10
    guard mustWait != client.isReadPaused else { return }
    client.isReadPaused = mustWait
    actions.append(.setReading(client.id, !mustWait))
  }

  /// Takes what a client has sent so far.
  func resume(_ client: Client) {
    guard client.block == nil, client.isWritable, client.inputCount > 0 else { return }
    // Moved out, so that nothing changes it while it is read.
    var input: [UInt8] = []
    swap(&input, &client.input)
    let taken = input.withUnsafeBytes {
      process(client, UnsafeRawBufferPointer(rebasing: $0[client.inputOffset...]))
    }
    swap(&input, &client.input)
    inputBytes -= taken
    client.consumeInput(taken)
    pauseReading(client)
  }

  /// Looks again at clients whose reason to wait has ended.
  func runResumeQueue() {
    while let id = resumeQueue.popLast() {
      guard let client = clients[id] else { continue }
      client.isResumeQueued = false
      resume(client)
    }
  }

  /// Ends a client's wait if its reason has ended.
  func reconsider(_ client: Client) {
    switch client.block {
    case nil, .master, .fence, .lease, .setup, .reply, .marker, .retry, .moving: return
    case .closing:
      if client.order.isSettled { close(client) }
      return
    case .deferred: guard client.deferredCount == 0 else { return }
    case .settle: guard client.order.isSettled else { return }
    case .inFlight:
      guard hasRoomAgain(client) else { return }
    }
    unblock(client)
  }

  /// Ends a client's wait.
  func unblock(_ client: Client) {
    client.block = nil
    guard !client.isResumeQueued else { return }
    client.isResumeQueued = true
    resumeQueue.append(client.id)
  }

  /// Takes requests one by one; returns how many bytes were taken.
  private func process(_ client: Client, _ bytes: UnsafeRawBufferPointer) -> Int {
    var offset = 0
    while client.block == nil && client.isWritable {
      do throws(ProtocolError) {
        guard let request = try client.scanner.next(in: bytes, from: offset) else { break }
        if !request.isEmpty, !take(client, request, bytes, offset) { break }
        offset += request.byteCount
      } catch {
        reply(client) { $0.writeError("ERR \(error.message)") }
        finish(client)
        return bytes.count
      }
    }
    return client.block == .closing ? bytes.count : offset
  }

  private func take(
    _ client: Client, _ request: Request, _ bytes: UnsafeRawBufferPointer, _ offset: Int
  ) -> Bool {
    client.scanner.arguments.withUnsafeBufferPointer { ranges in
      if request.isInline {
        return client.scanner.rewritten.withUnsafeBytes {
          take(client, RequestArguments(frame: $0, ranges: ranges), $0)
        }
      }
      let frame = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + request.byteCount])
      return take(client, RequestArguments(frame: frame, ranges: ranges), frame)
    }
  }

  /// Takes one command. False: it must wait, and is taken again later.
  private func take(
    _ client: Client, _ arguments: RequestArguments, _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    guard client.deferredCount == 0 else {
      client.block = .deferred
      return false
    }
    // Local replies too are held while those before them are due.
    guard client.order.outstanding < client.requestsMax else {
      client.block = .inFlight
      return false
    }
    let index = table.find(arguments)
    client.commandCount += 1
    traffic.take(index)
    if client.isLocked { return takeLocked(client, index, arguments) }
    if let rule = client.rule, let refusal = accessRefusal(client, rule, index, arguments) {
      if client.transaction == .open { client.isTransactionPoisoned = true }
      reply(client) { $0.writeError(refusal) }
      return true
    }
    if client.lease != nil || client.transaction != .none {
      return takePinned(client, index, arguments, frame)
    }
    guard let index else {
      takenClass = .write
      return takeUnknown(client, arguments, frame)
    }
    let facts = table.facts(index)
    takenClass = facts.isWrite ? .write : .read
    switch route(of: index, facts, arguments) {
    case .pass:
      if facts.isWrite {
        if isFenced { return awaitFence(client) }
        client.writeGeneration = view.generation
      }
      if let locks = configuration.driverLocks, let kind = driverKind(index, arguments, locks) {
        return withRepairs(index, arguments, frame) { forwardDriver(client, $0, kind) }
      }
      return withRepairs(index, arguments, frame) {
        forward(client, $0, kind(of: index, arguments))
      }
    case .local(let command):
      guard hasArity(client, index, arguments) else { return true }
      return takeLocal(client, command, arguments)
    case .pinned(let reason):
      guard hasArity(client, index, arguments) else { return true }
      if isFenced, mayWrite(reason, facts) { return awaitFence(client) }
      if reason == .transaction, client.isWatchBroken {
        return beginBrokenTransaction(client)
      }
      return pin(client, index, arguments, frame)
    case .pinnedOnly:
      guard hasArity(client, index, arguments) else { return true }
      return takeWithoutLease(client, index, arguments)
    case .refused, .forbidden:
      guard hasArity(client, index, arguments) else { return true }
      reply(client) { $0.writeError(self.refusal(of: index, arguments)) }
      return true
    }
  }

  /// An unknown command may be a module's. Redis closes a connection that speaks HTTP, and a shared one must
  /// not be closed by any client.
  private func takeUnknown(
    _ client: Client, _ arguments: RequestArguments, _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    guard !arguments.matches(0, "POST"), !arguments.matches(0, "HOST:") else {
      reply(client) { $0.writeError("DENIED this is a Redis socket, and that was HTTP") }
      finish(client)
      return true
    }
    if isFenced { return awaitFence(client) }
    client.writeGeneration = view.generation
    return forward(client, frame, .client)
  }

  /// The command as it travels (``Repairs``).
  func withRepairs<Result>(
    _ index: CommandIndex, _ arguments: RequestArguments, _ frame: UnsafeRawBufferPointer,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    guard let repairs = configuration.repairs,
      let repaired = repairs.repaired(table[index].name, arguments)
    else { return body(frame) }
    return repaired.withUnsafeBytes(body)
  }

  func kind(of index: CommandIndex, _ arguments: RequestArguments) -> EntryKind {
    // A cheap look first: this is asked for every command.
    guard arguments.count == 3 || arguments.count == 4 else { return .client }
    if index == scriptLoad { return .scriptLoad }
    return index == configSet && isKeyspaceEvents(index, arguments) ? .configSet : .client
  }

  /// Puts a command on the client's shared link.
  func forward(_ client: Client, _ frame: UnsafeRawBufferPointer, _ kind: EntryKind) -> Bool {
    guard hasRoom(client, frame.count) else { return false }
    guard inFlightCount < configuration.inFlightMax,
      inFlightBytes + frame.count <= configuration.inFlightBytesMax
    else {
      noteOverloaded()
      reply(client) { $0.writeError(ErrorReply.overloaded) }
      return true
    }
    guard let link = sharedLink(of: client), link.isReady, view.isServing else {
      return awaitMaster(client)
    }
    if client.nativeLink != nil, !leaveNativeLink(client, for: link) { return false }
    send(client, frame, kind, on: link)
    return true
  }

  /// Queues a command that takes a position in its client's order.
  func send(
    _ client: Client, _ frame: UnsafeRawBufferPointer, _ kind: EntryKind, on link: Link
  ) {
    let position = client.order.issue()
    let isSilent = isSilent(client)
    charge(client, frame.count)
    noteSender(client.id, on: link)
    enqueue(
      frame, client.id, position, kind, on: link, isSilent: isSilent,
      traffic: client.lease == nil ? takenClass : .pinned)
    counters.commands += 1
  }

  /// Queues bytes on a link, whoever they are for.
  func enqueue(
    _ frame: UnsafeRawBufferPointer, _ client: ClientID, _ position: UInt64, _ kind: EntryKind,
    on link: Link, isSilent: Bool = false, traffic: TrafficClass? = nil
  ) {
    if link.queue.isEmpty { link.progressMilliseconds = now }
    link.queue.append(
      frame, client: client, position: position, kind: kind, isSilent: isSilent,
      isSingle: inspectsReplies, traffic: traffic, nowMicroseconds: nowMicroseconds)
    queueOutput(link)
  }

  func charge(_ client: Client, _ byteCount: Int) {
    inFlightCount += 1
    inFlightBytes += byteCount
    client.inFlightBytes += byteCount
  }

  func hasFittingArity(_ index: CommandIndex, _ arguments: RequestArguments) -> Bool {
    let arity = Int(table.facts(index).arity)
    return arity >= 0 ? arguments.count == arity : arguments.count >= -arity
  }

  /// Whether a command has as many arguments as it needs; if not, its client is told so.
  func hasArity(
    _ client: Client, _ index: CommandIndex, _ arguments: RequestArguments
  ) -> Bool {
    if hasFittingArity(index, arguments) { return true }
    reply(client) { $0.writeError(ErrorReply.arity(self.table[index].name)) }
    return false
  }

  /// Where a command goes, with these arguments and these settings.
  func route(
    of index: CommandIndex, _ facts: CommandFacts, _ arguments: RequestArguments
  ) -> Route {
    let route =
      facts.isRoutedByArguments ? table.route(of: index, arguments: arguments) : facts.route
    guard case .refused = route, isOpened(index) || isKeyspaceEvents(index, arguments) else {
      return route
    }
    return table.openedRoute(of: index, arguments: arguments)
  }

  /// Why a command is refused, with these arguments and these settings.
  func refusal(of index: CommandIndex, _ arguments: RequestArguments) -> String {
    switch route(of: index, table.facts(index), arguments) {
    case .forbidden(let reason): ErrorReply.forbidden(displayName(index), reason)
    case .refused(let alternative):
      if index == configSet, arguments.matches(2, "NOTIFY-KEYSPACE-EVENTS") {
        ErrorReply.keyspaceEventsRefused
      } else {
        ErrorReply.refused(displayName(index), alternative)
      }
    case .pass, .local, .pinned, .pinnedOnly: ErrorReply.refused(displayName(index), "")
    }
  }

  private func isOpened(_ index: CommandIndex) -> Bool {
    !configuration.opened.isEmpty && configuration.opened.contains(table[index].name)
  }

  /// A command's name as people write it: `CONFIG SET`.
  func displayName(_ index: CommandIndex) -> String {
    String(table[index].name.map { $0 == "|" ? " " : $0 })
  }
}
