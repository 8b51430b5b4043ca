// SPDX-License-Identifier: Apache-2.0
import Failover
import NIOCore
import Proxy
import RESP
import Sessions

/// One shard on its event loop: moves bytes between channels and ``Shard``, and carries its actions out.
///
/// Everything that happens in one turn of the loop is gathered and leaves in one write a channel at its end.
final class ShardLoop {
  let loop: any EventLoop
  let shard: Shard
  private(set) var configuration: GatewayConfiguration
  private let index: Int
  private let book: ReportBook
  private let denials: DenialBook
  private let locks: HostLocks
  private let processes: ProcessWatch
  private let report: @Sendable (LinkReport) -> Void

  private var clientHandlers: [Int32: ClientHandler] = [:]
  private var linkHandlers: [LinkID: LinkHandler] = [:]
  /// The daemon's own questions.
  private var inner: [ClientID: InnerClient] = [:]
  private var isEndOfTurnDue = false
  /// A write that fails closes its channel within the call; the shard hears of it after the turn's end.
  private var isEndingTurn = false
  private var isTicking = true
  private var buffers: [ByteBuffer] = []

  init(
    loop: any EventLoop, index: Int, configuration: GatewayConfiguration, book: ReportBook,
    denials: DenialBook, locks: HostLocks, processes: ProcessWatch,
    report: @escaping @Sendable (LinkReport) -> Void
  ) {
    self.loop = loop
    self.index = index
    self.book = book
    self.denials = denials
    self.locks = locks
    self.processes = processes
    self.configuration = configuration
    self.report = report
    shard = Shard(configuration: configuration.proxy)
    shard.processFacts = { .now }
    shard.groupsOf = { [unowned self] in handler($0)?.peerGroups() ?? [] }
    scheduleTick()
  }

  /// Milliseconds of the clock, which the shard is told to the microsecond.
  var nowMilliseconds: Int64 {
    let now = NIODeadline.now().uptimeNanoseconds
    shard.nowMicroseconds = Int64(now / 1000)
    return Int64(now / 1_000_000)
  }

  // MARK: Events from channels

  func clientConnected(_ handler: ClientHandler, _ entrance: Entrance, peer: Peer?) -> ClientID {
    let needsGroups = configuration.proxy.access?.needsGroups ?? false
    let groups = needsGroups ? handler.peerGroups() : []
    let known = peer.map {
      Peer(
        pid: $0.pid, uid: $0.uid, gid: $0.gid, processKey: processes.key(of: $0.pid),
        groups: groups)
    }
    let id = shard.clientConnected(
      peer: known, entrance: entrance, nowMilliseconds: nowMilliseconds)
    clientHandlers[id.slot] = handler
    scheduleEndOfTurn()
    return id
  }

  func clientReceived(_ id: ClientID, _ buffer: ByteBuffer) {
    guard !isEndingTurn else { return later { self.clientReceived(id, buffer) } }
    buffer.withUnsafeReadableBytes {
      shard.clientReceived(id, $0, nowMilliseconds: nowMilliseconds)
    }
    scheduleEndOfTurn()
  }

