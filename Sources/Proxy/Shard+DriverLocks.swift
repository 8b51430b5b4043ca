// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions

/// Locks that sessions' drivers in frameworks take by themselves, with `SET key token NX PX ms`.
public struct DriverLocks: Sendable, Equatable {
  /// What their keys begin with.
  public var prefixes: [[UInt8]]
  /// Whether a lock ends with the connection that took it, not with the process: for php-fpm.
  public var isConnectionScope = false
  /// How long a refused one is asked for before the driver hears of it; 0: it hears at once.
  public var waitMilliseconds: Int64 = 0

  /// Locks under these prefixes.
  public init(prefixes: [[UInt8]]) {
    self.prefixes = prefixes
  }
}

/// A refused lock of a driver that is asked for again.
struct DriverWait: Equatable {
  let client: ClientID
  let position: UInt64
  let deadlineMilliseconds: Int64
}

// What is seen of drivers' locks as they pass. A dead holder's are freed by the queue of locks.
extension Shard {
  /// What a write is in the eyes of drivers' locks; nil: nothing.
  func driverKind(
    _ index: CommandIndex, _ arguments: RequestArguments, _ locks: DriverLocks
  ) -> EntryKind? {
    guard arguments.count >= 2 else { return nil }
    switch table[index].name {
    case "SET":
      return isDriverKey(arguments[1], locks) && setLock(arguments) != nil ? .driverLock : nil
    case "DEL", "UNLINK": return isDriverKey(arguments[1], locks) ? .driverRelease : nil
    case "EVAL", "EVALSHA":
      guard arguments.count > 3, isDriverKey(arguments[3], locks) else { return nil }
      return .driverRelease
    default: return nil
    }
  }

  /// How long a lock without an end is remembered.
  private static var endless: Int64 { 86_400_000 }

  private func isDriverKey(_ key: UnsafeRawBufferPointer, _ locks: DriverLocks) -> Bool {
    locks.prefixes.contains { key.starts(with: $0) }
  }

  /// Token and time of a `SET` that takes a lock. phpredis names no time where PHP has no `max_execution_time`, so that
  /// a dead worker's would never end.
  private func setLock(_ arguments: RequestArguments) -> (token: [UInt8], milliseconds: Int64)? {
    guard arguments.count == 4 || arguments.count == 6 else { return nil }
    var isNew = false
    var time: Int64?
    var index = 3
    while index < arguments.count {
      if arguments.matches(index, "NX") {
        isNew = true
        index += 1
      } else if index + 1 < arguments.count, let number = arguments.integer(index + 1), number > 0,
        number < 1 << 40
      {
        if arguments.matches(index, "PX") { time = number }
        if arguments.matches(index, "EX") { time = number * 1000 }
        index += 2
      } else {
        return nil
      }
    }
    guard isNew else { return nil }
    return (Array(arguments[2]), time ?? Self.endless)
  }

  /// Sends it, unless others wait for the same lock already.
  func forwardDriver(
    _ client: Client, _ frame: UnsafeRawBufferPointer, _ kind: EntryKind
  ) -> Bool {
    guard kind == .driverLock, !driverQueues.isEmpty, let link = sharedLink(of: client),
      link.isReady,
      view.isServing, !isFenced, client.nativeLink == nil,
      let name = name(Array(frame), client), driverQueues[name] != nil
    else { return forward(client, frame, kind) }
    guard hasRoom(client, frame.count) else { return false }
    let due = DueReply(
      client: client.id, position: client.order.issue(), kind: kind, isSilent: isSilent(client),
      releasedBytes: 0)
    counters.commands += 1
    var refusal: [UInt8] = []
    refusal.writeNull(client.version)
    postpone(
      due, Array(frame), of: client, on: link, isUnknown: false, refusal: refusal,
      retryMilliseconds: .max, deadlineMilliseconds: startDriverWait(due, name))
    return true
  }

  /// A refused one is asked for again, as long as the settings say. True: its driver does not hear of it yet.
  func mustWaitForDriverLock(_ link: Link, _ reply: UnsafeRawBufferPointer) -> Bool {
    guard let locks = configuration.driverLocks, locks.waitMilliseconds > 0,
      let entry = link.queue.entries.first, entry.kind == .driverLock, isNull(reply),
      let client = clients[entry.client], let command = firstCommand(link),
      let name = name(command, client)
    else { return false }
    let due = DueReply(
      client: entry.client, position: entry.position, kind: entry.kind, isSilent: false,
      releasedBytes: 0)
    let deadline = startDriverWait(due, name)
    guard now < deadline else { return false }
    let isFirst = driverQueues[name]?.first?.client == entry.client
    let pause = Int64.random(in: 25...50, using: &random)
    return deferFirst(
      link, refusal: reply, retryMilliseconds: isFirst ? now + pause : .max,
      deadlineMilliseconds: deadline)
  }

