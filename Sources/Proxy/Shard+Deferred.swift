// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP
import Sessions

// Commands that wait to be sent again: until when, in which order, and their end.
extension Shard {
  /// Keeps a command to be sent again; its client's later commands wait behind it.
  func postpone(
    _ due: DueReply, _ bytes: [UInt8], of client: Client, on link: Link, isUnknown: Bool,
    refusal: [UInt8]? = nil, retryMilliseconds: Int64, deadlineMilliseconds: Int64? = nil
  ) {
    guard due.kind.hasPosition || due.kind == .keysScan else { return }
    let earlier =
      client.deferredCount > 0 ? link.deferred.last { $0.due.client == client.id } : nil
    let command = DeferredCommand(
      due: due, bytes: bytes, refusal: refusal, isUnknown: isUnknown,
      deadlineMilliseconds: deadlineMilliseconds ?? deadline(of: client, due.position),
      retryMilliseconds: max(retryMilliseconds, earlier?.retryMilliseconds ?? 0))
    // One that was sent again and is back comes before those that never were.
    let later =
      client.deferredCount == 0
      ? nil
      : link.deferred.firstIndex {
        $0.due.client == client.id && $0.due.position > due.position
      }
    link.deferred.insert(command, at: later ?? link.deferred.endIndex)
    client.deferredCount += 1
    if due.kind.hasPosition { charge(client, bytes.count) }
  }

  /// The command that is being answered was not executed: it will be sent again. Reads of the same client
  /// behind it are done again too, so that they see what it writes.
  func deferFirst(
    _ link: Link, refusal: UnsafeRawBufferPointer? = nil, retryMilliseconds: Int64,
    deadlineMilliseconds: Int64? = nil
  ) -> Bool {
    guard let entry = link.queue.entries.first, entry.kind.hasPosition || entry.kind == .keysScan
    else { return false }
    if case .leased = link.purpose {
      return deferLeased(link, retryMilliseconds: retryMilliseconds)
    }
    guard let command = firstCommand(link), let due = link.queue.takeReply() else { return false }
    release(due)
    guard let client = clients[due.client] else { return true }
    postpone(
      due, command, of: client, on: link, isUnknown: false, refusal: refusal.map { Array($0) },
      retryMilliseconds: retryMilliseconds, deadlineMilliseconds: deadlineMilliseconds)
    if retryMilliseconds <= now && now < client.deadlineMilliseconds { resendDue(link) }
    return true
  }

  /// A read behind a command that will be sent again must see what that one writes: it is read again.
  func mustReadAgain(_ link: Link) -> Bool {
    guard let entry = link.queue.entries.first, entry.kind.hasPosition,
      let client = clients[entry.client], client.deferredCount > 0,
      let command = firstCommand(link)
    else { return false }
    let isRead = facts(command, of: entry, wasSent: true).replay == .read
    return isRead && deferFirst(link, retryMilliseconds: now)
  }

  /// The write that is being answered was executed before commands of its client that wait to be sent again.
  /// Sent now, they would undo it, or see it.
  func endOvertaken(_ link: Link) {
    guard let entry = link.queue.entries.first, entry.kind.hasPosition,
      clients[entry.client].map({ $0.deferredCount > 0 }) ?? false,
      let command = firstCommand(link)
    else { return }
    endOvertaken(link, by: facts(command, of: entry, wasSent: true), readsOnly: false)
  }

  /// `readsOnly`: the write is sent again behind the others, which makes good what they did to its keys.
  func endOvertaken(_ link: Link, by write: Unanswered, readsOnly: Bool) {
    guard write.isWrite, write.wasSent else { return }
    var kept: [DeferredCommand] = []
    var overtaken: [DeferredCommand] = []
    for command in link.deferred {
      let earlier = facts(command.bytes, of: command.due, wasSent: true)
      let isOvertaken =
        command.due.client == write.client && Replay.mayTouch(write.keys, earlier.keys)
        && (earlier.replay == .read || !readsOnly)
      if isOvertaken { overtaken.append(command) } else { kept.append(command) }
    }
    link.deferred = kept
    for command in overtaken { end(command, ErrorReply.overtaken) }
  }

