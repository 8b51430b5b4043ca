// SPDX-License-Identifier: Apache-2.0
import Failover
import NIOConcurrencyHelpers
import NIOCore
import Proxy
import RESP
import Sessions

/// The host's queue of locks, which all shards share: carries out what ``LockTable`` decides.
final class HostLocks: Sendable {
  private struct State {
    var table: LockTable
    var random = SystemRandomNumberGenerator()
    var shards: [NIOLoopBound<ShardLoop>] = []
    /// In how many shards something of a process that is gone may still be under way.
    var settling: [UInt64: Int] = [:]
  }

  private let state: NIOLockedValueBox<State>

  init(_ configuration: LockConfiguration, sessions: SessionConfiguration) {
    state = NIOLockedValueBox(State(table: LockTable(configuration, sessions: sessions)))
  }

  func follow(_ shards: [NIOLoopBound<ShardLoop>]) {
    state.withLockedValue { $0.shards = shards }
  }

  func reconfigure(_ configuration: LockConfiguration, sessions: SessionConfiguration) {
    state.withLockedValue { $0.table.reconfigure(configuration, sessions: sessions) }
  }

  // MARK: Events

  func ask(_ ask: HostAsk, from index: Int) {
    let client = LockClient(
      connection: Self.key(ask.client, index), position: ask.position,
      process: ask.peer?.processKey, pid: ask.peer?.pid ?? 0, uid: ask.peer?.uid ?? 0)
    change(near: index) { table, now, random in
      table.take(ask.arguments, of: client, nowMilliseconds: now, random: &random)
    }
  }

  func callAnswered(_ ticket: UInt64, _ reply: RESPValue, from index: Int) {
    change(near: index) { table, now, random in
      table.answered(ticket, reply, nowMilliseconds: now, random: &random)
    }
  }

  func driverTook(
    _ name: LockName, _ id: ClientID, _ peer: Peer?, token: [UInt8], ttlMilliseconds: Int64,
    isConnectionScope: Bool, from index: Int
  ) {
    let client = LockClient(
      connection: Self.key(id, index), position: 0, process: peer?.processKey,
      pid: peer?.pid ?? 0, uid: peer?.uid ?? 0)
    change(near: index) { table, now, _ in
      table.driverTook(
        name, token: token, ttlMilliseconds: ttlMilliseconds, client,
        isConnectionScope: isConnectionScope, nowMilliseconds: now)
    }
  }

  func driverFreed(_ name: LockName, from index: Int) {
    change(near: index) { table, _, _ in table.driverFreed(name) }
  }

  func connectionGone(_ id: ClientID, from index: Int) {
    change(near: index) { table, now, random in
      table.ownerGone(
        .connection(Self.key(id, index)), nowMilliseconds: now, random: &random)
    }
  }

  func connectionSettled(_ id: ClientID, from index: Int) {
    change(near: index) { table, now, random in
      table.ownerSettled(
        .connection(Self.key(id, index)), nowMilliseconds: now, random: &random)
    }
  }

  /// Called by the watch over processes, on its thread.
  func processGone(_ key: UInt64) {
    change(near: 0) { table, now, random in
      table.ownerGone(.process(key), nowMilliseconds: now, random: &random)
    }
    let shards = state.withLockedValue { state in
      state.settling[key] = state.shards.count
      return state.shards
    }
    for shard in shards { shard.eventLoop.execute { shard.value.processGone(key) } }
  }

  func processSettled(_ key: UInt64, from index: Int) {
    let isSettled = state.withLockedValue { state in
      let left = (state.settling[key] ?? 1) - 1
      state.settling[key] = left > 0 ? left : nil
      return left == 0
    }
    guard isSettled else { return }
    change(near: index) { table, now, random in
      table.ownerSettled(.process(key), nowMilliseconds: now, random: &random)
    }
  }

  func masterChanged(_ view: MasterView) {
    let isVerified = view.state == .serving(isProvisional: false) && view.fence == nil
    change(near: 0) { table, now, random in
      table.masterVerified(isVerified, nowMilliseconds: now, random: &random)
    }
  }

  /// Called at each tick of the first shard. In how many milliseconds something ends that waits, or was held, until a
  /// time; nil where nothing does.
  func tick() -> Int64? {
    let deadline = state.withLockedValue { $0.table.nextDeadlineMilliseconds }
    guard let deadline else { return nil }
    let now = Self.nowMilliseconds
    if deadline <= now {
      change(near: 0) { table, now, random in
        table.expire(nowMilliseconds: now, random: &random)
      }
    }
    return deadline - now
  }

  var statistics: LockStatistics { state.withLockedValue { $0.table.statistics } }

  // MARK: Actions

  private func change(
    near index: Int,
    _ body: (inout LockTable, Int64, inout SystemRandomNumberGenerator) -> Void
  ) {
    let (actions, shards) = state.withLockedValue { state in
      body(&state.table, Self.nowMilliseconds, &state.random)
      return (state.table.takeActions(), state.shards)
    }
    for action in actions { carryOut(action, shards, near: index) }
    // The first shard ticks for all; it may be resting.
    if index != 0 { shards.first?.eventLoop.execute {} }
  }

  private func carryOut(
    _ action: LockAction, _ shards: [NIOLoopBound<ShardLoop>], near index: Int
  ) {
    switch action {
    case .call(let ticket, let call):
      let shard = shards[index]
      shard.eventLoop.execute { shard.value.run(call, ticket: ticket) }
    case .freed(let name):
      for shard in shards { shard.eventLoop.execute { shard.value.driverFreed(name) } }
    case .answer(let connection, let position, let reply):
      let (index, id) = Self.client(connection)
      let shard = shards[index]
      shard.eventLoop.execute { shard.value.answerAsk(id, position, reply) }
    }
  }

  private static var nowMilliseconds: Int64 {
    Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000)
  }

  // MARK: Names of connections

  private static func key(_ id: ClientID, _ index: Int) -> UInt64 {
    UInt64(index) << 56 | UInt64(UInt32(bitPattern: id.slot)) << 32 | UInt64(id.serial)
  }

  private static func client(_ key: UInt64) -> (index: Int, id: ClientID) {
    let slot = Int32(truncatingIfNeeded: key >> 32 & 0xff_ffff)
    return (
      Int(key >> 56), ClientID(slot: slot, serial: UInt32(truncatingIfNeeded: key))
    )
  }
}
