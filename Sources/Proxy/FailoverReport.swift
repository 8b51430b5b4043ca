// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

/// One failover: what happened when, and what requests went through.
public struct FailoverReport: Sendable, Equatable {
  /// What the control plane saw.
  public var timeline: FailoverTimeline
  /// What all shards' requests went through.
  public var figures: FailoverFigures

  /// Steps with their time in milliseconds since the first sign, those that happened.
  public var steps: [(name: String, milliseconds: Int64)] {
    let times: [(String, Int64?)] = [
      ("odown", timeline.objectivelyDownMilliseconds), ("fenced", timeline.fencedMilliseconds),
      ("selected", timeline.selectedMilliseconds),
      ("promotion-seen", timeline.promotionSeenMilliseconds),
      ("cut-over", timeline.cutOverMilliseconds), ("confirmed", timeline.confirmedMilliseconds),
      ("ended", timeline.endedMilliseconds),
    ]
    let start = timeline.firstSignMilliseconds ?? times.compactMap(\.1).min() ?? 0
    return times.compactMap { name, time in time.map { (name, $0 - start) } }
  }

  /// In plain words, one line.
  public var summary: String {
    let target = timeline.newAddress.map { " to \($0)" } ?? ""
    let steps = steps.map { "\($0.name) \($0.milliseconds)" }.joined(separator: ", ")
    return "failover \(timeline.number) (\(timeline.kind.rawValue)) from \(timeline.oldAddress)"
      + "\(target): \(timeline.outcome.rawValue); milliseconds from the first sign: \(steps); "
      + "\(figures.waited) requests waited, \(figures.longestMilliseconds) ms at most; "
      + "\(figures.resent) sent again, \(figures.uncertain) uncertain, \(figures.noMaster) without "
      + "a master; \(figures.possiblyLost.count) acknowledged writes possibly lost"
  }

  /// Names and values, as `HOLDFAST.FAILOVERS` gives them.
  public var value: RESPValue {
    var fields: [(String, RESPValue)] = [
      ("number", .integer(Int64(timeline.number))), ("kind", .text(timeline.kind.rawValue)),
      ("outcome", .text(timeline.outcome.rawValue)), ("old", .text("\(timeline.oldAddress)")),
      ("new", timeline.newAddress.map { .text("\($0)") } ?? .null),
      ("epoch", timeline.epoch.map { .integer(Int64($0)) } ?? .null),
      ("evidence", .text(timeline.evidence)),
    ]
    fields += steps.map { ("\($0.name)-ms", .integer($0.milliseconds)) }
    fields += [
      ("waited", .count(figures.waited)),
      ("wait-p50-ms", .integer(figures.wait(percentile: 50))),
      ("wait-p99-ms", .integer(figures.wait(percentile: 99))),
      ("wait-max-ms", .integer(figures.longestMilliseconds)),
      ("resent", .count(figures.resent)), ("uncertain", .count(figures.uncertain)),
      ("nomaster", .count(figures.noMaster)), ("overloaded", .count(figures.overloaded)),
      ("unreplicated", .count(figures.unreplicated)),
      ("possibly-lost-bytes", timeline.possiblyLostBytes.map { .integer($0) } ?? .null),
      ("possibly-lost-writes", .count(figures.possiblyLost.count)),
      ("possibly-lost", .array(figures.possiblyLost.list.map { .text($0) })),
    ]
    return .fields(fields)
  }
}

/// The last failovers, put together from what the control plane and the shards tell.
public struct FailoverBook: Sendable {
  static let reportsMax = 32

  /// The oldest first.
  public private(set) var reports: [FailoverReport] = []
  private var figures: [UInt64: [Int: FailoverFigures]] = [:]

  /// An empty book.
  public init() {}

  /// The control plane knows more of a failover.
  public mutating func record(_ timeline: FailoverTimeline) {
    if let index = reports.lastIndex(where: { $0.timeline.number == timeline.number }) {
      reports[index].timeline = timeline
    } else {
      reports.append(FailoverReport(timeline: timeline, figures: sum(timeline.number)))
      if reports.count > Self.reportsMax { figures[reports.removeFirst().timeline.number] = nil }
    }
  }

  /// A shard knows more of what its requests go through.
  public mutating func record(_ new: FailoverFigures, shard: Int, failover number: UInt64) {
    let oldest = reports.first?.timeline.number ?? 0
    guard number >= oldest else { return }
    figures[number, default: [:]][shard] = new
    if let index = reports.lastIndex(where: { $0.timeline.number == number }) {
      reports[index].figures = sum(number)
    }
  }

  private func sum(_ number: UInt64) -> FailoverFigures {
    (figures[number] ?? [:]).values.reduce(into: FailoverFigures()) { $0 += $1 }
  }
}

extension Shard {
  /// `HOLDFAST.FAILOVERS [count]`: the last failovers, the newest first.
  func describeFailovers(_ client: Client, _ arguments: RequestArguments) {
    var count = reports.count
    if arguments.count > 1 {
      guard arguments.count == 2, let asked = arguments.integer(1), asked >= 0 else {
        return reply(client) { $0.writeError("ERR syntax: HOLDFAST.FAILOVERS [count]") }
      }
      count = Int(min(asked, Int64(count)))
    }
    let version = client.version
    reply(client) { out in
      out.writeArrayHeader(count)
      for report in self.reports.suffix(count).reversed() { out.write(report.value, version) }
    }
  }
}