  /// Sends what is due; a client's commands keep their order. A new connection sends everything at once.
  func resendDue(_ link: Link, isNew: Bool = false) {
    guard link.isReady, view.isServing, !link.deferred.isEmpty else { return }
    var kept: [DeferredCommand] = []
    // Not past commands of the same client that are under way.
    var mustWait = isNew ? [] : Set(link.queue.entries.map(\.client))
    for command in link.deferred {
      guard let client = clients[command.due.client] else {
        forget(command)
        continue
      }
      guard isNew || command.retryMilliseconds <= now, !mustWait.contains(client.id),
        !isFenced || !isWrite(command, of: client)
      else {
        mustWait.insert(client.id)
        kept.append(command)
        continue
      }
      client.deferredCount -= 1
      client.writeGeneration = view.generation
      // A driver's lock is asked for once more: that is no failover's doing.
      if command.due.kind != .driverLock {
        counters.resent += 1
        figures.resent += 1
        noteWait(
          milliseconds: now - (command.deadlineMilliseconds - configuration.waitMilliseconds))
      }
      if command.due.kind == .keysScan {
        restartKeys(client, on: link)
        continue
      }
      command.bytes.withUnsafeBytes {
        enqueue(
          $0, client.id, command.due.position, command.due.kind, on: link,
          isSilent: command.due.isSilent)
      }
      reconsider(client)
    }
    link.deferred = kept
  }

  private func isWrite(_ command: DeferredCommand, of client: Client) -> Bool {
    guard command.due.kind == .native else { return isWrite(command.bytes) }
    return client.natives[command.due.position]?.call?.isWrite ?? true
  }

  /// Where a given-up connection could not be ended, it may still execute what it holds.
  func giveUpUnknown(_ link: Link) {
    let unknown = link.deferred.filter(\.isUnknown)
    link.deferred.removeAll(where: \.isUnknown)
    for command in unknown { end(command, ErrorReply.uncertain) }
  }

  /// Answers deferred commands whose time is up, or all.
  func expire(_ link: Link, all: Bool = false) {
    guard !link.deferred.isEmpty else { return }
    let due = link.deferred.filter { all || $0.deadlineMilliseconds <= now }
    link.deferred.removeAll { all || $0.deadlineMilliseconds <= now }
    for command in due {
      if let refusal = command.refusal, view.isServing {
        endRefused(command, refusal)
      } else {
        end(command, command.isUnknown ? ErrorReply.uncertain : ErrorReply.noMaster(waitReason))
      }
    }
  }

  /// The master is there and refused until the end: its own words say best what is wrong.
  private func endRefused(_ command: DeferredCommand, _ refusal: [UInt8]) {
    guard command.due.kind.hasPosition, let client = clients[command.due.client] else {
      return end(command, String(decoding: refusal.dropFirst().dropLast(2), as: UTF8.self))
    }
    forget(command)
    client.deferredCount -= 1
    endDriverWait(command.due)
    refusal.withUnsafeBytes { answer(client, command.due, $0) }
    reconsider(client)
  }

  private func end(_ command: DeferredCommand, _ text: String) {
    forget(command)
    guard let client = clients[command.due.client] else { return }
    client.deferredCount -= 1
    endDriverWait(command.due)
    if text == ErrorReply.uncertain {
      noteUncertain()
    } else {
      counters.noMaster += 1
      figures.noMaster += 1
    }
    if command.due.kind == .keysScan {
      endKeys(client, error: text)
    } else {
      answerError(client, command.due, text)
    }
    reconsider(client)
  }

  private func forget(_ command: DeferredCommand) {
    guard command.due.kind.hasPosition else { return }
    inFlightCount -= 1
    inFlightBytes -= command.bytes.count
    clients[command.due.client]?.inFlightBytes -= command.bytes.count
  }
}
