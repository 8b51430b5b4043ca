// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions

// `SESSION.*`: each command is an operation whose steps are carried out here, on the database of sessions.
extension Shard {
  /// Where sessions live, whatever database a client has selected.
  var nativeGroup: LinkGroupKey {
    LinkGroupKey(database: Int(configuration.sessions.database), version: .two)
  }

  /// The link that a client's native commands travel on.
  func nativeLink(of client: Client) -> Link? {
    let key = nativeGroup
    var group = groups[key]
    if group == nil, groupErrors[key] == nil, view.isServing {
      addGroup(key)
      group = groups[key]
    }
    guard let group, !group.isEmpty else { return nil }
    return group[client.linkChoice % group.count]
  }

  /// Takes a native command. False: it must wait.
  func takeNative(_ client: Client, _ arguments: RequestArguments) -> Bool {
    let link = nativeLink(of: client)
    // On another link it might overtake what was sent before it.
    let isThere = link != nil && (client.nativeLink === link || client.link === link)
    guard client.order.isSettled || (isThere && !isHeldBack(client)) else {
      client.block = .settle
      return false
    }
    guard !mayStillExecute(client) else { return awaitMaster(client) }
    guard hasRoom(client, 0) else { return false }
    switch SessionOperation.parse(
      arguments, sessionContext, clientDatabase: Int64(client.database), random: &random)
    {
    case .refused(let answer):
      let version = client.version
      reply(client) { answer.write(into: &$0, version) }
      return true
    case .operation(var operation):
      let step = operation.start(nowMilliseconds: now, isFenced: isFenced)
      if case .call(let call) = step {
        if call.isWrite, isFenced { return awaitFence(client) }
        guard let link, link.isReady, view.isServing else {
          return awaitMaster(client, isNative: true)
        }
        guard inFlightCount < configuration.inFlightMax,
          inFlightBytes + inputBytes <= configuration.inFlightBytesMax
        else {
          noteOverloaded()
          reply(client) { $0.writeError(ErrorReply.overloaded) }
          return true
        }
      }
      if operation.command.name == "SESSION.LOGIN" {
        traffic.noteLogin(isGood: arguments.matches(2, "OK"))
      }
      begin(client, operation, step, .client(isSilent: isSilent(client)), on: link)
      return true
    }
  }

  func begin(
    _ client: Client, _ operation: consuming SessionOperation?, _ step: SessionStep,
    _ purpose: NativeRun.Purpose, on link: Link? = nil
  ) {
    let position = client.order.issue()
    counters.commands += 1
    let run = NativeRun(operation: operation, purpose: purpose)
    client.natives.append(run, at: position)
    carryOut(step, client, position, run, on: link)
  }

  /// Whether a native command of the client has a call that is not sent yet.
  func isHeldBack(_ client: Client) -> Bool {
    !client.natives.isEmpty && client.natives.all.contains { $0.isHeldBack }
  }

  /// A plain command behind native ones must not overtake them. False: it waits.
  func leaveNativeLink(_ client: Client, for link: Link) -> Bool {
    guard client.nativeLink !== link || isHeldBack(client) else { return true }
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    client.nativeLink = nil
    return true
  }

  // MARK: Steps

  private func carryOut(
    _ step: SessionStep, _ client: Client, _ position: UInt64, _ run: NativeRun,
    on link: Link? = nil
  ) {
    switch step {
    case .reply(let answer): return finishNative(client, position, run, answer)
    case .call(let call):
      run.call = call
      run.wait = .master
      sendNative(client, position, run, call, on: link)
    case .confirm(let timeout):
      run.call = nil
      run.wait = .confirmation
      confirmNative(client, position, timeoutMilliseconds: timeout)
    case .pause(let milliseconds):
      run.call = nil
      run.wait = .time(now + milliseconds)
      nativeWaiters.append((client.id, position))
    }
  }

  /// Sends a call, or keeps it until it can be sent. `link`: where it is to go, if that was looked up before.
  private func sendNative(
    _ client: Client, _ position: UInt64, _ run: NativeRun, _ call: RedisCall, on link: Link? = nil
  ) {
    if !denials.isEmpty, let operation = run.operation, let handle = operation.sessionHandle,
      denials.has(handle, at: now)
    {
      return finishNative(client, position, run, operation.denial)
    }
    guard let link = link ?? nativeLink(of: client), link.isReady, view.isServing,
      !(isFenced && call.isWrite), client.deferredCount == 0
    else {
      _ = deadline(of: client, position)
      nativeWaiters.append((client.id, position))
      return
    }
    run.wait = .reply
    client.nativeLink = link
    if call.isWrite { client.writeGeneration = view.generation }
    charge(client, call.frame.count)
    noteSender(client.id, on: link)
    call.frame.withUnsafeBytes {
      enqueue($0, client.id, position, .native, on: link, traffic: .session)
    }
    run.call?.forgetFrame()
  }