  private func isNull(_ reply: UnsafeRawBufferPointer) -> Bool {
    reply.first == UInt8(ascii: "_") || reply.starts(with: "$-1".utf8)
  }

  /// The command that is being answered, if it is about a driver's lock.
  func driverCommand(_ link: Link) -> [UInt8]? {
    switch link.queue.entries.first?.kind {
    case .driverLock, .driverRelease: firstCommand(link)
    case .client, .own, .kill, .native, .keysScan, .scriptLoad, .configSet, .keyspaceEvents, .setup,
      .transactionBegin, .transactionEnd, .unwatch, .tracking, .marker, .move, .barrierMark,
      .barrier,
      nil:
      nil
    }
  }

  /// A driver has taken or freed a lock.
  func noteDriver(_ due: DueReply, _ command: [UInt8], _ reply: UnsafeRawBufferPointer) {
    guard let client = clients[due.client], let name = name(command, client) else { return }
    endDriverWait(due)
    if due.kind == .driverRelease {
      guard reply.first != UInt8(ascii: "-"), !reply.starts(with: ":0".utf8) else { return }
      actions.append(.driverFreed(name))
    } else if reply.first == UInt8(ascii: "+"),
      let (token, milliseconds) = withArguments(command, { setLock($0) })
    {
      client.hasLocks = true
      actions.append(
        .driverLock(client.id, client.peer, name, token: token, ttlMilliseconds: milliseconds))
    }
  }

  private func name(_ command: [UInt8], _ client: Client) -> LockName? {
    withArguments(command) { arguments in
      let place = arguments.matches(0, "EVAL") || arguments.matches(0, "EVALSHA") ? 3 : 1
      return arguments.argument(place).map { LockName(Array($0), database: client.database) }
    }
  }

  // MARK: Waiters

  /// Puts it in the queue, or finds it there; answers until when it waits.
  private func startDriverWait(_ due: DueReply, _ name: LockName) -> Int64 {
    let queue = driverQueues[name] ?? []
    if let known = queue.first(where: { $0.client == due.client && $0.position == due.position }) {
      return known.deadlineMilliseconds
    }
    let deadline = now + (configuration.driverLocks?.waitMilliseconds ?? 0)
    driverQueues[name] =
      queue + [
        DriverWait(client: due.client, position: due.position, deadlineMilliseconds: deadline)
      ]
    return deadline
  }

  func endDriverWait(_ due: DueReply) {
    guard due.kind == .driverLock, !driverQueues.isEmpty else { return }
    dropDriverWaits { $0.client == due.client && $0.position == due.position }
  }

  func dropDriverWaits(of client: ClientID) { dropDriverWaits { $0.client == client } }

  private func dropDriverWaits(where isOver: (DriverWait) -> Bool) {
    for (name, queue) in driverQueues where queue.contains(where: isOver) {
      let left = queue.filter { !isOver($0) }
      driverQueues[name] = left.isEmpty ? nil : left
    }
  }

  /// Somebody freed a lock: the first who waits for it asks at once.
  public func driverFreed(_ name: LockName, nowMilliseconds: Int64) {
    now = nowMilliseconds
    guard driverQueues[name] != nil else { return }
    orderDriverWaiters(asking: name)
    for case let link? in links where !link.deferred.isEmpty { resendDue(link) }
    runResumeQueue()
  }

  /// Of those who wait for one lock the first asks again, the others wait for it.
  func orderDriverWaiters(asking freed: LockName? = nil) {
    var first: [ClientID: (position: UInt64, isFreed: Bool)] = [:]
    for (name, queue) in driverQueues {
      guard let head = queue.first else { continue }
      first[head.client] = (head.position, name == freed)
    }
    for case let link? in links {
      for index in link.deferred.indices where link.deferred[index].due.kind == .driverLock {
        let due = link.deferred[index].due
        guard let head = first[due.client], head.position == due.position else {
          link.deferred[index].retryMilliseconds = .max
          continue
        }
        if head.isFreed || link.deferred[index].retryMilliseconds == .max {
          link.deferred[index].retryMilliseconds = now
        }
      }
    }
  }
}
