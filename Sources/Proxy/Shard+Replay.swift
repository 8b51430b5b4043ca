// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP
import Sessions

// What becomes of commands that were not answered: sent again, uncertain, or out of time.
extension Shard {
  /// One command of a given-up link.
  private struct Lost {
    let due: DueReply
    let bytes: [UInt8]
    let facts: Unanswered
  }

  /// Walks the queue of a lost link in order: what is safe waits to be sent again, the rest is `UNCERTAIN`.
  func walk(_ link: Link) {
    guard !link.queue.isEmpty else { return }
    let lost = unanswered(link.queue)
    link.queue.removeAll()
    let verdicts = Replay.verdicts(lost.map(\.facts), policy: configuration.replay)
    if !link.deferred.isEmpty {
      for (command, verdict) in zip(lost, verdicts) {
        endOvertaken(link, by: command.facts, readsOnly: verdict == .resend)
      }
    }
    for (command, verdict) in zip(lost, verdicts) {
      release(command.due)
      if command.due.kind == .kill { keepPredecessor(command.bytes, of: link) }
      guard let client = clients[command.due.client] else { continue }
      if command.due.kind == .kill {
        answerError(client, command.due, "")
        continue
      }
      switch verdict {
      case .resend:
        // Whether a read was executed matters to nobody.
        let isUnknown = command.facts.wasSent && command.facts.replay != .read
        postpone(
          command.due, command.bytes, of: client, on: link, isUnknown: isUnknown,
          retryMilliseconds: now)
      case .uncertain: answerUncertain(client, command.due)
      }
    }
  }

  /// What was to be ended is ended in the next connection's handshake, if that reaches the same process.
  private func keepPredecessor(_ kill: [UInt8], of link: Link) {
    addPredecessor(withArguments(kill) { $0.integer(3) }, to: link)
    link.predecessorRunID = link.facts.runID
  }

  /// Every command that has no reply, with what decides about it.
  private func unanswered(_ queue: InFlightQueue) -> [Lost] {
    var lost: [Lost] = []
    var offset = queue.firstOffset
    for entry in queue.entries {
      let commands = split(queue.bytes, offset, entry.byteCount)
      for (index, command) in commands.enumerated() where index >= Int(entry.answered) {
        let end = offset + command.end
        let due = DueReply(
          client: entry.client, position: entry.position + UInt64(index), kind: entry.kind,
          isSilent: entry.isSilent,
          // The whole entry's bytes were charged; each part gives its own back.
          releasedBytes: command.bytes.count + (index == Int(entry.answered) ? command.start : 0))
        lost.append(
          Lost(
            due: due, bytes: command.bytes,
            facts: facts(command.bytes, of: due, wasSent: end <= queue.sentOffset)))
      }
      offset += entry.byteCount
    }
    return lost
  }

  /// The commands of an entry, with where they begin and end in it.
  private func split(
    _ bytes: [UInt8], _ offset: Int, _ byteCount: Int
  ) -> [(start: Int, end: Int, bytes: [UInt8])] {
    bytes.withUnsafeBytes { all in
      let entry = UnsafeRawBufferPointer(rebasing: all[offset..<offset + byteCount])
      var commands: [(start: Int, end: Int, bytes: [UInt8])] = []
      var start = 0
      splitter.reset()
      while start < byteCount, let request = try? splitter.next(in: entry, from: start) {
        let end = start + request.byteCount
        commands.append((start, end, Array(entry[start..<end])))
        start = end
      }
      return commands
    }
  }

  /// What decides about the command whose reply is due.
  func facts(_ command: [UInt8], of due: DueReply, wasSent: Bool) -> Unanswered {
    if due.kind == .native, let call = clients[due.client]?.natives[due.position]?.call {
      return facts(of: call, of: due.client, wasSent: wasSent)
    }
    return facts(command, of: due.client, wasSent: wasSent)
  }

  private func facts(_ command: [UInt8], of entry: InFlightEntry, wasSent: Bool) -> Unanswered {
    facts(
      command,
      of: DueReply(
        client: entry.client, position: entry.position + UInt64(entry.answered), kind: entry.kind,
        isSilent: entry.isSilent, releasedBytes: 0),
      wasSent: wasSent)
  }

  private func facts(of call: RedisCall, of client: ClientID, wasSent: Bool) -> Unanswered {
    var keys: Set<Int>?
    if case .script(_, let names, _) = call.body, !names.isEmpty {
      keys = Set(names.map(keyHash))
    }
    return Unanswered(
      client: client, replay: call.replayClass, isWrite: call.isWrite, wasSent: wasSent, keys: keys)
  }

  private func keyHash(_ key: [UInt8]) -> Int { key.withUnsafeBytes(keyHash) }

