// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "What happened: the daemon's last 1000 events, the newest last.",
    discussion: """
      The same events are in the journal, for longer: journalctl -u holdfastd, or all of a kind with \
      journalctl MESSAGE_ID=..., as --json shows it.
      """)

  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  @Option(help: "Only events after this number.")
  var since = 0

  @Option(help: "At most so many, the newest.")
  var count = 1000

  @Flag(help: "Go on with what happens from now on, until interrupted.")
  var follow = false

  func run() throws {
    let connection = try common.connect(timeoutSeconds: follow ? 60 : 10)
    if follow { _ = try connection.ask(["HOLDFAST.WATCH"]) }
    let answer = try connection.ask(["HOLDFAST.EVENTS", "SINCE", "\(since)", "COUNT", "\(count)"])
    let past = answer.elements ?? []
    if format.json, !follow { return put(answer.json() + "\n") }
    for event in past { show(event) }
    var last = past.last.map { Fields($0).number("id") } ?? Int64(since)
    while follow {
      guard let push = try next(connection), push.count == 2 else { continue }
      // It may have come while the past was asked for.
      let id = Fields(push[1]).number("id")
      guard id > last else { continue }
      last = id
      show(push[1])
    }
  }

  private func next(_ connection: DaemonConnection) throws -> [RESPValue]? {
    do { return try connection.push() } catch { throw fail("\(error)", 2) }
  }

  private func show(_ event: RESPValue) {
    put((format.json ? event.json() : EventLine(drawing: .forOutput).text(Fields(event))) + "\n")
  }
}

/// One event as a line.
struct EventLine {
  var drawing = Drawing()

  func text(_ event: Fields) -> String {
    let tone: Tone? =
      switch event.text("priority") {
      case "emerg", "alert", "crit", "err": .bad
      case "warning": .warning
      case "notice": .strong
      default: nil
      }
    let time = Self.time(event.number("time-ms"))
    let id = String(repeating: " ", count: max(0, 4 - event.text("id").count)) + event.text("id")
    return "\(drawing.paint("\(id)  \(time)", .dim))  "
      + "\(drawing.paint(drawing.padded(event.text("event"), 24), tone))  \(event.text("message"))"
  }

  /// Local time, to the millisecond.
  static func time(_ milliseconds: Int64) -> String {
    var seconds = time_t(milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let fraction = "\(milliseconds % 1000)"
    let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    return "\(date) \(clock).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
  }
}
