// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization

/// What a website's workers do to their session store, each in a thread with one connection.
///
/// Like any plain client they send nothing again by themselves: what fails is counted.
final class Traffic: Sendable {
  /// A write that was answered, to be found again at the end.
  struct Write: Sendable {
    let key: String
    let value: String
    /// Whether it is the field `user` of a hash.
    let isHash: Bool
    /// When it was answered, since the start, in milliseconds.
    let acknowledged: Double
  }

  struct Totals: Sendable {
    var requests = 0
    var errors: [String] = []
    var errorCount = 0
    var wrongReads = 0
    var longestWait = 0.0
    var writes: [Write] = []
  }

  static let workers = 8
  private static let intervalMilliseconds = 10.0
  private static let readBackMax = 200

  private let endpoint: Endpoint
  private let start = ContinuousClock.now
  private let totals = Mutex(Totals())
  private let stopping = Atomic(false)
  private let running = Atomic(0)

  /// Starts the workers.
  init(to endpoint: Endpoint) throws {
    self.endpoint = endpoint
    for worker in 0..<Self.workers {
      running.add(1, ordering: .sequentiallyConsistent)
      try LabThread.start { [self] in
        work(as: worker)
        running.subtract(1, ordering: .sequentiallyConsistent)
      }
    }
  }

  /// Milliseconds since the start.
  var now: Double { (ContinuousClock.now - start).inMilliseconds }

  var snapshot: Totals { totals.withLock { $0 } }

  var acknowledgedWrites: Int { totals.withLock { $0.writes.count } }

  /// Ends the workers after the request each is in; then all totals.
  func stop() async throws -> Totals {
    stopping.store(true, ordering: .sequentiallyConsistent)
    try await eventually("end of the workers", within: 60_000) {
      self.running.load(ordering: .sequentiallyConsistent) == 0
    }
    return snapshot
  }

  /// Ends the workers without waiting.
  func stopSoon() { stopping.store(true, ordering: .sequentiallyConsistent) }

  /// Waits until writes were answered in each tenth of a second, for that long.
  func waitUntilSteady(forMilliseconds duration: Int) async throws {
    var steady = 0
    var last = acknowledgedWrites
    let deadline = now + 60_000
    while steady < duration / 100 {
      try await Task.sleep(for: .milliseconds(100))
      let count = acknowledgedWrites
      steady = count > last ? steady + 1 : 0
      last = count
      guard now < deadline else { throw LabError.timeout("traffic did not flow again in 60 s") }
    }
  }

  private var isStopping: Bool { stopping.load(ordering: .relaxed) }

  private func work(as worker: Int) {
    var client: BlockingClient?
    var mine: [Write] = []
    var round = 0
    var due = now
    while !isStopping {
      do {
        let connected = try client ?? BlockingClient(endpoint)
        client = connected
        round += 1
        try visit(round, of: worker, on: connected, &mine)
      } catch {
        client = nil
        note(error: "\(error)")
        usleep(50_000)
      }
      due = max(due + Self.intervalMilliseconds, now - Self.intervalMilliseconds)
      if due > now { usleep(UInt32((due - now) * 1000)) }
    }
  }

  /// One page view: a session is written and an earlier one read; now and then a hash is used.
  private func visit(
    _ round: Int, of worker: Int, on client: BlockingClient, _ mine: inout [Write]
  ) throws {
    let key = "session:\(worker):\(round)"
    let value = "\(worker).\(round)." + String(repeating: "x", count: 280)
    if try ask(client, ["SETEX", key, "3600", value]) == .simple("OK") {
      keep(key, value, isHash: false, &mine)
    }
    if let earlier = mine.suffix(Self.readBackMax).randomElement() {
      let read = try ask(
        client, earlier.isHash ? ["HGET", earlier.key, "user"] : ["GET", earlier.key])
      if case .error = read {
      } else if read.text != earlier.value {
        totals.withLock { $0.wrongReads += 1 }
      }
    }
    guard round.isMultiple(of: 10) else { return }
    if case .integer = try ask(client, ["HSET", "\(key):h", "user", "\(round)"]) {
      keep("\(key):h", "\(round)", isHash: true, &mine)
    }
    _ = try ask(client, ["EXPIRE", "\(key):h", "3600"])
  }

  private func keep(_ key: String, _ value: String, isHash: Bool, _ mine: inout [Write]) {
    let write = Write(key: key, value: value, isHash: isHash, acknowledged: now)
    mine.append(write)
    if mine.count > 2 * Self.readBackMax { mine.removeFirst(Self.readBackMax) }
    totals.withLock { $0.writes.append(write) }
  }

  private func ask(_ client: BlockingClient, _ arguments: [String]) throws -> RESPValue {
    let before = now
    defer {
      let waited = now - before
      totals.withLock { totals in
        totals.requests += 1
        totals.longestWait = max(totals.longestWait, waited)
      }
    }
    let reply = try client.command(arguments)
    if case .error(let text) = reply { note(error: "\(arguments[0]): \(text)") }
    return reply
  }

  private func note(error: String) {
    totals.withLock { totals in
      totals.errorCount += 1
      if totals.errors.count < 5, !totals.errors.contains(error) { totals.errors.append(error) }
    }
  }
}