  private func keyHash(_ key: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: key)
    return hasher.finalize()
  }

  private func facts(_ command: [UInt8], of client: ClientID, wasSent: Bool) -> Unanswered {
    withArguments(command) { arguments in
      let index = table.find(arguments)
      let facts = index.map { table.facts($0) }
      var keys: Set<Int>? = []
      if let index {
        table.forEachKey(of: index, arguments: arguments) { key in
          keys?.insert(keyHash(key))
        }
      }
      let isRepaired = isRepaired(arguments)
      if facts?.namesItsKeys != true && !isRepaired || keys?.isEmpty == true { keys = nil }
      return Unanswered(
        client: client,
        replay: isRepaired
          ? .settling : index.map { table.replayClass(of: $0, arguments: arguments) } ?? .once,
        isWrite: facts?.isWrite ?? true, wasSent: wasSent, keys: keys)
    }
  }

  /// Whether this is a command as ``Repairs`` sends it.
  private func isRepaired(_ arguments: RequestArguments) -> Bool {
    configuration.repairs != nil && arguments.matches(0, "EVAL")
      && arguments.argument(1).map(Repairs.isSettling) ?? false
  }

  /// Reads a whole command again.
  func withArguments<Result>(_ command: [UInt8], _ body: (RequestArguments) -> Result) -> Result {
    command.withUnsafeBytes { frame in
      splitter.reset()
      _ = try? splitter.next(in: frame, from: 0)
      return splitter.arguments.withUnsafeBufferPointer {
        body(RequestArguments(frame: frame, ranges: $0))
      }
    }
  }

  /// Takes back what a command was charged, unless it is the daemon's own.
  private func release(_ due: DueReply) {
    guard due.kind.hasPosition else { return }
    inFlightCount -= 1
    inFlightBytes -= due.releasedBytes
    clients[due.client]?.inFlightBytes -= due.releasedBytes
  }

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

  func answerUncertain(_ client: Client, _ due: DueReply) {
    guard due.kind.hasPosition else { return }
    noteUncertain()
    answerError(client, due, ErrorReply.uncertain)
  }

  func noteUncertain() {
    counters.uncertain += 1
    figures.uncertain += 1
  }

  func answerError(_ client: Client, _ due: DueReply, _ text: String) {
    var bytes: [UInt8] = []
    bytes.writeError(text)
    bytes.withUnsafeBytes { answer(client, due, $0) }
  }

  /// Answers a command with what Redis said, or with nothing where its client sees no reply.
  func answer(_ client: Client, _ due: DueReply, _ reply: UnsafeRawBufferPointer) {
    if due.kind == .native { return continueNative(client, due.position, reply) }
    answer(
      client, due.position,
      due.isSeen ? reply : UnsafeRawBufferPointer(start: nil, count: 0))
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
  private func endOvertaken(_ link: Link, by write: Unanswered, readsOnly: Bool) {
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

  /// The command that is being answered.
  func firstCommand(_ link: Link) -> [UInt8]? {
    guard let entry = link.queue.entries.first else { return nil }
    let commands = link.queue.firstEntryBytes { Array($0) } ?? []
    let parts = split(commands, 0, commands.count)
    return Int(entry.answered) < parts.count ? parts[Int(entry.answered)].bytes : nil
  }

  /// The `SCRIPT LOAD` for the `EVALSHA` that is being answered, if an app once loaded that script here.
  func scriptOfFirst(_ link: Link) -> [UInt8]? {
    guard let entry = link.queue.entries.first, let command = firstCommand(link) else { return nil }
    if entry.kind == .native {
      guard
        case .script(let script, _, _)? = clients[entry.client]?.natives[entry.position]?.call?.body
      else { return nil }
      var load: [UInt8] = []
      load.writeCommand(["SCRIPT", "LOAD", script.source])
      return load
    }
    return withArguments(command) { arguments in
      arguments.argument(1).flatMap { scripts[String(decoding: $0, as: UTF8.self)] }
    }
  }

  /// Remembers the script that the command which is being answered has loaded.
  func rememberScript(_ link: Link, _ reply: UnsafeRawBufferPointer) {
    guard
      let value = try? RESPValue.parse(reply, from: 0, limits: configuration.replyLimits)?.value,
      let digest = value.text, digest.utf8.count == 40,
      let command = link.queue.firstEntryBytes({ Array($0) })
    else { return }
    scripts.remember(digest, command: command)
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

extension Shard {
  /// What a lost leased connection had unanswered, with what becomes of each.
  func leasedVerdicts(_ queue: InFlightQueue) -> [(DueReply, [UInt8], Verdict)] {
    let lost = unanswered(queue)
    let verdicts = Replay.verdicts(lost.map(\.facts), policy: configuration.replay)
    for command in lost { release(command.due) }
    return zip(lost, verdicts).filter { $0.0.due.kind.hasPosition }.map {
      ($0.0.due, $0.0.bytes, $0.1)
    }
  }
}
