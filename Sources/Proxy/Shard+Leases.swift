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
    guard view.isServing else { return awaitMaster(client) }
    guard let link = spares.popLast() else { return awaitLease(client) }
    lease(link, to: client)
    return takePinned(client, index, arguments, frame)
  }

  private func awaitLease(_ client: Client) -> Bool {
    guard !client.isFailingFast else {
      counters.overloaded += 1
      reply(client) { $0.writeError(ErrorReply.noLease) }
      return true
    }
    client.block = .lease
    client.waitDeadlineMilliseconds = now + configuration.waitMilliseconds
    leaseWaiters.append(client.id)
    makeSpares()
    return false
  }

  private func lease(_ link: Link, to client: Client) {
    link.purpose = .leased(client.id)
    client.lease = link.id
    if client.version == .three { setUp(link, client, ["HELLO", "3"]) }
    if client.database != configuration.database {
      setUp(link, client, ["SELECT", "\(client.database)"])
    }
    makeSpares()
  }

  private func setUp(_ link: Link, _ client: Client, _ command: [String]) {
    var bytes: [UInt8] = []
    bytes.writeCommand(command)
    bytes.withUnsafeBytes { enqueue($0, client.id, 0, .setup, on: link) }
  }

  /// A spare connection is ready: the first that waits for one gets it.
  func offer(_ link: Link) {
    while let id = leaseWaiters.popFirst() {
      guard let client = clients[id], client.block == .lease else { continue }
      noteWait(client)
      lease(link, to: client)
      unblock(client)
      return
    }
    guard spares.count < configuration.sparesMax else { return lose(link, event: nil) }
    spares.append(link)
  }

  /// Keeps as many spare connections as are wanted, or being waited for.
  func makeSpares() {
    guard view.isServing, !isDraining else { return }
    var spareCount = 0
    var leaseCount = 0
    for case let link? in links {
      switch link.purpose {
      case .shared: break
      case .spare: spareCount += 1
      case .leased: leaseCount += 1
      }
    }
    let wanted = max(configuration.sparesMax, leaseWaiters.count)
    while spareCount < wanted, spareCount + leaseCount < configuration.leasesMax {
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
    if client.isStreaming { return takeWhileSubscribed(client, link, index, arguments, frame) }
    guard let index else { return forward(client, frame, .client, on: link) }
    let facts = table.facts(index)
    switch facts.isRoutedByArguments ? table.route(of: index, arguments: arguments) : facts.route {
    case .pass: return forward(client, frame, .client, on: link)
    case .local(.hello), .local(.select):
      guard client.order.isSettled else {
        client.block = .settle
        return false
      }
      return takeStateOnLease(client, link, index, arguments)
    case .local(let command):
      guard hasArity(client, index, facts, arguments) else { return true }
      return takeLocal(client, command, arguments)
    case .pinned(let reason):
      return begin(reason, client, link, arguments, frame)
    case .pinnedOnly: return takePinnedOnly(client, link, index, arguments, frame)
    case .refused(let alternative):
      if isOpened(index) { return forward(client, frame, .client, on: link) }
      reply(client) { $0.writeError(ErrorReply.refused(self.displayName(index), alternative)) }
      return true
    case .forbidden(let reason):
      reply(client) { $0.writeError(ErrorReply.forbidden(self.displayName(index), reason)) }
      return true
    }
  }

  private func forward(
    _ client: Client, _ frame: UnsafeRawBufferPointer, _ kind: EntryKind, on link: Link
  ) -> Bool {
    guard client.order.outstanding < configuration.inFlightPerClientMax else {
      client.block = .inFlight
      return false
    }
    send(client, frame, kind, on: link)
    return true
  }

  private func begin(
    _ reason: PinReason, _ client: Client, _ link: Link, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    switch reason {
    case .transaction:
      client.transaction = .open
      client.isTransactionPoisoned = false
    case .watch: client.isWatching = true
    case .tracking: client.isTracking = arguments.matches(2, "ON")
    case .subscription: return sendWithMarker(client, link, frame)
    case .blocking:
      send(client, frame, .client, on: link)
      client.block = .settle
      return true
    }
    return forward(client, frame, .client, on: link)
  }

  private func takePinnedOnly(
    _ client: Client, _ link: Link, _ index: CommandIndex, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    switch table[index].name {
    case "UNWATCH": return forward(client, frame, .unwatch, on: link)
    default: return takeWithoutLease(client, index, arguments)
    }
  }

  /// `HELLO` and `SELECT` while something is watched or tracked.
  private func takeStateOnLease(
    _ client: Client, _ link: Link, _ index: CommandIndex, _ arguments: RequestArguments
  ) -> Bool {
    let before = (client.database, client.version)
    guard case .local(let command) = table.facts(index).route else { return true }
    let isTaken = takeLocal(client, command, arguments)
    if client.version != before.1 { setUp(link, client, ["HELLO", "\(client.version.rawValue)"]) }
    if client.database != before.0 { setUp(link, client, ["SELECT", "\(client.database)"]) }
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
    default:
      let version = client.version
      let kind = name.lowercased()
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
    return true
  }

  // MARK: The end of a lease

  /// Gives a connection back once nothing of its client's is left on it.
  func releaseLeaseIfOver(_ client: Client, _ link: Link) {
    guard client.isLeaseOver, link.queue.isEmpty else { return }
    client.lease = nil
    giveBack(link)
    if client.block == .marker { unblock(client) }
  }

  private func giveBack(_ link: Link) {
    link.purpose = .spare
    guard spares.count < configuration.sparesMax || !leaseWaiters.isEmpty else {
      return lose(link, event: nil)
    }
    greet(link, credentials: link.credentials, isReset: true)
  }

  /// A client is gone: what it had begun on its connection ends with it.
  func abandonLease(of client: Client) {
    guard let lease = client.lease, let link = link(lease) else { return }
    client.lease = nil
    link.purpose = .spare
    if link.queue.isEmpty {
      giveBack(link)
    } else {
      lose(link, event: nil)
    }
    makeSpares()
  }

  /// A leased connection is lost. A transaction is never replayed; what had no effect yet is done again.
  func loseLease(of client: Client, _ link: Link, _ error: UnsafeRawBufferPointer?) {
    client.lease = nil
    let entries = link.queue
    if link.state != .idle {
      link.purpose = .spare
      lose(link, event: nil)
    }
    if client.isStreaming || client.isTracking || error != nil {
      if client.isTracking && client.version == .three {
        provideOutput(client)
        client.output += Array(">2\r\n$10\r\ninvalidate\r\n_\r\n".utf8)
      }
      return close(client)
    }
    if client.isWatching && client.transaction == .none { client.isWatchBroken = true }
    if client.transaction == .open {
      client.transaction = .failed(isWatchBroken: client.isWatching)
    }
    client.isWatching = false
    answerLeased(client, entries)
    if client.transaction == .ending { client.transaction = .none }
    reconsider(client)
  }

  /// Answers what was unanswered on a lost leased connection.
  private func answerLeased(_ client: Client, _ queue: InFlightQueue) {
    for (due, command, verdict) in leasedVerdicts(queue) {
      let isQueued = due.kind == .client && client.transaction != .none
      switch (verdict, isQueued) {
      case (_, true):
        // Queued or about to be: `EXEC` will tell.
        var queued: [UInt8] = []
        queued.writeSimple("QUEUED")
        queued.withUnsafeBytes { answer(client, due.position, $0) }
      case (.resend, false) where due.kind == .transactionEnd:
        answerError(client, due.position, due.kind, ErrorReply.transactionLost)
      case (.resend, false) where client.order.issued == due.position + 1:
        // The last one: it is taken again as if it had just come.
        client.order.withdrawLast()
        inputBytes += command.count
        client.unread(command)
      case (.resend, false), (.uncertain, false):
        counters.uncertain += 1
        answerError(client, due.position, due.kind, ErrorReply.uncertain)
      }
    }
  }

  /// A node that takes no writes, or cannot now: nothing of this connection's was executed.
  func deferLeased(_ link: Link) -> Bool {
    guard case .leased(let id) = link.purpose, let client = clients[id],
      client.transaction == .none, link.queue.entries.first?.kind == .client
    else { return false }
    let queue = link.queue
    client.lease = nil
    client.isWatchBroken = client.isWatching
    client.isWatching = false
    link.purpose = .spare
    lose(link, event: nil)
    answerLeased(client, queue)
    reconsider(client)
    return true
  }
}
