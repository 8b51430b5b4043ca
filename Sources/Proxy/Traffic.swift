// SPDX-License-Identifier: Apache-2.0
import Histogram
import RESP
import Sessions

/// Kinds of commands whose latencies are kept apart.
public enum TrafficClass: UInt8, Sendable, CaseIterable {
  /// Changes nothing.
  case read
  /// Changes data, or is not known.
  case write
  /// `SESSION.*`.
  case session
  /// On a connection of the client's own: transactions, subscriptions, what waits for data.
  case pinned

  /// Its name for people and programs.
  public var name: String {
    switch self {
    case .read: "read"
    case .write: "write"
    case .session: "session"
    case .pinned: "pinned"
    }
  }
}

/// What a shard has carried: counts since the start, and latencies of the last ten to twenty seconds, or
/// a little more where nothing happens.
///
/// A latency is the time from the moment a command was handed on to Redis to its reply; waits for a master, and commands
/// that were sent again, are counted elsewhere.
public struct Traffic: Sendable {
  /// Upper bounds of the buckets kept since the start, in microseconds.
  public static let boundsMicroseconds: [UInt64] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 500_000, 1_000_000,
    5_000_000,
  ]
  static let windowMilliseconds: Int64 = 10_000

  /// One class.
  public struct Class: Sendable {
    /// Commands answered.
    public fileprivate(set) var count: UInt64 = 0
    /// Of these, by an error.
    public fileprivate(set) var errors: UInt64 = 0
    /// All their latencies together.
    public fileprivate(set) var sumMicroseconds: UInt64 = 0
    /// How many took no longer than each bound, of windows that are over.
    fileprivate var buckets = [UInt64](repeating: 0, count: Traffic.boundsMicroseconds.count)
    fileprivate var window = Class.histogram()
    fileprivate var former = Class.histogram()

    fileprivate static func histogram() -> Histogram<UInt32> {
      Histogram(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .two)
    }

    /// Latencies of the last ten to twenty seconds, in microseconds.
    public var recent: Histogram<UInt32> {
      var all = window
      all.add(former)
      return all
    }

    /// How many took no longer than each of ``Traffic/boundsMicroseconds``, since the start.
    public var cumulative: [UInt64] {
      var all = buckets
      Self.add(window, to: &all)
      return all
    }

    fileprivate static func add(_ histogram: Histogram<UInt32>, to buckets: inout [UInt64]) {
      for step in histogram.recordedValues() {
        for index in buckets.indices.reversed()
        where step.value <= Traffic.boundsMicroseconds[index] {
          buckets[index] += UInt64(step.count)
        }
      }
    }

    fileprivate mutating func rotate() {
      guard window.totalCount > 0 || former.totalCount > 0 else { return }
      Self.add(window, to: &buckets)
      swap(&window, &former)
      window.reset()
    }

    fileprivate static func += (left: inout Class, right: Class) {
      left.count += right.count
      left.errors += right.errors
      left.sumMicroseconds += right.sumMicroseconds
      for index in left.buckets.indices { left.buckets[index] += right.buckets[index] }
      left.window.add(right.window)
      left.former.add(right.former)
    }
  }

  /// By ``TrafficClass``'s raw value.
  public private(set) var classes = TrafficClass.allCases.map { _ in Class() }
  /// Commands taken, by ``CommandIndex/rawValue``; unknown ones last.
  public private(set) var commands: [UInt64]
  /// Sessions made.
  public private(set) var sessionsCreated: UInt64 = 0
  /// Sessions ended by command.
  public private(set) var sessionsDestroyed: UInt64 = 0
  /// `SESSION.LOGIN` with `OK` and with `FAIL`.
  public private(set) var logins: (good: UInt64, failed: UInt64) = (0, 0)
  private var rotatedMilliseconds: Int64 = 0

  init(commandCount: Int) { commands = [UInt64](repeating: 0, count: commandCount + 1) }

  mutating func take(_ index: CommandIndex?) {
    commands[index.map { Int($0.rawValue) } ?? commands.count - 1] += 1
  }

  mutating func answered(_ kind: TrafficClass, microseconds: Int64, isError: Bool) {
    let place = Int(kind.rawValue)
    classes[place].count += 1
    if isError { classes[place].errors += 1 }
    let value = UInt64(clamping: microseconds)
    classes[place].sumMicroseconds += value
    _ = classes[place].window.record(min(value, 60_000_000))
  }

  mutating func rotate(nowMilliseconds now: Int64) {
    guard now - rotatedMilliseconds >= Self.windowMilliseconds else { return }
    rotatedMilliseconds = now
    for index in classes.indices { classes[index].rotate() }
  }

  mutating func noteLogin(isGood: Bool) {
    if isGood { logins.good += 1 } else { logins.failed += 1 }
  }

  mutating func note(_ command: String, _ answer: SessionReply) {
    switch command {
    case "SESSION.CREATE":
      if case .fields = answer { sessionsCreated += 1 }
    case "SESSION.DESTROY", "SESSION.KILL", "SESSION.LOGOUTALL":
      guard case .fields(let fields) = answer, case .integer(let count)? = fields.first?.value
      else {
        return
      }
      sessionsDestroyed += UInt64(max(0, count))
    default: break
    }
  }

  /// Adds another shard's.
  public static func += (left: inout Traffic, right: Traffic) {
    for index in left.classes.indices { left.classes[index] += right.classes[index] }
    for index in left.commands.indices { left.commands[index] += right.commands[index] }
    left.sessionsCreated += right.sessionsCreated
    left.sessionsDestroyed += right.sessionsDestroyed
    left.logins.good += right.logins.good
    left.logins.failed += right.logins.failed
  }
}
