// SPDX-License-Identifier: Apache-2.0
import Failover
import Glibc
import NIOCore
import Proxy
import RESP
import Sessions

/// One shard on its thread: moves bytes between sockets and ``Shard``, and carries its actions out.
///
/// Everything that happens in one turn is gathered and leaves in one write a socket at its end.
final class ShardLoop: ReactorWork {
  let loop: Reactor
  let shard: Shard
  private(set) var configuration: GatewayConfiguration
  private let poller: Poller
  private let index: Int
  private let book: ReportBook
  private let denials: DenialBook
  private let locks: HostLocks
  private let processes: ProcessWatch
  private let relay: TLSRelay
  private let placement: Placement
  private let report: @Sendable (LinkReport) -> Void

  private var clients: [ClientConnection?] = []
  private var links: [LinkID: LinkConnection] = [:]
  private var acceptors: [Acceptor] = []
  /// Clients that are closed once they have read their last replies.
  private var closing: [ClientConnection] = []
  /// The daemon's own questions.
  private var inner = InnerClients()
  /// What must not happen in the middle of what is happening now.
  private var later: [() -> Void] = []
  private static let restlessTickMilliseconds: Int64 = 20
  private static let tickMilliseconds: Int64 = 100
  private static let restingTickMilliseconds: Int64 = 2000
  private var tickMilliseconds: Int64 = 0
  /// Nothing has happened since the last tick.
  private var isIdle = false
  /// Nothing happens that a second or two would matter to: the next tick is far away, until something happens.
  private var isResting = false
  private var pace = RequestPace()
  /// When this turn began.
  private var turnMicroseconds: Int64 = 0
  private(set) var nowMilliseconds: Int64 = 0
  /// All sockets of this thread read into it.
  private let buffer = UnsafeMutableRawBufferPointer.allocate(
    byteCount: StreamSocket.readBytesMax, alignment: 16)

  init(
    loop: Reactor, poller: Poller, index: Int, configuration: GatewayConfiguration,
    book: ReportBook, denials: DenialBook, locks: HostLocks, processes: ProcessWatch,
    relay: TLSRelay, placement: Placement, report: @escaping @Sendable (LinkReport) -> Void
  ) {
    self.loop = loop
    self.poller = poller
    self.index = index
    self.book = book
    self.denials = denials
    self.locks = locks
    self.processes = processes
    self.relay = relay
    self.placement = placement
    self.configuration = configuration
    self.report = report
    shard = Shard(configuration: configuration.proxy)
    shard.processFacts = { .now }
    shard.groupsOf = { [unowned self] in connection($0)?.peerGroups() ?? [] }
    woken(eventCount: 0)
  }

  deinit { buffer.deallocate() }

  // MARK: The thread's turns

  func woken(eventCount: Int) {
    readClock()
    turnMicroseconds = shard.nowMicroseconds
    guard eventCount > 0 else { return }
    isIdle = false
    if isResting {
      isResting = false
      tickMilliseconds = min(tickMilliseconds, nowMilliseconds + Self.tickMilliseconds)
    }
  }

  private func readClock() {
    let now = NIODeadline.now().uptimeNanoseconds
    shard.nowMicroseconds = Int64(now / 1000)
    nowMilliseconds = Int64(now / 1_000_000)
  }

  func turn() -> Int64 {
    if nowMilliseconds >= tickMilliseconds { tick() }
    repeat {
      // First what has happened to sockets: what is handed to a connection that is known to be lost counts as sent.
      var due: [() -> Void] = []
      swap(&due, &later)
      for body in due { body() }
      handOut()
    } while shard.hasWork || !later.isEmpty
    return max(0, tickMilliseconds - nowMilliseconds)
  }

  var isGathering: Bool { pace.isGathering(turnMicroseconds) }

  private func tick() {
    shard.tick(nowMilliseconds: nowMilliseconds)
    for link in Array(links.values) { link.expire(nowMilliseconds: nowMilliseconds) }
    closing.removeAll { $0.closeAfterWriting(nowMilliseconds: nowMilliseconds) }
    for acceptor in acceptors where acceptor.isPaused { acceptor.resume() }
    let lockWait = index == 0 ? locks.tick() : nil
    let isRestless = lockWait.map { $0 < 200 } ?? false || shard.isRestless
    let isSettled =
      closing.isEmpty && !shard.isOwedReplies && !shard.isRetryingEnds
      && !acceptors.contains { $0.isPaused }
    isResting = isIdle && !isRestless && lockWait == nil && isSettled
    isIdle = true
    let wait =
      isRestless
      ? Self.restlessTickMilliseconds
      : isResting ? restingWaitMilliseconds : Self.tickMilliseconds
    tickMilliseconds = nowMilliseconds + wait
  }

  /// Links are looked at twice in the time after which silent ones are asked.
  private var restingWaitMilliseconds: Int64 {
    let half = configuration.proxy.checkIdleMilliseconds / 2
    return min(Self.restingTickMilliseconds, max(Self.tickMilliseconds, half))
  }

