// SPDX-License-Identifier: Apache-2.0

// The ends of processes and connections.
extension LockTable {
  /// A process or a connection is gone: it waits for nothing any more. What it holds is freed once it is settled.
  public mutating func ownerGone(
    _ owner: LockOwner, nowMilliseconds now: Int64, random: inout some RandomNumberGenerator
  ) {
    for name in Array(entries.keys) {
      guard var entry = entries[name] else { continue }
      let before = entry.waiters.count
      entry.waiters.removeAll { Self.isOf($0, owner) }
      waiterCount -= before - entry.waiters.count
      if let waiter = entry.attempt?.waiter, Self.isOf(waiter, owner) {
        entry.attempt?.isWaiterGone = true
      }
      entries[name] = entry
      advance(name, now, &random)
    }
  }

  /// Nothing that a gone process or connection has sent can reach Redis any more: its locks are freed.
  public mutating func ownerSettled(
    _ owner: LockOwner, nowMilliseconds now: Int64, random: inout some RandomNumberGenerator
  ) {
    for name in Array(entries.keys) {
      guard let holder = entries[name]?.holder, holder.owner == owner else { continue }
      statistics.freedByDeath += 1
      entries[name]?.tasks.append(
        .release(nil, token: holder.token, untilMilliseconds: holder.expiryMilliseconds))
      advance(name, now, &random)
    }
  }

  /// A framework's driver has taken a lock by itself, with `SET NX PX`.
  public mutating func driverTook(
    _ name: LockName, token: [UInt8], ttlMilliseconds: Int64, _ client: LockClient,
    isConnectionScope: Bool, nowMilliseconds now: Int64
  ) {
    let owner = owner(of: client, isConnectionScope: isConnectionScope)
    guard owner != .nobody, heldCounts[owner, default: 0] < configuration.locksPerOwnerMax else {
      return
    }
    var entry = entries[name] ?? Entry()
    forgetHolder(&entry)
    heldCounts[owner, default: 0] += 1
    entry.holder = Holder(
      token: token, owner: owner, client: client, expiryMilliseconds: now + ttlMilliseconds)
    entries[name] = entry
  }

  /// A driver has freed a lock by itself.
  public mutating func driverFreed(_ name: LockName) {
    guard var entry = entries[name] else { return }
    forgetHolder(&entry)
    entries[name] = entry.isIdle ? nil : entry
    actions.append(.freed(name))
  }

  private static func isOf(_ waiter: Waiter, _ owner: LockOwner) -> Bool {
    switch owner {
    case .process(let key): waiter.client.process == key
    case .connection(let key): waiter.client.connection == key
    case .nobody: false
    }
  }
}
