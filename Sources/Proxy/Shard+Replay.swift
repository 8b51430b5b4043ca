// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP
import Sessions

// What becomes of commands that were not answered: sent again, or uncertain.
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
      return facts(of: call, command, of: due.client, wasSent: wasSent)
    }
    return facts(command, of: due.client, wasSent: wasSent)
  }

  func facts(_ command: [UInt8], of entry: InFlightEntry, wasSent: Bool) -> Unanswered {
    facts(
      command,
      of: DueReply(
        client: entry.client, position: entry.position + UInt64(entry.answered), kind: entry.kind,
        isSilent: entry.isSilent, releasedBytes: 0),
      wasSent: wasSent)
  }

  private func facts(
    of call: RedisCall, _ command: [UInt8], of client: ClientID, wasSent: Bool
  ) -> Unanswered {
    var keys: Set<Int>?
    if call.keyCount > 0 {
      keys = withArguments(command) { arguments in
        Set((3..<3 + call.keyCount).compactMap { arguments.argument($0).map(keyHash) })
      }
    }
    return Unanswered(
      client: client, replay: call.replayClass, isWrite: call.isWrite, wasSent: wasSent, keys: keys)
  }

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
  func release(_ due: DueReply) {
    guard due.kind.hasPosition else { return }
    inFlightCount -= 1
    inFlightBytes -= due.releasedBytes
    clients[due.client]?.inFlightBytes -= due.releasedBytes
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
        let script = clients[entry.client]?.natives[entry.position]?.call?.script
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
