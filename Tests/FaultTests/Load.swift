// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization
import Testing

/// What a website's workers do while things break; their ``History`` tells how it went.
///
/// Session workers write keys of their own, each once, and read earlier ones back; counting workers
/// add up, listing workers append. Nobody sends anything again.
final class Load: Sendable {
  private static let pauseMicroseconds: UInt32 = 4000
  private let endpoint: Endpoint
  private let name: String
  private let history = Mutex(History())
  private let isStopping = Atomic(false)
  private let running = Atomic(0)

  init(
    _ daemon: Daemon, name: String = "load", sessions: Int = 4, counters: Int = 2, lists: Int = 1
  )
    throws
  {
    endpoint = daemon.endpoint
    self.name = name
    for worker in 0..<sessions { try start { try self.writeSessions(worker) } }
    for worker in 0..<counters { try start { try self.count(worker) } }
    for worker in 0..<lists { try start { try self.append(worker) } }
  }

  /// Runs the body under load; then the load ends and its history is given back.
  static func on(
    _ daemon: Daemon, sessions: Int = 4, counters: Int = 2, lists: Int = 1,
    _ body: @Sendable (Load) async throws -> Void
  ) async throws -> History {
    let load = try Load(daemon, sessions: sessions, counters: counters, lists: lists)
    do {
      try await load.waitForProgress()
      try await body(load)
      try await load.waitForProgress()
    } catch {
      _ = try? await load.stop()
      throw error
    }
    return try await load.stop()
  }

  /// Waits for so many more acknowledged writes.
  func waitForProgress(_ writes: Int = 200) async throws {
    let before = history.withLock { $0.writes.count }
    try await eventually("\(writes) more writes", within: 40_000) {
      self.history.withLock { $0.writes.count >= before + writes }
    }
  }

  func stop() async throws -> History {
    isStopping.store(true, ordering: .sequentiallyConsistent)
    try await eventually("end of the load", within: 60_000) {
      self.running.load(ordering: .sequentiallyConsistent) == 0
    }
    return history.withLock { $0 }
  }

  private func start(_ work: @escaping @Sendable () throws -> Void) throws {
    running.add(1, ordering: .sequentiallyConsistent)
    try LabThread.start { [self] in
      do { try work() } catch { history.withLock { $0.errors.append("\(error)") } }
      running.subtract(1, ordering: .sequentiallyConsistent)
    }
  }

  private func writeSessions(_ worker: Int) throws {
    let client = try BlockingClient(endpoint)
    var mine: [History.Write] = []
    var round = 0
    while !isStopping.load(ordering: .relaxed) {
      round += 1
      let key = "\(name):\(worker):\(round)"
      let value = "\(key)=\(UInt32.random(in: 0...UInt32.max))"
      let reply = try timed { try client.command(["SETEX", key, "3600", value]) }
      if reply == .simple("OK") {
        let write = History.Write(key: key, value: value, acknowledged: .now)
        mine.append(write)
        history.withLock { $0.writes.append(write) }
      } else {
        history.withLock { $0.note(reply, to: "SETEX") }
      }
      // Mostly a recent one: what was written just before something broke.
      if let write = mine.suffix(10).randomElement() {
        let reply = try timed { try client.command(["GET", write.key]) }
        if case .error = reply {
          history.withLock { $0.note(reply, to: "GET") }
        } else if reply != .text(write.value) {
          history.withLock { $0.wrongReads.append(History.WrongRead(write: write, reply: reply)) }
        }
      }
      usleep(Self.pauseMicroseconds)
    }
  }

  private func count(_ worker: Int) throws {
    let client = try BlockingClient(endpoint)
    let key = "\(name):count:\(worker)"
    history.withLock { $0.counters[key] = History.Counter() }
    var asked: Int64 = 0
    while !isStopping.load(ordering: .relaxed) {
      asked += 1
      let reply = try timed { try client.command(["INCR", key]) }
      history.withLock { history in
        switch reply {
        case .integer(let value):
          history.counters[key]?.acknowledged.append(.now)
          if !(1...asked ~= value) { history.counters[key]?.wrongReplies.append(value) }
        case .error where ["UNCERTAIN", "UNREPLICATED"].contains(reply.errorWord):
          history.counters[key]?.uncertain += 1
          history.note(reply, to: "INCR")
        case .error(let text) where text.hasPrefix("NOMASTER "):
          history.counters[key]?.refused.append(text)
          history.note(reply, to: "INCR")
        default: history.errors.append("INCR: \(reply)")
        }
      }
      usleep(Self.pauseMicroseconds)
    }
  }

  private func append(_ worker: Int) throws {
    let client = try BlockingClient(endpoint)
    let key = "\(name):list:\(worker)"
    history.withLock { $0.lists[key] = History.List() }
    var round = 0
    while !isStopping.load(ordering: .relaxed) {
      round += 1
      let element = History.List.element(round, of: key)
      let reply = try timed { try client.command(["RPUSH", key, element]) }
      history.withLock { history in
        switch reply {
        case .integer(let length) where 1...Int64(round) ~= length:
          history.lists[key]?.acknowledged[round] = .now
        case .error where ["UNCERTAIN", "UNREPLICATED"].contains(reply.errorWord):
          history.lists[key]?.uncertain.insert(round)
          history.note(reply, to: "RPUSH")
        case .error(let text) where text.hasPrefix("NOMASTER "):
          history.note(reply, to: "RPUSH")
        default: history.errors.append("RPUSH: \(reply)")
        }
      }
      usleep(Self.pauseMicroseconds)
    }
  }

  private func timed(_ work: () throws -> RESPValue) rethrows -> RESPValue {
    let start = ContinuousClock.now
    let reply = try work()
    let wait = ContinuousClock.now - start
    history.withLock { history in
      history.requests += 1
      history.longestWait = max(history.longestWait, wait)
    }
    return reply
  }
}
