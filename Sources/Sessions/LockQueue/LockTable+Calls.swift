// SPDX-License-Identifier: Apache-2.0
import RESP

// What Redis says.
extension LockTable {
  /// The reply to a call; an error where Redis could not be asked. A ticket that is not known is ignored.
  public mutating func answered(
    _ ticket: UInt64, _ reply: RESPValue, nowMilliseconds now: Int64,
    random: inout some RandomNumberGenerator
  ) {
    guard let name = tickets.removeValue(forKey: ticket), var entry = entries[name],
      let attempt = entry.attempt, attempt.ticket == ticket
    else { return }
    entry.attempt = nil
    if let reply = ScriptAnswer(reply) {
      if name.database != nil { actions.append(.freed(name)) }
      settle(&entry, attempt, reply, now, &random)
    } else {
      fail(&entry, attempt, reply, now)
    }
    entries[name] = entry
    advance(name, now, &random)
  }

  private mutating func settle(
    _ entry: inout Entry, _ attempt: Attempt, _ reply: ScriptAnswer, _ now: Int64,
    _ random: inout some RandomNumberGenerator
  ) {
    let count = reply.integer(0) ?? 0
    switch attempt.task {
    case .extend(let client, let token, let milliseconds):
      if count == 1, entry.holder?.token == token {
        entry.holder?.expiryMilliseconds = now + milliseconds
      }
      return answer(client, .value(.integer(count)))
    case .release(let client, let token, _):
      if entry.holder?.token == token { forgetHolder(&entry) }
      if let client { answer(client, .value(.integer(count))) }
    case nil: break
    }
    guard let waiter = attempt.waiter else { return }
    let isGone = attempt.isWaiterGone
    if reply.word == .ok, let token = reply.bytes(1), let number = reply.integer(2) {
      if attempt.task != nil { statistics.handedOver += 1 }
      let ttl = reply.integer(3) ?? waiter.ttlMilliseconds
      grant(&entry, isGone ? nil : waiter, token, number, ttl, now)
    } else {
      let held = reply.integer(1) ?? 0
      wait(&entry, isGone ? nil : waiter, held < 0 ? .max / 2 : held, now, &random)
    }
  }

  private mutating func grant(
    _ entry: inout Entry, _ waiter: Waiter?, _ token: [UInt8], _ number: Int64,
    _ ttlMilliseconds: Int64, _ now: Int64
  ) {
    fenceFloor = max(fenceFloor, number + 1)
    entry.failures = 0
    entry.pauseMilliseconds = .min
    entry.foreignMilliseconds = .min
    // Too late for who has given up or is gone: freed again, for the next one.
    guard let waiter, waiter.isImmediate || waiter.deadlineMilliseconds > now else {
      if let waiter { refuse(waiter, entry, now) }
      entry.tasks.append(
        .release(nil, token: token, untilMilliseconds: now + ttlMilliseconds))
      return
    }
    statistics.granted += 1
    heldCounts[waiter.owner, default: 0] += 1
    entry.holder = Holder(
      token: token, owner: waiter.owner, client: waiter.client,
      expiryMilliseconds: now + ttlMilliseconds)
    answer(
      waiter.client,
      .fields([.init("token", .bulk(token)), .init("fencing", .integer(number))]))
    refuseImmediate(&entry, now)
  }

  /// Another host holds it.
  private mutating func wait(
    _ entry: inout Entry, _ waiter: Waiter?, _ heldMilliseconds: Int64, _ now: Int64,
    _ random: inout some RandomNumberGenerator
  ) {
    entry.foreignMilliseconds = now + heldMilliseconds
    refuseImmediate(&entry, now)
    if var waiter {
      waiter.attemptsLeft -= 1
      if waiter.isImmediate || waiter.attemptsLeft <= 0 || waiter.deadlineMilliseconds <= now {
        refuse(waiter, entry, now)
      } else {
        // First again: it has waited longest.
        entry.waiters.insert(waiter, at: 0)
        waiterCount += 1
      }
    }
    let longest = configuration.backoffMilliseconds << Int64(min(entry.failures, 3))
    let pause = min(longest, configuration.backoffMilliseconds * 10)
    entry.failures += 1
    entry.pauseMilliseconds =
      now + max(1, min(Int64.random(in: pause / 2...pause, using: &random), heldMilliseconds + 1))
  }

  /// Redis could not be asked, or refused.
  private mutating func fail(
    _ entry: inout Entry, _ attempt: Attempt, _ reply: RESPValue, _ now: Int64
  ) {
    let text: String
    if case .error(let said) = reply {
      text = said
    } else {
      text = "ERR Redis gave an answer that is not understood"
    }
    entry.pauseMilliseconds = now + configuration.backoffMilliseconds
    switch attempt.task {
    case .extend(let client, _, _): answer(client, .error(text))
    case .release(let client, let token, let until):
      if let client { answer(client, .error(text)) }
      let end = max(until, entry.holder.map { $0.token == token ? $0.expiryMilliseconds : 0 } ?? 0)
      if end > now {
        entry.tasks.append(.release(nil, token: token, untilMilliseconds: end))
      }
    case nil: break
    }
    guard let waiter = attempt.waiter, !attempt.isWaiterGone else { return }
    // Its secret stays the same: if it was given the lock and only the answer was lost, it finds it its own.
    if !waiter.isImmediate, waiter.deadlineMilliseconds > now,
      attempt.task != nil || text.hasPrefix("NOMASTER")
    {
      entry.waiters.insert(waiter, at: 0)
      waiterCount += 1
      return
    }
    answer(waiter.client, .error(text))
  }
}
