// SPDX-License-Identifier: Apache-2.0
import RESP

/// The locks that a host's processes hold and wait for: a pure state machine.
///
/// For each lock at most one call is under way. Waiters are served in the order they came; a lock that is freed goes to
/// the next of them in the same step. What another host holds is asked for again after pauses.
///
/// Files: `+Commands` takes what clients ask, `+Calls` what Redis says, `+Owners` the ends of processes.
public struct LockTable: Sendable {
  /// A lock that this host holds.
  struct Holder {
    let token: [UInt8]
    let owner: LockOwner
    let client: LockClient
    var expiryMilliseconds: Int64
  }

  /// Someone who wants a lock.
  struct Waiter {
    let client: LockClient
    let owner: LockOwner
    /// The random part of its token.
    let secret: [UInt8]
    let ttlMilliseconds: Int64
    let deadlineMilliseconds: Int64
    /// It does not wait: the next answer decides.
    let isImmediate: Bool
    var attemptsLeft: Int64
  }

  /// What is to be done to a lock before others are let in.
  enum Task {
    case extend(LockClient, token: [UInt8], milliseconds: Int64)
    /// Without a client: a lock of one who is gone. Tried until its time would be over.
    case release(LockClient?, token: [UInt8], untilMilliseconds: Int64)

    /// Whether it is to be tried at once, whatever came before.
    var isAsked: Bool {
      switch self {
      case .extend: true
      case .release(let client, _, _): client != nil
      }
    }
  }

  /// The call under way.
  struct Attempt {
    let ticket: UInt64
    /// What it frees, and for whom.
    let task: Task?
    /// Whom it is to give the lock.
    let waiter: Waiter?
    /// That one is gone, or has waited long enough.
    var isWaiterGone = false
  }

  /// A lock by its key.
  struct Entry {
    var holder: Holder?
    var waiters: [Waiter] = []
    var tasks: [Task] = []
    var attempt: Attempt?
    /// Not before this time, where another host holds it or Redis could not be asked.
    var pauseMilliseconds: Int64 = .min
    var failures = 0
    /// Until when another host holds it, as far as is known.
    var foreignMilliseconds: Int64 = .min

    var isIdle: Bool { holder == nil && waiters.isEmpty && tasks.isEmpty && attempt == nil }
  }

  private(set) var configuration: LockConfiguration
  private(set) var sessions: SessionConfiguration
  let fenceKey: [UInt8]
  var entries: [LockName: Entry] = [:]
  var tickets: [UInt64: LockName] = [:]
  var ticketCount: UInt64 = 0
  var waiterCount = 0
  var heldCounts: [LockOwner: Int] = [:]
  /// Above every fencing number given here.
  var fenceFloor: Int64 = 1
  var actions: [LockAction] = []
  /// Whether locks may be given: the master is verified, neither provisional nor fenced.
  public private(set) var isVerified = false
  /// See ``LockStatistics``.
  public internal(set) var statistics = LockStatistics()

  /// A table without locks.
  public init(_ configuration: LockConfiguration, sessions: SessionConfiguration) {
    self.configuration = configuration
    self.sessions = sessions
    fenceKey = Array((sessions.prefix + "lock:fence").utf8)
  }

  /// Bounds and session settings may change; what is queued stays.
  public mutating func reconfigure(
    _ configuration: LockConfiguration, sessions: SessionConfiguration
  ) {
    self.configuration = configuration
    self.sessions = sessions
  }

  /// What is to be done, in order; forgotten with this.
  public mutating func takeActions() -> [LockAction] {
    defer { actions = [] }
    return actions
  }

  /// The master is verified, or no longer. Who waits goes on waiting; nobody is given a lock meanwhile.
  public mutating func masterVerified(
    _ isVerified: Bool, nowMilliseconds now: Int64, random: inout some RandomNumberGenerator
  ) {
    guard isVerified != self.isVerified else { return }
    self.isVerified = isVerified
    for name in Array(entries.keys) {
      if isVerified { entries[name]?.pauseMilliseconds = .min }
      advance(name, now, &random)
    }
  }

  /// Ends waits whose time is over and goes on where a pause is.
  public mutating func expire(
    nowMilliseconds now: Int64, random: inout some RandomNumberGenerator
  ) {
    for name in Array(entries.keys) {
      guard var entry = entries[name] else { continue }
      if let holder = entry.holder, holder.expiryMilliseconds <= now {
        forgetHolder(&entry)
      }
      if let waiter = entry.attempt?.waiter, entry.attempt?.isWaiterGone == false,
        !waiter.isImmediate, waiter.deadlineMilliseconds <= now
      {
        entry.attempt?.isWaiterGone = true
        refuse(waiter, entry, now)
      }
      let over = entry.waiters.filter { $0.deadlineMilliseconds <= now && !$0.isImmediate }
      for waiter in over { refuse(waiter, entry, now) }
      if !over.isEmpty {
        entry.waiters.removeAll { $0.deadlineMilliseconds <= now && !$0.isImmediate }
        waiterCount -= over.count
      }
      entries[name] = entry
      advance(name, now, &random)
    }
  }

