// SPDX-License-Identifier: Apache-2.0
import RESP

// What clients ask.
extension LockTable {
  /// Takes `SESSION.LOCK`, `SESSION.EXTEND` or `SESSION.UNLOCK`; each is answered once, now or later.
  public mutating func take(
    _ arguments: [[UInt8]], of client: LockClient, nowMilliseconds now: Int64,
    random: inout some RandomNumberGenerator
  ) {
    if let name = arguments.first,
      String(decoding: name, as: UTF8.self).uppercased() == Self.listing
    {
      return answer(client, list(now))
    }
    do throws(Refusal) {
      guard let request = try LockRequest.parse(arguments, configuration, sessions).get() else {
        return answer(client, .noSession)
      }
      switch request {
      case .take(let wanted): lock(wanted, client, now, &random)
      case .extend(let name, let token, let milliseconds):
        entries[name, default: Entry()].tasks
          .append(.extend(client, token: token, milliseconds: milliseconds))
        advance(name, now, &random)
      case .release(let name, let token):
        entries[name, default: Entry()].tasks
          .append(.release(client, token: token, untilMilliseconds: now))
        advance(name, now, &random)
      }
    } catch {
      answer(client, .error(error.text))
    }
  }

  /// What operators ask for.
  private static let listing = "HOLDFAST.LOCKS"

  /// Each lock by a name that gives no session away: holder's pid and uid, time left, waiters.
  private func list(_ now: Int64) -> SessionReply {
    let rows = views(nowMilliseconds: now).sorted { $0.handle < $1.handle }.map { view in
      RESPValue.map(
        [
          ("lock", .text(view.handle)), ("pid", view.pid.map { .integer(Int64($0)) } ?? .null),
          ("uid", view.uid.map { .integer(Int64($0)) } ?? .null),
          ("ttl", .integer(view.ttlMilliseconds)), ("waiters", .integer(Int64(view.waiters))),
        ].map { RESPValue.Pair(key: .text($0.0), value: $0.1) })
    }
    return .value(.array(rows))
  }

  private mutating func lock(
    _ wanted: LockRequest.Take, _ client: LockClient, _ now: Int64,
    _ random: inout some RandomNumberGenerator
  ) {
    let owner = owner(of: client, isConnectionScope: wanted.isConnectionScope)
    var entry = entries[wanted.name] ?? Entry()
    if let holder = entry.holder, holder.expiryMilliseconds <= now { forgetHolder(&entry) }
    guard entry.waiters.count < configuration.waitersPerLockMax,
      waiterCount < configuration.waitersMax,
      heldCounts[owner, default: 0] < configuration.locksPerOwnerMax || owner == .nobody
    else {
      return answer(
        client, .error("OVERLOADED too many locks or waiters; free some, or raise the limit"))
    }
    let waiter = Waiter(
      client: client, owner: owner, secret: Hexadecimal.random(bytes: 16, &random),
      ttlMilliseconds: wanted.ttlMilliseconds,
      deadlineMilliseconds: now + wanted.waitMilliseconds,
      isImmediate: wanted.waitMilliseconds == 0, attemptsLeft: max(1, wanted.retries))
    if waiter.isImmediate, !isVerified || isHeld(entry, now) {
      return refuse(waiter, entry, now)
    }
    entry.waiters.append(waiter)
    waiterCount += 1
    // Whoever does not wait is not kept by the pause of those who do.
    if waiter.isImmediate { entry.pauseMilliseconds = .min }
    entries[wanted.name] = entry
    advance(wanted.name, now, &random)
  }

  private func isHeld(_ entry: Entry, _ now: Int64) -> Bool {
    if let holder = entry.holder, holder.expiryMilliseconds > now { return true }
    // Others of this host are before it.
    return entry.waiters.contains { !$0.isImmediate }
  }

  func owner(of client: LockClient, isConnectionScope: Bool) -> LockOwner {
    if isConnectionScope { return .connection(client.connection) }
    return client.process.map { .process($0) } ?? .nobody
  }
}
