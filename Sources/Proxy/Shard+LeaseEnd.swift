// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// The end of a lease: a connection is given back, or lost with what was unanswered on it.
extension Shard {
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
    client.isBlocking = false
    link.purpose = .spare
    // A message on its way would be taken for the answer to `RESET`.
    if link.queue.isEmpty && !client.isStreaming && !client.isTracking {
      giveBack(link)
    } else {
      _ = leasedVerdicts(link.queue)
      lose(link, event: nil)
    }
    makeSpares()
  }

  /// A leased connection is lost. A transaction is never replayed; what had no effect yet is done again.
  func loseLease(of client: Client, _ link: Link) {
    client.lease = nil
    client.isBlocking = false
    let entries = link.queue
    if link.state != .idle {
      link.purpose = .spare
      lose(link, event: nil)
    }
    if client.isStreaming, maySubscribeAgain(client, entries) {
      answerLeased(client, entries, isVoidable: !link.predecessors.contains(nil))
      endPredecessor(link, of: client)
      return awaitMove(client)
    }
    if client.isStreaming || client.isTracking {
      _ = leasedVerdicts(entries)
      if client.isTracking && client.version == .three {
        Self.invalidateAll.withUnsafeBytes { passPush(client, $0) }
      }
      return close(client)
    }
    if client.isWatching && client.transaction == .none { client.isWatchBroken = true }
    if client.transaction == .open {
      client.transaction = .failed(isWatchBroken: client.isWatching)
    }
    client.isWatching = false
    answerLeased(client, entries, isVoidable: !link.predecessors.contains(nil))
    if client.transaction == .ending { client.transaction = .none }
    endPredecessor(link, of: client)
    if client.block == .setup { unblock(client) } else { reconsider(client) }
  }

  private static let invalidateAll = Array(">2\r\n$10\r\ninvalidate\r\n_\r\n".utf8)

  /// Answers what was unanswered on a lost leased connection. Not `isVoidable`: it may execute that yet.
  private func answerLeased(_ client: Client, _ queue: InFlightQueue, isVoidable: Bool) {
    let lost = leasedVerdicts(queue)
    let begin = lost.lastIndex { name(of: $0.1) == "MULTI" } ?? -1
    for (index, (due, command, verdict)) in lost.enumerated() {
      let name = name(of: command)
      if due.kind == .client && client.transaction != .none && index > begin {
        // Queued or about to be: `EXEC` will tell.
        answerSimple(client, due, "QUEUED")
      } else if due.kind == .unwatch || name == "MULTI" || name == "WATCH" || name == "DISCARD" {
        // What they begin is known to be lost, what they end has ended.
        if due.kind == .unwatch { client.isWatchBroken = false }
        answerSimple(client, due, "OK")
      } else if verdict == .resend && due.kind == .transactionEnd {
        answerError(client, due, ErrorReply.transactionLost)
      } else if verdict == .resend && isVoidable && client.order.issued == due.position + 1 {
        takeAgain(client, command)
      } else {
        noteUncertain()
        answerError(client, due, ErrorReply.uncertain)
      }
    }
  }

  private func name(of command: [UInt8]) -> String? {
    withArguments(command) { table.find($0).map { table[$0].name } }
  }

  private func answerSimple(_ client: Client, _ due: DueReply, _ text: StaticString) {
    var bytes: [UInt8] = []
    if due.isSeen { bytes.writeSimple(text) }
    bytes.withUnsafeBytes { answer(client, due.position, $0) }
  }

  /// The last command of a client is taken again as if it had just come.
  private func takeAgain(_ client: Client, _ command: [UInt8]) {
    client.order.withdrawLast()
    inputBytes += command.count
    client.unread(command)
    if client.block == nil { unblock(client) }
  }

  /// What a lost connection still holds must be void before anything else of its client's is executed.
  private func endPredecessor(_ link: Link, of client: Client) {
    guard let predecessor = link.predecessors.last, let shared = sharedLink(of: client) else {
      return
    }
    if shared.isReady {
      guard let predecessor, shared.facts.runID == link.predecessorRunID else { return }
      var kill: [UInt8] = []
      kill.writeCommand(["CLIENT", "KILL", "ID", "\(predecessor)"])
      // It takes a position, so that nothing is executed elsewhere before it is answered.
      let position = client.order.issue()
      charge(client, kill.count)
      kill.withUnsafeBytes { enqueue($0, client.id, position, .kill, on: shared) }
    } else if shared.predecessors.isEmpty || shared.predecessorRunID == link.predecessorRunID {
      addPredecessor(predecessor, to: shared)
      shared.predecessorRunID = link.predecessorRunID
      // A handshake under way does not know of it.
      if shared.state == .handshake { lose(shared, event: nil) }
    }
  }

  /// A node that takes no writes, or cannot now: a command that is alone on its connection is tried again.
  func deferLeased(_ link: Link, retryMilliseconds: Int64) -> Bool {
    guard case .leased(let id) = link.purpose, let client = clients[id],
      // A subscriber stays where it is subscribed, and hears what Redis said.
      !client.isTracking, !client.isStreaming, link.queue.replyCount == 1,
      let entry = link.queue.entries.first,
      client.order.issued == entry.position + UInt64(entry.count)
    else { return false }
    switch entry.kind {
    case .client: guard client.transaction == .none else { return false }
    case .transactionBegin: client.transaction = .none
    case .own, .native, .driverLock, .driverRelease, .kill, .keysScan, .scriptLoad, .configSet,
      .keyspaceEvents, .setup, .transactionEnd, .unwatch, .tracking, .marker, .move, .barrierMark,
      .barrier:
      return false
    }
    guard now < deadline(of: client, client.order.issued - 1) else { return false }
    guard let command = leasedVerdicts(link.queue).last?.1 else { return false }
    client.lease = nil
    client.isBlocking = false
    client.isWatchBroken = client.isWatching
    client.isWatching = false
    link.purpose = .spare
    lose(link, event: nil)
    retry(client, atMilliseconds: retryMilliseconds)
    takeAgain(client, command)
    return true
  }
}