  func clientWritable(_ id: ClientID, _ isWritable: Bool) {
    guard !isEndingTurn else { return later { self.clientWritable(id, isWritable) } }
    shard.clientWritable(id, isWritable, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func clientInputEnded(_ id: ClientID) {
    guard !isEndingTurn else { return later { self.clientInputEnded(id) } }
    shard.clientInputEnded(id, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func clientClosed(_ id: ClientID) {
    guard !isEndingTurn else { return later { self.clientClosed(id) } }
    clientHandlers[id.slot] = nil
    shard.clientClosed(id, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  /// False: this connection is no longer wanted.
  func linkConnected(_ handler: LinkHandler) -> Bool {
    guard shard.isCurrent(handler.id) else { return false }
    linkHandlers[handler.id] = handler
    shard.linkConnected(
      handler.id, credentials: configuration.credentials(), nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
    return true
  }

  /// A write that fails reads at once what the other end had still sent, in the middle of the turn's end.
  func linkReceived(_ id: LinkID, _ buffer: ByteBuffer) {
    guard !isEndingTurn else { return later { self.linkReceived(id, buffer) } }
    buffer.withUnsafeReadableBytes {
      shard.linkReceived(id, $0, nowMilliseconds: nowMilliseconds)
    }
    scheduleEndOfTurn()
  }

  func linkWritable(_ id: LinkID, _ isWritable: Bool) {
    guard !isEndingTurn else { return later { self.linkWritable(id, isWritable) } }
    shard.linkWritable(id, isWritable)
    scheduleEndOfTurn()
  }

  func linkClosed(_ id: LinkID, _ event: LinkEvent) {
    guard !isEndingTurn else { return later { self.linkClosed(id, event) } }
    linkHandlers[id] = nil
    shard.linkClosed(id, event: event, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  // MARK: Events from the control plane

  func masterChanged(_ view: MasterView) {
    shard.masterChanged(view, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func deny(_ denial: PendingDenial, isOwner: Bool) {
    shard.deny(denial, isOwner: isOwner, nowMilliseconds: nowMilliseconds)
  }

  func run(_ call: RedisCall, ticket: UInt64) {
    shard.run(call, ticket: ticket, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func driverFreed(_ name: LockName) {
    shard.driverFreed(name, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func answerAsk(_ id: ClientID, _ position: UInt64, _ reply: SessionReply) {
    shard.answerAsk(id, position, reply, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func processGone(_ key: UInt64) {
    shard.processGone(key, nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  func allow(_ denial: PendingDenial) { shard.allow(denial) }

  func reportsChanged(_ reports: [FailoverReport]) { shard.reports = reports }

  func reconfigure(_ configuration: GatewayConfiguration) {
    self.configuration = configuration
    shard.reconfigure(configuration.proxy)
  }

  func pushEvent(_ event: RESPValue) {
    shard.pushEvent(event, nowMilliseconds: nowMilliseconds)
    if shard.hasWork { scheduleEndOfTurn() }
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

  /// Asks as a client would, without a connection; the reply is the first that comes.
  func askItself(_ words: [String]) -> EventLoopFuture<RESPValue> {
    let promise = loop.makePromise(of: RESPValue.self)
    let id = shard.clientConnected(
      peer: nil, entrance: .inside, nowMilliseconds: nowMilliseconds)
    inner[id] = InnerClient(promise: promise)
    var command: [UInt8] = []
    command.writeCommand(["HELLO", "3"])
    command.writeCommand(words)
    command.withUnsafeBytes { shard.clientReceived(id, $0, nowMilliseconds: nowMilliseconds) }
    scheduleEndOfTurn()
    return promise.futureResult
  }

  /// Takes what the shard answers a client without a connection. True: it was for one.
  private func takeInner(_ id: ClientID, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard var client = inner[id] else { return false }
    client.received += bytes
    inner[id] = client
    let limits = ScanLimits()
    let reply = client.received.withUnsafeBytes { bytes -> RESPValue? in
      guard let hello = try? RESPValue.parse(bytes, from: 0, limits: limits) else { return nil }
      return try? RESPValue.parse(bytes, from: hello.byteCount, limits: limits)?.value
    }
    guard let reply else { return true }
    inner[id] = nil
    later { self.clientClosed(id) }
    client.promise.succeed(reply)
    return true
  }

  private func endInner(_ id: ClientID) {
    guard let client = inner.removeValue(forKey: id) else { return }
    later { self.clientClosed(id) }
    client.promise.succeed(.error("ERR the daemon is stopping, or has too many clients"))
  }

  private struct InnerClient {
    let promise: EventLoopPromise<RESPValue>
    var received: [UInt8] = []
  }

  func drain() {
    shard.drain(nowMilliseconds: nowMilliseconds)
    scheduleEndOfTurn()
  }

  /// Closes everything at once.
  func stop() {
    isTicking = false
    for id in Array(inner.keys) { endInner(id) }
    for handler in Array(clientHandlers.values) { handler.close() }
    for handler in Array(linkHandlers.values) { handler.close() }
  }

  // MARK: The turn's end

  /// What is scheduled runs after the events that the loop has at hand.
  private func scheduleEndOfTurn() {
    guard !isEndOfTurnDue else { return }
    isEndOfTurnDue = true
    loop.assumeIsolated().execute { self.endTurn() }
  }

  private func later(_ body: @escaping () -> Void) {
    loop.assumeIsolated().execute(body)
  }

  private func endTurn() {
    isEndOfTurnDue = false
    isEndingTurn = true
    defer { isEndingTurn = false }
    shard.takeClientOutput { id, bytes in
      if !self.inner.isEmpty, self.takeInner(id, bytes) { return }
      guard let handler = self.clientHandlers[id.slot], handler.id == id else { return }
      self.write(bytes) { handler.write($0) }
    }
    shard.takeLinkOutput { id, bytes in
      guard let handler = self.linkHandlers[id] else { return }
      self.write(bytes) { handler.write($0) }
    }
    shard.takeActions { self.carryOut($0) }
    if shard.hasWork { scheduleEndOfTurn() }
  }

  /// Copies bytes into a buffer that was used before, if its last write is done.
  private func write(_ bytes: UnsafeRawBufferPointer, _ send: (ByteBuffer) -> Void) {
    guard bytes.count <= 16 << 10 else { return send(ByteBuffer(bytes: bytes)) }
    var buffer = buffers.popLast() ?? ByteBufferAllocator().buffer(capacity: 16 << 10)
    buffer.clear()
    buffer.writeBytes(bytes)
    send(buffer)
    if buffers.count < 16 { buffers.append(buffer) }
  }

  private func carryOut(_ action: Action) {
    switch action {
    case .connect(let id, let address): connect(id, address)
    case .closeLink(let id): linkHandlers.removeValue(forKey: id)?.abort()
    case .closeClient(let id):
      endInner(id)
      handler(id)?.closeAfterWriting()
    case .abortClient(let id):
      endInner(id)
      handler(id)?.close()
    case .endInput(let id): endInput(id)
    case .setReading(let id, let isReading): handler(id)?.setReading(isReading)
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
    if let handler = handler(id), handler.endInput() { return }
    later { self.clientInputEnded(id) }
  }

  private func handler(_ id: ClientID) -> ClientHandler? {
    clientHandlers[id.slot].flatMap { $0.id == id ? $0 : nil }
  }

  private func connect(_ id: LinkID, _ address: NodeAddress) {
    let connecting = LinkHandler.connect(id, to: address, on: self)
    connecting.assumeIsolated().whenFailure { _ in
      guard self.shard.isCurrent(id) else { return }
      self.linkClosed(id, .connectFailed)
    }
  }

  // MARK: The clock

  private func scheduleTick() {
    let isRestless = index == 0 && locks.tick() || shard.isRestless
    let interval: TimeAmount = isRestless ? .milliseconds(20) : .milliseconds(100)
    loop.assumeIsolated().scheduleTask(in: interval) {
      guard self.isTicking else { return }
      self.shard.tick(nowMilliseconds: self.nowMilliseconds)
      if self.shard.hasWork { self.scheduleEndOfTurn() }
      self.scheduleTick()
    }
  }
}
