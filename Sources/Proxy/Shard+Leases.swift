// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// Pinned commands: a connection of the client's own, for as long as Redis keeps state on it.
extension Shard {
  /// Gives a client a connection of its own, then takes the command there. False: it must wait.
  func pin(
    _ client: Client, _ index: CommandIndex, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    // Only once the shared link has answered it, so that its replies keep their order.
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    guard view.isServing, !mayStillExecute(client) else { return awaitMaster(client) }
    if let text = groupErrors[client.group] {
      reply(client) { $0.writeError(text) }
      return true
    }
    if client.isFailingFast, let refusal = client.setupRefusal {
      reply(client) { $0.writeError(refusal) }
      return true
    }
    guard let spare = takeSpare(for: client) else { return awaitLease(client) }
    lease(spare, to: client)
    guard client.block == nil else { return false }
    return takePinned(client, index, arguments, frame)
  }

  /// Whether a given-up connection may still hold commands of this client: its shared link ends that first.
  func mayStillExecute(_ client: Client) -> Bool {
    client.link.map { !$0.predecessors.isEmpty } ?? false
  }

  /// Transitions only: a client waits although no more connections may be made, and none does any more.
  func notePool() {
    let leased = links.reduce(0) { $0 + ($1.map(isLeased) ?? false ? 1 : 0) }
    let isExhausted = !leaseWaiters.isEmpty && leased >= configuration.leasesMax
    guard isExhausted != isPoolExhausted else { return }
    isPoolExhausted = isExhausted
    actions.append(.note(isExhausted ? .poolExhausted(leased: leased) : .poolRecovered))
  }

  private func isLeased(_ link: Link) -> Bool {
    if case .leased = link.purpose { return true }
    return false
  }

  private func awaitLease(_ client: Client) -> Bool {
    guard !client.isFailingFast else {
      noteOverloaded()
      reply(client) { $0.writeError(ErrorReply.noLease) }
      return true
    }
    startWaiting(client, .lease)
    leaseWaiters.append(client.id)
    makeSpares()
    notePool()
    return false
  }

  /// One that speaks to the client's database already, if there is any.
  func takeSpare(for client: Client) -> Link? {
    guard let index = spares.lastIndex(where: { $0.prepared == client.group }) else {
      return spares.popLast()
    }
    return spares.remove(at: index)
  }

  func lease(_ link: Link, to client: Client) {
    link.purpose = .leased(client.id)
    client.lease = link.id
    prepare(link, for: client)
    makeSpares()
  }

  /// Brings a leased connection to its client's database and protocol. The client waits for it: what ran before
  /// the answer might run elsewhere.
  private func prepare(_ link: Link, for client: Client) {
    if link.prepared.version != client.version {
      setUp(link, client, ["HELLO", "\(client.version.rawValue)"])
    }
    if link.prepared.database != client.database {
      setUp(link, client, ["SELECT", "\(client.database)"])
    }
  }

  private func setUp(_ link: Link, _ client: Client, _ command: [String]) {
    client.block = .setup
    var bytes: [UInt8] = []
    bytes.writeCommand(command)
    bytes.withUnsafeBytes { enqueue($0, client.id, 0, .setup, on: link) }
  }

  /// An answer to what prepares a leased connection.
  func takeSetupReply(_ client: Client, _ link: Link, _ reply: UnsafeRawBufferPointer) {
    guard reply.first == UInt8(ascii: "-") else {
      if !link.queue.entries.contains(where: { $0.kind == .setup }) {
        link.prepared = client.group
        client.setupRefusal = nil
        if client.block == .setup { unblock(client) }
      }
      return
    }
    let text = String(decoding: reply.dropFirst().dropLast(2), as: UTF8.self)
    let isFinal = LinkHandshake.isFinalRefusal(text)
    if isFinal { groupErrors[client.group] = text } else { client.setupRefusal = text }
    loseLease(of: client, link)
    // Refused for now: its command is taken again a little later, on another connection.
    if !isFinal, client.block == nil { retry(client, atMilliseconds: now + 100) }
  }

  /// Lets a client's next command be taken again at a time.
  func retry(_ client: Client, atMilliseconds time: Int64) {
    startWaiting(client, .retry)
    client.retryMilliseconds = time
    retryWaiters.append(client.id)
  }