  /// Redis has answered the call of a native command, or it was given up with an error of the daemon's.
  func continueNative(_ client: Client, _ position: UInt64, _ reply: UnsafeRawBufferPointer) {
    if let run = client.natives[position], case .client(let isSilent) = run.purpose,
      client.version == .two, run.operation?.passes(reply) == true
    {
      client.natives.remove(position)
      let seen = isSilent ? UnsafeRawBufferPointer(start: nil, count: 0) : reply
      return answer(client, position, seen)
    }
    let value = try? RESPValue.parse(reply, from: 0, limits: configuration.replyLimits)?.value
    continueNative(
      client, position, value ?? .error("ERR Redis gave an answer that is not understood"))
  }

  private func continueNative(_ client: Client, _ position: UInt64, _ value: RESPValue) {
    guard let run = client.natives[position] else { return }
    guard let step = run.operation?.received(value, nowMilliseconds: now) else {
      return endCall(client, position, run, value)
    }
    carryOut(step, client, position, run)
  }

  /// Asks replicas for all that was written so far.
  private func confirmNative(
    _ client: Client, _ position: UInt64, timeoutMilliseconds: Int64
  ) {
    guard view.replicaCount > 0 else {
      return finishConfirmation(client, position, isConfirmed: true)
    }
    let due = DueReply(
      client: client.id, position: position, kind: .native, isSilent: false, releasedBytes: 0)
    charge(client, 0)
    append(
      HeldReply(
        due: due, purpose: .confirmation, command: [], reply: [], generation: view.generation,
        arrivedMilliseconds: now, number: heldCount, replicas: .count(1),
        deadlineMilliseconds: now + timeoutMilliseconds))
    askReplicas()
  }

  /// A replica has it, or nobody knows.
  func finishConfirmation(_ client: Client, _ position: UInt64, isConfirmed: Bool) {
    guard let run = client.natives[position],
      let step = run.operation?.confirmed(isConfirmed, nowMilliseconds: now)
    else { return }
    carryOut(step, client, position, run)
  }

  /// Goes on with native commands that waited for a time, a master or the end of a fence.
  func resumeNatives() {
    retryDenials()
    guard !nativeWaiters.isEmpty else { return }
    var waiting: [(ClientID, UInt64)] = []
    swap(&waiting, &nativeWaiters)
    for (id, position) in waiting {
      guard let client = clients[id], let run = client.natives[position] else { continue }
      switch run.wait {
      case .reply, .confirmation, .host: continue
      case .time(let time):
        guard time <= now else {
          nativeWaiters.append((id, position))
          continue
        }
        guard let step = run.operation?.resumed(nowMilliseconds: now) else { continue }
        carryOut(step, client, position, run)
      case .master:
        guard let call = run.call else { continue }
        guard now < deadline(of: client, position), !view.isHopeless else {
          counters.noMaster += 1
          figures.noMaster += 1
          continueNative(client, position, .error(ErrorReply.noMaster(waitReason)))
          continue
        }
        sendNative(client, position, run, call)
      }
    }
  }

  /// Another master: what scans have seen so far means nothing there.
  func restartNatives() {
    for client in clients.all where !client.natives.isEmpty {
      for run in client.natives.all { run.operation?.restarted() }
    }
  }

  // MARK: The end

  func finishNative(
    _ client: Client, _ position: UInt64, _ run: NativeRun, _ answer: SessionReply
  ) {
    client.natives.remove(position)
    var bytes: [UInt8] = []
    swap(&bytes, &scratch)
    bytes.removeAll(keepingCapacity: true)
    defer { swap(&bytes, &scratch) }
    switch run.purpose {
    case .client(let isSilent):
      if let name = run.operation?.command.name { traffic.note(name, answer) }
      for note in run.operation?.notes ?? [] { actions.append(.sessionNote(note)) }
      for denial in run.operation?.pendingDenials ?? [] {
        deny(denial)
        retryLater(denial, failures: 0)
        actions.append(.deny(denial))
      }
      if !isSilent { answer.write(into: &bytes, client.version) }
    case .denial(let denial, let failures):
      if SessionOperation.isConfirmed(answer) {
        allow(denial)
        actions.append(.allow(denial))
      } else {
        retryLater(denial, failures: failures + 1)
      }
    case .asked(let isSilent):
      if !isSilent { answer.write(into: &bytes, client.version) }
    case .call: break
    }
    bytes.withUnsafeBytes { self.answer(client, position, $0) }
  }
}
