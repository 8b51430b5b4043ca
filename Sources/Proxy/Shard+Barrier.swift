// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP

// Acknowledgements that wait for replicas: one question for all writers of the shard at a time.
extension Shard {
  /// The connection that asks is made when it is first needed.
  func makeBarrierLink() {
    guard barrierLink == nil, replicatedClients > 0 || !held.isEmpty else { return }
    barrierLink = makeLink(.barrier)
  }

  /// Asks, if there is anything to ask for and no question is under way.
  ///
  /// It covers the writes whose replies have come: there is no order between connections otherwise.
  func askReplicas() {
    guard !held.isEmpty, !barrier.isUnderWay, now >= barrier.notBeforeMilliseconds else { return }
    let wanted = held.compactMap { item in
      item.generation == view.generation
        ? item.replicas.map { needed($0) }.flatMap { item.replicasReached < $0 ? $0 : nil } : nil
    }
    guard let most = wanted.max() else { return }
    guard let link = barrierLink else {
      makeBarrierLink()
      return makeLinks()
    }
    guard link.isReady, view.isServing else { return }
    barrier.isUnderWay = true
    barrier.isVoid = false
    barrier.coveredBelow = heldCount
    var bytes: [UInt8] = []
    bytes.writeCommand(["PUBLISH", Barrier.channel, ""])
    bytes.withUnsafeBytes { enqueue($0, .nobody, 0, .barrierMark, on: link) }
    bytes.removeAll()
    bytes.writeCommand(["WAIT", "\(most)", "\(Barrier.sliceMilliseconds)"])
    bytes.withUnsafeBytes { enqueue($0, .nobody, 0, .barrier, on: link) }
  }

  /// Redis says how many replicas have everything up to the question.
  func takeBarrierReply(_ kind: EntryKind, _ reply: UnsafeRawBufferPointer) {
    let isError = reply.first == UInt8(ascii: "-")
    if kind == .barrierMark {
      barrier.isVoid = isError
      return
    }
    barrier.isUnderWay = false
    let text = String(decoding: reply.dropFirst().dropLast(2), as: UTF8.self)
    guard !isError, !barrier.isVoid, let count = Int(text) else {
      // Not allowed, or the node's role has changed: nothing is known.
      barrier.notBeforeMilliseconds = now + Int64(Barrier.sliceMilliseconds)
      return
    }
    for index in held.indices where held[index].number < barrier.coveredBelow {
      held[index].replicasReached = max(held[index].replicasReached, count)
    }
    releaseHeld()
    askReplicas()
  }

  /// The connection that asks was lost: the question is asked again on the next.
  func loseBarrier() {
    barrier.isUnderWay = false
  }

  // MARK: WAIT

  /// An app's own `WAIT`: how many replicas have the client's writes.
  func takeWait(_ client: Client, _ arguments: RequestArguments) -> Bool {
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    guard let asked = arguments.integer(1) else {
      reply(client) { $0.writeError("ERR value is not an integer or out of range") }
      return true
    }
    guard let timeout = arguments.integer(2), timeout >= 0 else {
      let isNegative = arguments.integer(2) != nil
      reply(client) {
        $0.writeError(
          isNegative
            ? "ERR timeout is negative" : "ERR timeout is not an integer or out of range")
      }
      return true
    }
    guard view.isServing else { return awaitMaster(client) }
    // What another master acknowledged says nothing about this one's replicas.
    guard client.writeGeneration == view.generation || client.writeGeneration == 0 else {
      reply(client) { $0.writeInteger(0) }
      return true
    }
    let isSilent = isSilent(client)
    // A year is as good as any longer time, and can be added.
    let limit = timeout == 0 ? configuration.waitMilliseconds : min(timeout, 31_536_000_000)
    charge(client, 0)
    append(
      HeldReply(
        due: DueReply(
          client: client.id, position: client.order.issue(), kind: .client, isSilent: isSilent,
          releasedBytes: 0),
        purpose: .wait, command: [], reply: [], generation: view.generation,
        arrivedMilliseconds: now, number: heldCount,
        replicas: .count(Int(min(max(0, asked), Int64(Int32.max)))),
        deadlineMilliseconds: now + limit))
    client.block = .settle
    askReplicas()
    return true
  }

  func answerWait(_ client: Client, _ item: HeldReply) {
    var bytes: [UInt8] = []
    bytes.writeInteger(Int64(max(0, item.replicasReached)))
    bytes.withUnsafeBytes { answer(client, item.due, $0) }
  }

  // MARK: HOLDFAST.DURABILITY

  /// `HOLDFAST.DURABILITY [ASYNC | REPLICATED [REPLICAS ALL|n] [TIMEOUT ms]]`, for this connection.
  func takeDurability(_ client: Client, _ arguments: RequestArguments) {
    if arguments.count > 1 {
      guard let wanted = durability(arguments) else {
        return reply(client) {
          $0.writeError(
            "ERR syntax: HOLDFAST.DURABILITY ASYNC, or HOLDFAST.DURABILITY REPLICATED "
              + "[REPLICAS ALL|n] [TIMEOUT milliseconds]")
        }
      }
      setDurability(client, wanted)
    }
    let text = client.durability.text
    reply(client) { $0.writeBulk(text) }
  }

  func setDurability(_ client: Client, _ durability: Durability, isNew: Bool = false) {
    if !isNew { replicatedClients -= client.durability.isReplicated ? 1 : 0 }
    client.durability = durability
    replicatedClients += durability.isReplicated ? 1 : 0
    if durability.isReplicated {
      makeBarrierLink()
      makeLinks()
    }
  }

  private func durability(_ arguments: RequestArguments) -> Durability? {
    if arguments.matches(1, "ASYNC") { return arguments.count == 2 ? .async : nil }
    guard arguments.matches(1, "REPLICATED") else { return nil }
    var replicas = Durability.Replicas.all
    var timeout: Int64 = 1_000
    if case .replicated(let usual, let usualTimeout) = configuration.durability {
      replicas = usual
      timeout = usualTimeout
    }
    var index = 2
    while index + 1 < arguments.count {
      if arguments.matches(index, "REPLICAS"), arguments.matches(index + 1, "ALL") {
        replicas = .all
      } else if arguments.matches(index, "REPLICAS"), let count = arguments.integer(index + 1),
        (1...1_000).contains(count)
      {
        replicas = .count(Int(count))
      } else if arguments.matches(index, "TIMEOUT"), let given = arguments.integer(index + 1),
        (1...600_000).contains(given)
      {
        timeout = given
      } else {
        return nil
      }
      index += 2
    }
    return index == arguments.count ? .replicated(replicas, timeoutMilliseconds: timeout) : nil
  }
}