  private func handOut() {
    shard.takeClientOutput { id, bytes in
      switch self.inner.take(id, bytes) {
      case .notOne: self.connection(id)?.write(&bytes)
      case .more: break
      case .answered(let reply, let promise):
        self.closeInner(id)
        promise.succeed(reply)
      }
    }
    shard.takeLinkOutput { id, bytes in self.links[id]?.write(bytes) }
    shard.takeActions { self.carryOut($0) }
  }

  // MARK: Events from sockets

  /// Takes connections from a listening socket.
  func listen(_ descriptor: CInt, _ entrance: Entrance) {
    acceptors.append(
      Acceptor(descriptor, poller: poller) { [unowned self] in accept($0, entrance) })
  }

  func stopListening() {
    for acceptor in acceptors { acceptor.stop() }
    acceptors = []
  }

  private func accept(_ descriptor: CInt, _ entrance: Entrance) {
    let place = placement.place(acceptedBy: index)
    if place == index {
      serve(descriptor, entrance)
    } else {
      placement.hand(descriptor, entrance, to: place)
    }
  }

  /// Serves a client on a connected descriptor; it has its place here.
  func serve(_ descriptor: CInt, _ entrance: Entrance) {
    let connection = ClientConnection(
      descriptor, entrance, shard: self, poller: poller, buffer: buffer)
    if connection.id == nil { placement.left(index) }
  }

  func clientConnected(
    _ connection: ClientConnection, _ entrance: Entrance, peer: Peer?
  ) -> ClientID {
    let needsGroups = configuration.proxy.access?.needsGroups ?? false
    let groups = needsGroups ? connection.peerGroups() : []
    let known = peer.map {
      Peer(
        pid: $0.pid, uid: $0.uid, gid: $0.gid, processKey: processes.key(of: $0.pid),
        groups: groups)
    }
    let id = shard.clientConnected(
      peer: known, entrance: entrance, nowMilliseconds: nowMilliseconds)
    let slot = Int(id.slot)
    while clients.count <= slot { clients.append(nil) }
    clients[slot] = connection
    return id
  }

  func clientReceived(
    _ id: ClientID, _ bytes: UnsafeRawBufferPointer, seenIn: inout UInt32
  ) {
    pace.note(turnMicroseconds, seenIn: &seenIn)
    shard.clientReceived(id, bytes, nowMilliseconds: nowMilliseconds)
  }

  func clientWritable(_ id: ClientID, _ isWritable: Bool) {
    later.append { [self] in
      shard.clientWritable(id, isWritable, nowMilliseconds: nowMilliseconds)
    }
  }

  func clientInputEnded(_ id: ClientID) {
    shard.clientInputEnded(id, nowMilliseconds: nowMilliseconds)
  }

  /// Its socket is closed; the shard hears of it behind what it is doing now.
  func clientClosed(_ id: ClientID, _ connection: ClientConnection) {
    placement.left(index)
    if clients[Int(id.slot)] === connection { clients[Int(id.slot)] = nil }
    later.append { [self] in shard.clientClosed(id, nowMilliseconds: nowMilliseconds) }
  }

  /// False: this connection is no longer wanted.
  func linkConnected(_ id: LinkID) -> Bool {
    guard shard.isCurrent(id) else { return false }
    shard.linkConnected(
      id, credentials: configuration.credentials(), nowMilliseconds: nowMilliseconds)
    return true
  }

  func linkReceived(_ id: LinkID, _ bytes: UnsafeRawBufferPointer) {
    // A write fence asks which replies came before a question of the control plane: none may seem older than it is.
    readClock()
    shard.linkReceived(id, bytes, nowMilliseconds: nowMilliseconds)
  }

  func linkWritable(_ id: LinkID, _ isWritable: Bool) {
    later.append { [self] in shard.linkWritable(id, isWritable) }
  }

  func linkClosed(_ id: LinkID, _ event: LinkEvent) {
    links[id] = nil
    later.append { [self] in
      guard shard.isCurrent(id) else { return }
      shard.linkClosed(id, event: event, nowMilliseconds: nowMilliseconds)
    }
  }

  // MARK: Events from the control plane

  func masterChanged(_ view: MasterView) {
    shard.masterChanged(view, nowMilliseconds: nowMilliseconds)
  }

  func deny(_ denial: PendingDenial, isOwner: Bool) {
    shard.deny(denial, isOwner: isOwner, nowMilliseconds: nowMilliseconds)
  }

  func run(_ call: RedisCall, ticket: UInt64) {
    shard.run(call, ticket: ticket, nowMilliseconds: nowMilliseconds)
  }

  func driverFreed(_ name: LockName) {
    shard.driverFreed(name, nowMilliseconds: nowMilliseconds)
  }

  func answerAsk(_ id: ClientID, _ position: UInt64, _ reply: SessionReply) {
    shard.answerAsk(id, position, reply, nowMilliseconds: nowMilliseconds)
  }

