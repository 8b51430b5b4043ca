// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP
import Sessions

// Replies to writes that are held back until it is certain enough that the write survives: under a fence, until the
// replica that is to be promoted has it; under `replicated`, until enough replicas have it.
extension Shard {
  /// Whether replies are looked at one by one.
  var inspectsReplies: Bool { isFenced || isProvisional || replicatedClients > 0 }

  /// Whether a promise was made that a sentinel has not confirmed.
  var isProvisional: Bool { view.state == .serving(isProvisional: true) }

  /// The command that is being answered, where its reply may have to be held or remembered.
  func writeOfFirst(_ link: Link, isError: Bool) -> [UInt8]? {
    guard inspectsReplies, !isError, let entry = link.queue.entries.first else { return nil }
    switch entry.kind {
    case .client, .driverLock, .driverRelease: break
    case .native:
      let isWriting = clients[entry.client]?.natives[entry.position]?.call?.isWrite == true
      return isWriting ? firstCommand(link) : nil
    case .transactionEnd:
      return clients[entry.client]?.isTransactionWriting == true ? firstCommand(link) : nil
    case .own, .kill, .keysScan, .scriptLoad, .configSet, .keyspaceEvents, .setup,
      .transactionBegin, .unwatch, .tracking, .marker, .move, .barrierMark, .barrier:
      return nil
    }
    guard let client = clients[entry.client],
      // Inside of a transaction it was queued, not executed.
      client.transaction == .none || link.isShared,
      let command = firstCommand(link), isWrite(command)
    else { return nil }
    return command
  }

  func isWrite(_ command: [UInt8]) -> Bool {
    withArguments(command) { arguments in
      table.find(arguments).map { table.facts($0).isWrite } ?? true
    }
  }

  /// Answers a write, or holds its reply. `write` is nil for everything else.
  func acknowledge(
    _ client: Client, _ due: DueReply, _ reply: UnsafeRawBufferPointer, write: [UInt8]?
  ) {
    guard let write else { return answer(client, due, reply) }
    if isProvisional { noteProvisional(write) }
    guard isFenced || client.durability.isReplicated else { return answer(client, due, reply) }
    hold(client, due, reply, write)
  }

  private func hold(
    _ client: Client, _ due: DueReply, _ reply: UnsafeRawBufferPointer, _ write: [UInt8]
  ) {
    charge(client, write.count)
    var replicas: Durability.Replicas?
    var deadline = Int64.max
    if case .replicated(let wanted, let timeout) = client.durability {
      replicas = wanted
      deadline = now + timeout
    }
    append(
      HeldReply(
        due: due, purpose: .write, command: write, reply: Array(reply),
        generation: view.generation, arrivedMilliseconds: now, number: heldCount,
        replicas: replicas, deadlineMilliseconds: deadline))
  }

  func append(_ item: HeldReply) {
    heldCount += 1
    held.append(item)
  }

  /// Gives out every reply whose reason to be held has ended.
  func releaseHeld() {
    guard !held.isEmpty else { return }
    let released = takeHeld { self.isReleasable($0) }
    for item in released { release(item) }
  }

  private func takeHeld(where isTaken: (HeldReply) -> Bool) -> [HeldReply] {
    var taken: [HeldReply] = []
    var kept: Deque<HeldReply> = []
    for item in held { if isTaken(item) { taken.append(item) } else { kept.append(item) } }
    if !taken.isEmpty { held = kept }
    return taken
  }

  private func isReleasable(_ item: HeldReply) -> Bool {
    guard item.generation == view.generation else { return false }
    if let replicas = item.replicas, item.replicasReached < needed(replicas) { return false }
    guard let fence = view.fence else { return true }
    return item.purpose == .wait || item.arrivedMilliseconds < fence.coveredMilliseconds
  }

  /// All there are to promote; one at least, or the promise would be empty.
  func needed(_ replicas: Durability.Replicas) -> Int {
    switch replicas {
    case .all: max(1, view.replicaCount)
    case .count(let count): count
    }
  }

  private func release(_ item: HeldReply) {
    forget(item)
    guard let client = clients[item.due.client] else { return }
    if item.replicas == nil { noteWait(milliseconds: now - item.arrivedMilliseconds) }
    switch item.purpose {
    case .write: item.reply.withUnsafeBytes { answer(client, item.due, $0) }
    case .wait: answerWait(client, item)
    case .confirmation: finishConfirmation(client, item.due.position, isConfirmed: true)
    }
    finishHeld(client)
  }

  private func forget(_ item: HeldReply) {
    inFlightCount -= 1
    inFlightBytes -= item.command.count
    clients[item.due.client]?.inFlightBytes -= item.command.count
  }

  private func finishHeld(_ client: Client) {
    if let lease = client.lease, let link = link(lease) { releaseLeaseIfOver(client, link) }
    reconsider(client)
  }

  /// Redis may wait for replicas longer than a client wants to: then it is told how things stand.
  func expireHeld() {
    guard !held.isEmpty else { return }
    for item in takeHeld(where: { $0.deadlineMilliseconds <= now }) {
      forget(item)
      guard let client = clients[item.due.client] else { continue }
      switch item.purpose {
      case .wait: answerWait(client, item)
      case .confirmation: finishConfirmation(client, item.due.position, isConfirmed: false)
      case .write:
        counters.unreplicated += 1
        figures.unreplicated += 1
        answerError(client, item.due, ErrorReply.unreplicated(max(0, item.replicasReached)))
      }
      finishHeld(client)
    }
  }

  /// Another master: what the old one had acknowledged to us, and we to nobody, is made good or said to be unknown.
  func endHeldOfOldGenerations() {
    let lost = takeHeld { $0.generation != view.generation }
    let unanswered = lost.map { facts($0.command, of: $0.due, wasSent: true) }
    let verdicts = Replay.verdicts(unanswered, policy: configuration.replay)
    for (item, verdict) in zip(lost, verdicts) {
      forget(item)
      guard let client = clients[item.due.client] else { continue }
      let isNative = item.due.kind == .native
      let isAgain =
        verdict == .resend && item.purpose == .write && (item.due.kind == .client || isNative)
      if item.purpose == .wait {
        answerWait(client, item)
      } else if item.purpose == .confirmation {
        finishConfirmation(client, item.due.position, isConfirmed: false)
      } else if isAgain, let link = isNative ? nativeLink(of: client) : sharedLink(of: client) {
        postpone(
          item.due, item.command, of: client, on: link, isUnknown: true, retryMilliseconds: now)
      } else {
        answerUncertain(client, item.due)
      }
      finishHeld(client)
    }
  }
}
