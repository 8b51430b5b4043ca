// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Synchronization
import Testing

typealias TimeSpan = ClosedRange<ContinuousClock.Instant>

/// The oracle of the fault suite: what clients asked, what they were told, and the promises that
/// both are judged by. Every value names its writer and its round, so that a reply which belongs to
/// another request is found.
struct History: Sendable {
  /// A session's value, written once and acknowledged.
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

  /// A number that one client adds to, one by one.
  struct Counter: Sendable {
    var acknowledged: [ContinuousClock.Instant] = []
    /// Answered `UNCERTAIN` or `UNREPLICATED`: it may count or not.
    var uncertain = 0
    /// Errors that say that nothing was executed.
    var refused: [String] = []
    /// Replies beyond what this client can have added up.
    var wrongReplies: [Int64] = []
  }

  /// A list that one client appends its rounds to, one by one.
  struct List: Sendable {
    var acknowledged: [Int: ContinuousClock.Instant] = [:]
    var uncertain: Set<Int> = []

    static func element(_ round: Int, of key: String) -> String { "\(key)=\(round)" }
  }

  var writes: [Write] = []
  var wrongReads: [WrongRead] = []
  /// Errors that a session's request saw.
  var errors: [String] = []
  /// How often each error of Holdfast's own was answered, by its first word.
  var errorCounts: [String: Int] = [:]
  var requests = 0
  var counters: [String: Counter] = [:]
  var lists: [String: List] = [:]
  var longestWait = Duration.zero
}

extension History {
  /// The longest that a request waits by default, and what a busy machine adds.
  static let longestDefaultWait = Duration.seconds(17)

  /// Counts an error reply; one that a session's request sees (any but `UNREPLICATED`, which says
  /// that it was written) is kept.
  mutating func note(_ reply: RESPValue, to command: String) {
    let word = reply.errorWord ?? "no error"
    errorCounts[word, default: 0] += 1
    let isSession = ["SETEX", "GET"].contains(command)
    if isSession, word != "UNREPLICATED" { errors.append("\(command): \(reply)") }
  }

  /// Judges the history against what the master holds now: no errors for session work, every
  /// acknowledged write there, every reply its own, nothing added up twice or lost, no request
  /// beyond its deadline.
  ///
  /// - Parameters:
  ///   - excused: what was acknowledged in this time may be lost (as replication is asynchronous),
  ///     and must be whole otherwise.
  ///   - mayRefuse: for want of a master within their time, requests may have been answered
  ///     `NOMASTER`, and those under way when it was lost `UNCERTAIN`.
  ///   - longest: the longest that any request may have waited.
  func verify(
    at node: Node, excused: [TimeSpan] = [], mayRefuse: Bool = false,
    longest: Duration = longestDefaultWait
  ) async throws {
    let excusable = mayRefuse ? ["NOMASTER", "UNCERTAIN"] : []
    #expect(errors.filter { error in !excusable.contains { error.contains($0) } } == [])
    #expect(longestWait <= longest)
    verifyReplies(excused)
    try await verifyWrites(at: node, excused)
    try await verifyCounters(at: node, excused)
    try await verifyLists(at: node, excused)
  }

  /// Something really was going on.
  func expectWork(atLeast count: Int = 400) {
    #expect(writes.count >= count)
    #expect(counters.values.allSatisfy { !$0.acknowledged.isEmpty })
    #expect(lists.values.allSatisfy { !$0.acknowledged.isEmpty })
  }

  /// How many times something that adds up was answered `UNCERTAIN`.
  var uncertain: Int {
    counters.values.reduce(0) { $0 + $1.uncertain }
      + lists.values.reduce(0) { $0 + $1.uncertain.count }
  }

  private func verifyReplies(_ excused: [TimeSpan]) {
    // What was lost reads as nothing; another's value is never excused.
    let wrong = wrongReads.filter { !excused.cover($0.write.acknowledged) || $0.reply != .null }
    #expect(wrong.map { "\($0.write.key): \($0.reply)" } == [])
    #expect(counters.values.flatMap(\.wrongReplies) == [])
  }

  /// The acknowledged writes that a node does not hold, with what it says instead.
  func lostWrites(at node: Node) async throws -> [(write: Write, reply: RESPValue)] {
    let replies = try await LabThread.run { [writes] in
      let client = try node.connectBlocking()
      return try writes.map { try client.command(["GET", $0.key]) }
    }
    return zip(writes, replies).filter { $1 != .text($0.value) }.map { (write: $0, reply: $1) }
  }

  private func verifyWrites(at node: Node, _ excused: [TimeSpan]) async throws {
    let lost = try await lostWrites(at: node).filter {
      !(excused.cover($0.write.acknowledged) && $0.reply == .null)
    }
    #expect(lost.map { "\($0.write.key): \($0.reply)" } == [])
  }

  private func verifyCounters(at node: Node, _ excused: [TimeSpan]) async throws {
    for (key, counter) in counters {
      let value = try await node.query(["GET", key]).integerValue ?? 0
      let acknowledged = counter.acknowledged.count
      let certain = counter.acknowledged.count { !excused.cover($0) }
      #expect(
        Int64(certain)...Int64(acknowledged + counter.uncertain) ~= value,
        "\(key): \(certain) to \(acknowledged) acknowledged, \(counter.uncertain) uncertain")
    }
  }

  private func verifyLists(at node: Node, _ excused: [TimeSpan]) async throws {
    for (key, list) in lists {
      let elements = try await node.query(["LRANGE", key, "0", "-1"]).elements ?? []
      let rounds = elements.map { element in
        element.text.flatMap { $0.split(separator: "=").last }.flatMap { Int($0) } ?? -1
      }
      let isItsOwn = zip(elements, rounds).allSatisfy { $0 == .text(List.element($1, of: key)) }
      #expect(isItsOwn, "\(key) holds another's elements")
      // One at a time, and none twice.
      #expect(zip(rounds, rounds.dropFirst()).allSatisfy { $0 < $1 }, "\(key): \(rounds)")
      let held = Set(rounds)
      let unasked = held.subtracting(list.acknowledged.keys).subtracting(list.uncertain)
      #expect(unasked.sorted() == [], "\(key): refused, and yet executed")
      let lost = list.acknowledged.filter { !held.contains($0.key) && !excused.cover($0.value) }
      #expect(lost.keys.sorted() == [], "\(key): acknowledged and lost")
    }
  }
}

extension [TimeSpan] {
  fileprivate func cover(_ time: ContinuousClock.Instant) -> Bool {
    contains { $0.contains(time) }
  }
}

extension EventRecorder {
  /// What a promotion that nobody confirms may lose: its replica takes writes from the selection on
  /// for `failover.provisionalMilliseconds`, by default 3000, and what a busy machine adds. Where the
  /// leader dies nothing is promised, so the replica may also lack what it had not received by then.
  var unconfirmedPromotion: [TimeSpan] {
    guard let selected = first("+selected-slave") else { return [] }
    let from = start + .milliseconds(Int(selected.milliseconds))
    return [(from - .milliseconds(300))...(from + .milliseconds(3700))]
  }

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
  /// What a replica may not have received yet when its master dies.
  static let replicationLag = Duration.milliseconds(500)

  private let noted = Mutex(ContinuousClock.now)

  func mark() { noted.withLock { $0 = .now } }

  var time: ContinuousClock.Instant { noted.withLock { $0 } }

  /// What asynchronous replication may lose where the master ended at this moment.
  var lag: TimeSpan { time - Self.replicationLag...time }

  /// From this moment to another.
  func to(_ other: Moment) -> TimeSpan { time...max(time, other.time) }
}