  /// A spare connection is ready: the first that waits for one gets it.
  func offer(_ link: Link) {
    while let id = leaseWaiters.popFirst() {
      guard let client = clients[id], client.block == .lease else { continue }
      noteWait(client)
      client.block = nil
      lease(link, to: client)
      if client.block == nil { unblock(client) }
      return
    }
    guard spares.count < max(configuration.sparesMax, movers.count) else {
      return lose(link, event: nil)
    }
    spares.append(link)
  }

  /// Keeps as many connections as are wanted, in use or not, and always one in reserve.
  func makeSpares() {
    guard view.isServing, !isDraining else { return }
    var spareCount = 0
    var leaseCount = 0
    for case let link? in links {
      switch link.purpose {
      case .shared, .barrier: break
      case .spare: spareCount += 1
      case .leased: leaseCount += 1
      }
    }
    let reserve = max(leaseWaiters.count + movers.count, min(1, configuration.sparesMax))
    while spareCount < reserve || spareCount + leaseCount < configuration.sparesMax,
      spareCount + leaseCount < configuration.leasesMax
    {
      connect(makeLink(.spare))
      spareCount += 1
    }
  }

  // MARK: Commands on a leased connection

  /// Takes a command of a client that has a connection of its own, or has lost one.
  func takePinned(
    _ client: Client, _ index: CommandIndex?, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    switch client.transaction {
    case .ending:
      client.block = .settle
      return false
    case .failed(let isWatchBroken):
      return takeInFailedTransaction(client, index, arguments, isWatchBroken)
    case .open: return takeInTransaction(client, index, arguments, frame)
    case .none: break
    }
    guard let lease = client.lease, let link = link(lease) else { return true }
    if isFenced, writesOnLease(index, arguments) { return awaitFence(client) }
    if client.isStreaming,
      let isTaken = takeWhileSubscribed(client, link, index, arguments, frame)
    {
      return isTaken
    }
    guard let index else { return forward(client, frame, .client, on: link) }
    let facts = table.facts(index)
    switch route(of: index, facts, arguments) {
    case .pass:
      return withRepairs(index, arguments, frame) {
        forward(client, $0, kind(of: index, arguments), on: link)
      }
    case .local(.hello), .local(.select):
      guard hasArity(client, index, arguments) else { return true }
      return takeStateOnLease(client, link, index, arguments)
    case .local(let command):
      guard hasArity(client, index, arguments) else { return true }
      return takeLocal(client, command, arguments)
    case .pinned(let reason):
      guard hasArity(client, index, arguments) else { return true }
      return begin(reason, table[index].name, client, link, arguments, frame)
    case .pinnedOnly:
      // A malformed EXEC ends what is watched too (`multi.c`, `execCommandAbort`).
      if table[index].name == "EXEC", arguments.count != 1 {
        guard forward(client, frame, .transactionEnd, on: link) else { return false }
        client.transaction = .ending
        return true
      }
      guard hasArity(client, index, arguments) else { return true }
      return takePinnedOnly(client, link, index, arguments, frame)
    case .refused, .forbidden:
      guard hasArity(client, index, arguments) else { return true }
      reply(client) { $0.writeError(self.refusal(of: index, arguments)) }
      return true
    }
  }

  /// Whether a command of a client with a connection of its own may change data.
  private func writesOnLease(_ index: CommandIndex?, _ arguments: RequestArguments) -> Bool {
    guard let index else { return true }
    let facts = table.facts(index)
    guard case .pinned(let reason) = route(of: index, facts, arguments) else {
      return facts.isWrite
    }
    return mayWrite(reason, facts)
  }

  /// What a fence keeps back of the commands that need a connection of their own. A transaction that began before a
  /// promotion could only fail: it begins after it.
  func mayWrite(_ reason: PinReason, _ facts: CommandFacts) -> Bool {
    switch reason {
    case .transaction, .watch: true
    case .blocking: facts.isWrite
    case .subscription, .tracking: false
    }
  }

  func forward(
    _ client: Client, _ frame: UnsafeRawBufferPointer, _ kind: EntryKind, on link: Link
  ) -> Bool {
    guard hasRoom(client, frame.count) else { return false }
    send(client, frame, kind, on: link)
    return true
  }