  func processGone(_ key: UInt64) {
    shard.processGone(key, nowMilliseconds: nowMilliseconds)
  }

  func allow(_ denial: PendingDenial) { shard.allow(denial) }

  func reportsChanged(_ reports: [FailoverReport]) { shard.reports = reports }

  func reconfigure(_ configuration: GatewayConfiguration) {
    self.configuration = configuration
    shard.reconfigure(configuration.proxy)
  }

  func pushEvent(_ event: RESPValue) {
    shard.pushEvent(event, nowMilliseconds: nowMilliseconds)
  }

  /// Answers a command of an operator; that takes as long as it takes, and never on this loop.
  private func askConsole(_ ask: HostAsk) {
    let words = ask.arguments.map { String(decoding: $0, as: UTF8.self) }
    let question = ConsoleAsk(words: words, version: ask.version)
    let bound = NIOLoopBound(self, eventLoop: loop)
    Task { [console = configuration.console, loop] in
      let answer = await console(question)
      loop.execute {
        if let isWatching = answer.isWatching {
          bound.value.shard.setWatching(ask.client, isWatching)
        }
        bound.value.answerAsk(ask.client, ask.position, .value(answer.reply))
      }
    }
  }

  /// Asks as a client would, without a connection.
  func askItself(_ words: [String]) -> EventLoopFuture<RESPValue> {
    let promise = loop.makePromise(of: RESPValue.self)
    let id = shard.clientConnected(
      peer: nil, entrance: .inside, nowMilliseconds: nowMilliseconds)
    let request = inner.begin(id, words, promise)
    request.withUnsafeBytes { shard.clientReceived(id, $0, nowMilliseconds: nowMilliseconds) }
    return promise.futureResult
  }

  private func endInner(_ id: ClientID) {
    guard let promise = inner.end(id) else { return }
    closeInner(id)
    promise.succeed(.error("ERR the daemon is stopping, or has too many clients"))
  }

  private func closeInner(_ id: ClientID) {
    later.append { [self] in shard.clientClosed(id, nowMilliseconds: nowMilliseconds) }
  }

  func drain() {
    shard.drain(nowMilliseconds: nowMilliseconds)
  }

  /// Closes everything at once.
  func stop() {
    stopListening()
    for id in inner.ids { endInner(id) }
    for case let connection? in clients { connection.close() }
    for link in links.values { link.abort() }
    links = [:]
  }

  func end() { stop() }

  // MARK: Actions

  private func carryOut(_ action: Action) {
    switch action {
    case .connect(let id, let address): connect(id, address)
    case .closeLink(let id): links.removeValue(forKey: id)?.abort()
    case .closeClient(let id):
      endInner(id)
      if let connection = connection(id),
        !connection.closeAfterWriting(nowMilliseconds: nowMilliseconds)
      {
        closing.append(connection)
      }
    case .abortClient(let id):
      endInner(id)
      connection(id)?.close()
    case .endInput(let id): endInput(id)
    case .setReading(let id, let isReading): connection(id)?.setReading(isReading)
    case .report(let report): self.report(report)
    case .deny(let denial): denials.add(denial, from: index)
    case .allow(let denial): denials.remove(denial, from: index)
    case .lock(let ask): locks.ask(ask, from: index)
    case .console(let ask): askConsole(ask)
    case .driverLock(let id, let peer, let name, let token, let milliseconds):
      locks.driverTook(
        name, id, peer, token: token, ttlMilliseconds: milliseconds,
        isConnectionScope: configuration.proxy.driverLocks?.isConnectionScope ?? false,
        from: index)
    case .driverFreed(let name): locks.driverFreed(name, from: index)
    case .callAnswered(let ticket, let reply): locks.callAnswered(ticket, reply, from: index)
    case .connectionGone(let id): locks.connectionGone(id, from: index)
    case .connectionSettled(let id): locks.connectionSettled(id, from: index)
    case .processSettled(let key): locks.processSettled(key, from: index)
    case .note(let note): configuration.note(.shard(note))
    case .sessionNote(let note): configuration.note(.session(note))
    case .figures(let number, let figures): book.record(figures, shard: index, failover: number)
    }
  }

  private func endInput(_ id: ClientID) {
    if let connection = connection(id), connection.endInput() { return }
    later.append { [self] in clientInputEnded(id) }
  }

  private func connection(_ id: ClientID) -> ClientConnection? {
    let slot = Int(id.slot)
    guard slot < clients.count, let connection = clients[slot], connection.id == id else {
      return nil
    }
    return connection
  }

  private func connect(_ id: LinkID, _ address: NodeAddress) {
    let link = LinkConnection(id, shard: self, poller: poller, buffer: buffer)
    links[id] = link
    link.open(
      address, configuration.tls, relay, nowMilliseconds: nowMilliseconds,
      timeoutMilliseconds: configuration.connectTimeoutMilliseconds)
  }
}
