// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization
import Testing

/// What a website's workers do while things break, with a history to judge by.
///
/// Session workers write keys of their own, each once, and read earlier ones back; counting workers
/// add up. Nobody sends anything again.
final class Load: Sendable {
  struct Write: Sendable {
    let key: String
    let value: String
    /// When it was answered.
    let acknowledged: ContinuousClock.Instant
  }

  /// A read that did not give what was acknowledged.
  struct WrongRead: Sendable {
    let write: Write
    let reply: RESPValue
  }

  struct Counter: Sendable {
    var acknowledged: [ContinuousClock.Instant] = []
    var uncertain = 0
    /// Errors that say that nothing was executed.
    var refused: [String] = []
  }

  struct History: Sendable {
    var writes: [Write] = []
    var wrongReads: [WrongRead] = []
    var errors: [String] = []
    var requests = 0
    var counters: [String: Counter] = [:]
    var longestWait = Duration.zero
  }

  private static let pauseMicroseconds: UInt32 = 4000
  private let endpoint: Endpoint
  private let name: String
  private let history = Mutex(History())
  private let isStopping = Atomic(false)
  private let running = Atomic(0)

  init(_ daemon: Daemon, name: String = "load", sessions: Int = 4, counters: Int = 2) throws {
    endpoint = daemon.endpoint
    self.name = name
    for worker in 0..<sessions { try start { try self.writeSessions(worker) } }
    for worker in 0..<counters { try start { try self.count(worker) } }
  }

  /// Runs the body under load; then the load ends and its history is given back.
  static func on(
    _ daemon: Daemon, sessions: Int = 4, counters: Int = 2,
    _ body: @Sendable (Load) async throws -> Void
  ) async throws -> History {
    let load = try Load(daemon, sessions: sessions, counters: counters)
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
    var mine: [Write] = []
    var round = 0
    while !isStopping.load(ordering: .relaxed) {
      round += 1
      let key = "\(name):\(worker):\(round)"
      let value = "\(key)=\(UInt32.random(in: 0...UInt32.max))"
      let reply = try timed { try client.command(["SETEX", key, "3600", value]) }
      if reply == .simple("OK") {
        let write = Write(key: key, value: value, acknowledged: .now)
        mine.append(write)
        history.withLock { $0.writes.append(write) }
      } else {
        history.withLock { $0.errors.append("SETEX: \(reply)") }
      }
      // Mostly a recent one: what was written just before something broke.
      if let write = mine.suffix(10).randomElement() {
        let reply = try timed { try client.command(["GET", write.key]) }
        if case .error = reply {
          history.withLock { $0.errors.append("GET: \(reply)") }
        } else if reply != .text(write.value) {
          history.withLock { $0.wrongReads.append(WrongRead(write: write, reply: reply)) }
        }
      }
      usleep(Self.pauseMicroseconds)
    }
  }

  private func count(_ worker: Int) throws {
    let client = try BlockingClient(endpoint)
    let key = "\(name):count:\(worker)"
    history.withLock { $0.counters[key] = Counter() }
    while !isStopping.load(ordering: .relaxed) {
      let reply = try timed { try client.command(["INCR", key]) }
      history.withLock { history in
        switch reply {
        case .integer: history.counters[key]?.acknowledged.append(.now)
        case .error(let text) where text.hasPrefix("UNCERTAIN "):
          history.counters[key]?.uncertain += 1
        case .error(let text) where text.hasPrefix("NOMASTER "):
          history.counters[key]?.refused.append(text)
        default: history.errors.append("INCR: \(reply)")
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

extension Load.History {
  /// Judges the history against what the master holds now: no errors for session work, every
  /// acknowledged write there and every read right, nothing added up twice or lost.
  ///
  /// - Parameter excused: what was acknowledged in this time may be lost (as replication is
  ///   asynchronous), and must be whole otherwise.
  func verify(at node: Node, excused: [TimeSpan] = []) async throws {
    func isExcused(_ time: ContinuousClock.Instant) -> Bool {
      excused.contains { $0.contains(time) }
    }
    #expect(errors == [])
    let wrong = wrongReads.filter { !isExcused($0.write.acknowledged) || $0.reply != .null }
    #expect(wrong.map { "\($0.write.key): \($0.reply)" } == [])

    let replies = try await LabThread.run { [writes] in
      let client = try node.connectBlocking()
      return try writes.map { try client.command(["GET", $0.key]) }
    }
    let lost = zip(writes, replies).filter { write, reply in
      reply != .text(write.value) && !(isExcused(write.acknowledged) && reply == .null)
    }
    #expect(lost.map { "\($0.key): \($1)" } == [])

    for (key, counter) in counters {
      let value = try await node.query(["GET", key]).integerValue ?? 0
      let acknowledged = counter.acknowledged.count
      let certain = counter.acknowledged.count { !isExcused($0) }
      #expect(
        Int64(certain)...Int64(acknowledged + counter.uncertain) ~= value,
        "\(key): \(certain) to \(acknowledged) acknowledged, \(counter.uncertain) uncertain")
    }
  }

  /// Something really was going on.
  func expectWork(atLeast count: Int = 400) {
    #expect(writes.count >= count)
    #expect(counters.values.allSatisfy { !$0.acknowledged.isEmpty })
  }
}

typealias TimeSpan = ClosedRange<ContinuousClock.Instant>

extension EventRecorder {
  /// Sentinel may replace the node it has just promoted, though it lives (a sentinel that restarts its
  /// count of a master's silence takes it for down at once). What was written there in between is
  /// lost by that, whoever wrote it: the time from the promotion to the last switch, if it happened.
  func secondFailover(after first: Node) -> [TimeSpan] {
    let isOther: (SentinelEvent) -> Bool = {
      $0.channel == "+try-failover" && !$0.payload.hasSuffix(" \(first.port)")
    }
    guard events.contains(where: isOther), let promoted = self.first("+promoted-slave"),
      let last = events.last(where: { $0.channel == "+switch-master" })
    else { return [] }
    // Promoted a second before it is said; the daemon follows a moment after the switch.
    let from = start + .milliseconds(Int(promoted.milliseconds) - 1200)
    return [from...(start + .milliseconds(Int(last.milliseconds) + 300))]
  }
}

/// A moment of a test's story, noted from within a concurrent body.
final class Moment: Sendable {
  private let noted = Mutex(ContinuousClock.now)

  func mark() { noted.withLock { $0 = .now } }

  var time: ContinuousClock.Instant { noted.withLock { $0 } }
}