  private func begin(
    _ reason: PinReason, _ name: String, _ client: Client, _ link: Link,
    _ arguments: RequestArguments, _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    switch reason {
    case .transaction:
      client.transaction = .open
      client.isTransactionPoisoned = false
      client.isTransactionWriting = false
      return forward(client, frame, .transactionBegin, on: link)
    case .watch:
      client.isWatching = true
      client.watchPosition = client.order.issued
    case .tracking: return forward(client, frame, .tracking, on: link)
    case .subscription:
      client.isMonitoring = client.isMonitoring || name == "MONITOR"
      return sendWithMarker(client, link, frame)
    case .blocking:
      send(client, frame, .client, on: link)
      client.isBlocking = true
      client.isBlockingWrite = table.find(arguments).map { table.facts($0).isWrite } ?? true
      client.blockingDeadlineMilliseconds = blockingDeadline(name, arguments)
      client.block = .settle
      return true
    }
    return forward(client, frame, .client, on: link)
  }

  /// Until when a blocking command's answer may take: its own timeout, and what any command may take.
  private func blockingDeadline(_ name: String, _ arguments: RequestArguments) -> Int64 {
    guard let timeout = BlockingTimeout.milliseconds(of: name, arguments) else { return .max }
    return now + timeout + configuration.commandTimeoutMilliseconds
  }

  private func takePinnedOnly(
    _ client: Client, _ link: Link, _ index: CommandIndex, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    switch table[index].name {
    case "UNWATCH": return forward(client, frame, .unwatch, on: link)
    case "CLIENT|TRACKING": return forward(client, frame, .tracking, on: link)
    case "CLIENT|CACHING", "CLIENT|GETREDIR", "CLIENT|TRACKINGINFO":
      return forward(client, frame, .client, on: link)
    default: return takeWithoutLease(client, index, arguments)
    }
  }

  /// `HELLO` and `SELECT` while something is watched, tracked or subscribed.
  func takeStateOnLease(
    _ client: Client, _ link: Link, _ index: CommandIndex, _ arguments: RequestArguments
  ) -> Bool {
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    guard case .local(let command) = table.facts(index).route else { return true }
    let isTaken = takeLocal(client, command, arguments)
    prepare(link, for: client)
    return isTaken
  }

  /// Commands that end state which this client does not have.
  func takeWithoutLease(
    _ client: Client, _ index: CommandIndex, _ arguments: RequestArguments
  ) -> Bool {
    let name = table[index].name
    switch name {
    case "UNWATCH":
      client.isWatchBroken = false
      reply(client) { $0.writeSimple("OK") }
    case "EXEC", "DISCARD": reply(client) { $0.writeError("ERR \(name) without MULTI") }
    case "CLIENT|TRACKING": reply(client) { $0.writeSimple("OK") }
    case "CLIENT|GETREDIR": reply(client) { $0.writeInteger(-1) }
    case "CLIENT|CACHING":
      reply(client) {
        $0.writeError(
          "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
            + "OPTOUT mode enabled")
      }
    case "CLIENT|TRACKINGINFO": describeNoTracking(client)
    default: answerUnsubscribe(client, name.lowercased(), arguments)
    }
    return true
  }

  private func describeNoTracking(_ client: Client) {
    let version = client.version
    reply(client) { out in
      out.writeMapHeader(3, version)
      out.writeBulk("flags")
      out.writeSetHeader(1, version)
      out.writeBulk("off")
      out.writeBulk("redirect")
      out.writeInteger(-1)
      out.writeBulk("prefixes")
      out.writeArrayHeader(0)
    }
  }

  /// `UNSUBSCRIBE` and its kin, of a client without subscriptions.
  private func answerUnsubscribe(_ client: Client, _ kind: String, _ arguments: RequestArguments) {
    let version = client.version
    reply(client) { out in
      for index in 1..<max(2, arguments.count) {
        out.writePushHeader(3, version)
        out.writeBulk(kind)
        if let channel = arguments.argument(index) {
          out.writeBulk(channel)
        } else {
          out.writeNull(version)
        }
        out.writeInteger(0)
      }
    }
  }
}
