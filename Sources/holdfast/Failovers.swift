// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import RESP

struct Failovers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "The last failovers: what happened when, and what requests went through.",
    discussion: """
      Times are milliseconds from the first sign, of this host's view. Other hosts may have seen it \
      otherwise. `holdfast failovers 1` shows the last one alone.
      """)

  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  @Argument(help: "How many, the newest first.")
  var count = 3

  func run() throws {
    let answer = try common.ask(["HOLDFAST.FAILOVERS", "\(max(0, count))"])
    if format.json { return put(answer.json() + "\n") }
    let rows = (answer.elements ?? []).map { Fields($0) }
    guard !rows.isEmpty else { return put("no failover since the daemon's start\n") }
    put(rows.map { Timeline(drawing: .forOutput).text($0) }.joined(separator: "\n"))
  }
}

/// One failover, drawn as text.
struct Timeline {
  var drawing = Drawing()

  private static let barWidth = 40
  private static let steps = [
    ("odown", "a quorum takes the master for down"),
    ("fenced", "writes wait"),
    ("selected", "the leader chose a replica"),
    ("promotion-seen", "the replica says that it is master"),
    ("cut-over", "requests go to the new master"),
    ("confirmed", "a sentinel names the new master"),
    ("ended", "a majority of the sentinels follows"),
  ]

  func text(_ failover: Fields) -> String {
    let title =
      "Failover \(failover.text("number")), \(failover.text("kind")): \(failover.text("old")) to "
      + "\(failover.text("new")), \(failover.text("outcome"))"
    var text = drawing.paint(title, failover.text("outcome") == "switched" ? .strong : .warning)
    text += "\n  \(failover.text("evidence"))\n"
    return text + bars(failover) + figures(failover)
  }

  private func bars(_ failover: Fields) -> String {
    let times = Self.steps.filter { !failover.isNull("\($0.0)-ms") }
      .map { (failover.number("\($0.0)-ms"), $0.1) }.sorted { $0.0 < $1.0 }
    let last = max(1, times.last?.0 ?? 1)
    let rows = [(Int64(0), "the first sign")] + times
    return rows.map { time, what in
      let place = Int(time * Int64(Self.barWidth) / last)
      let bar = String(repeating: "─", count: place) + "●"
      let number = "\(time)"
      let space = String(repeating: " ", count: max(0, 7 - number.count))
      return "  \(space)\(number) ms  \(drawing.padded(bar, Self.barWidth + 1))  \(what)\n"
    }.joined()
  }

  private func figures(_ failover: Fields) -> String {
    let bad = ["uncertain", "nomaster", "overloaded", "possibly-lost-writes"]
      .contains { failover.number($0) > 0 }
    let line =
      "  \(failover.text("waited")) requests waited (p50 \(failover.text("wait-p50-ms")), p99 "
      + "\(failover.text("wait-p99-ms")), longest \(failover.text("wait-max-ms")) ms); "
      + "\(failover.text("resent")) sent again, \(failover.text("uncertain")) uncertain, "
      + "\(failover.text("nomaster")) without a master; \(failover.text("possibly-lost-writes")) "
      + "acknowledged writes possibly lost\n"
    return drawing.paint(line, bad ? .warning : .good)
  }
}