  /// When ``expire(nowMilliseconds:random:)`` has something to do; nil if nothing waits for time.
  public var nextDeadlineMilliseconds: Int64? {
    var next: Int64?
    for entry in entries.values {
      var times = entry.waiters.filter { !$0.isImmediate }.map(\.deadlineMilliseconds)
      if let holder = entry.holder { times.append(holder.expiryMilliseconds) }
      if let waiter = entry.attempt?.waiter, entry.attempt?.isWaiterGone == false,
        !waiter.isImmediate
      {
        times.append(waiter.deadlineMilliseconds)
      }
      if entry.attempt == nil, entry.pauseMilliseconds > .min,
        !entry.waiters.isEmpty || !entry.tasks.isEmpty
      {
        times.append(entry.pauseMilliseconds)
      }
      if let earliest = times.min() { next = min(next ?? earliest, earliest) }
    }
    return next
  }

  /// All locks that this host holds or waits for.
  public func views(nowMilliseconds now: Int64) -> [LockView] {
    entries.map { name, entry in
      LockView(
        handle: String(IndexMember.handle(of: name.key).prefix(8)), pid: entry.holder?.client.pid,
        uid: entry.holder?.client.uid,
        ttlMilliseconds: max(
          0, (entry.holder?.expiryMilliseconds ?? entry.foreignMilliseconds) - now),
        waiters: entry.waiters.count)
    }
  }

  // MARK: What happens next to a lock

  /// Makes the next call about a lock, if there is something to do and nothing under way.
  mutating func advance(
    _ name: LockName, _ now: Int64, _ random: inout some RandomNumberGenerator
  ) {
    guard var entry = entries[name] else { return }
    defer { entries[name] = entry.isIdle ? nil : entry }
    if !isVerified { refuseImmediate(&entry, now) }
    guard entry.attempt == nil else { return }
    let isPaused = now < entry.pauseMilliseconds
    if let task = entry.tasks.first, task.isAsked || !isPaused {
      entry.tasks.removeFirst()
      begin(&entry, name, task, now)
    } else if isVerified, !isPaused, entry.holder == nil, !entry.waiters.isEmpty {
      begin(&entry, name, nil, now)
    }
  }

  private mutating func begin(_ entry: inout Entry, _ name: LockName, _ task: Task?, _ now: Int64) {
    ticketCount += 1
    tickets[ticketCount] = name
    var waiter: Waiter?
    let call: RedisCall
    switch task {
    case .extend(_, let token, let milliseconds):
      call = extendCall(name, token, milliseconds)
    case .release(_, let token, _):
      // Freed and given to the next one in the same step.
      if isVerified, entry.holder == nil || entry.holder?.token == token {
        waiter = entry.waiters.first
      }
      call = changeCall(name, freeing: token, for: waiter)
    case nil:
      waiter = entry.waiters.first
      call = changeCall(name, freeing: nil, for: waiter)
    }
    if waiter != nil {
      entry.waiters.removeFirst()
      waiterCount -= 1
    }
    entry.attempt = Attempt(ticket: ticketCount, task: task, waiter: waiter)
    actions.append(.call(ticket: ticketCount, call))
  }

  private func changeCall(
    _ name: LockName, freeing token: [UInt8]?, for waiter: Waiter?
  ) -> RedisCall {
    RedisCall(
      .script(
        LockScript.change, keys: [name.key, fenceKey],
        arguments: [
          token ?? [], waiter?.secret ?? [], bytes(waiter?.ttlMilliseconds ?? 0),
          bytes(fenceFloor), name.database.map { bytes($0) } ?? [],
        ]), replay: .guarded, isWrite: true)
  }

  private func extendCall(_ name: LockName, _ token: [UInt8], _ milliseconds: Int64) -> RedisCall {
    RedisCall(
      .script(LockScript.extend, keys: [name.key], arguments: [token, bytes(milliseconds)]),
      replay: .guarded, isWrite: true)
  }

  // MARK: Refusals

  /// Answers those who do not wait.
  mutating func refuseImmediate(_ entry: inout Entry, _ now: Int64) {
    if let waiter = entry.attempt?.waiter, entry.attempt?.isWaiterGone == false,
      waiter.isImmediate
    {
      entry.attempt?.isWaiterGone = true
      refuse(waiter, entry, now)
    }
    guard entry.waiters.contains(where: \.isImmediate) else { return }
    for waiter in entry.waiters where waiter.isImmediate {
      refuse(waiter, entry, now)
      waiterCount -= 1
    }
    entry.waiters.removeAll(where: \.isImmediate)
  }

  mutating func refuse(_ waiter: Waiter, _ entry: Entry, _ now: Int64) {
    let until = max(entry.holder?.expiryMilliseconds ?? .min, entry.foreignMilliseconds)
    if !isVerified {
      answer(
        waiter.client,
        .error("NOMASTER no lock is given while the master is not verified; try again"))
    } else {
      statistics.busy += 1
      let left = until > now ? "for \(until - now) ms more, unless it is freed" : "by another"
      answer(waiter.client, .error("LOCKBUSY the lock is held \(left)"))
    }
  }

  mutating func answer(_ client: LockClient, _ reply: SessionReply) {
    actions.append(.answer(connection: client.connection, position: client.position, reply))
  }

  mutating func forgetHolder(_ entry: inout Entry) {
    guard let owner = entry.holder?.owner else { return }
    entry.holder = nil
    heldCounts[owner, default: 1] -= 1
    if heldCounts[owner] == 0 { heldCounts[owner] = nil }
  }
}
