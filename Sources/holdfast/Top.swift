// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

struct Top: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Live: requests by class and command, latencies, processes, waits.",
    discussion: """
      Latencies are from the request's arrival to its reply, Redis included, of the last ten to \
      twenty seconds, in microseconds. Ends with Ctrl-C.
      """)

  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  @Flag(help: "Show one screen and end.")
  var once = false

  @Option(help: "Seconds between two looks.")
  var interval = 1.0

  func validate() throws {
    guard interval >= 0.1 else { throw ValidationError("--interval must be at least 0.1") }
  }

  func run() throws {
    let connection = try common.connect()
    var former = Fields(try connection.ask(["HOLDFAST.TOP"]))
    if format.json { return put(try connection.ask(["HOLDFAST.TOP"]).json() + "\n") }
    let screen = TopScreen(drawing: .forOutput)
    repeat {
      usleep(useconds_t(interval * 1_000_000))
      let now = Fields(try connection.ask(["HOLDFAST.TOP"]))
      let clear = once ? "" : "\u{1B}[H\u{1B}[2J"
      put(clear + screen.text(now, after: former))
      former = now
    } while !once
  }
}

/// The screen of `holdfast top`: rates are differences of two answers.
struct TopScreen {
  var drawing = Drawing()

  func text(_ now: Fields, after former: Fields) -> String {
    let seconds = max(0.001, Double(now.number("time-ms") - former.number("time-ms")) / 1000)
    let state = now.text("state")
    let waiting = now.number("waiting")
    var text = drawing.paint(state.uppercased(), state == "serving" ? .good : .warning)
    text += "  master \(now.text("master")), generation \(now.text("generation"))    "
    text += "\(now.text("clients")) clients, \(now.text("in-flight")) in flight, "
    text += drawing.paint("\(waiting) waiting", waiting > 0 ? .warning : nil) + "\n\n"
    text += classes(now, former, seconds) + "\n" + commands(now, former, seconds) + "\n"
    text += ClientTable(drawing: drawing).text(
      Array(
        now.list("processes").sorted { $0.number("commands") > $1.number("commands") }.prefix(10)))
    return text
  }

  private func classes(_ now: Fields, _ former: Fields, _ seconds: Double) -> String {
    let before = Self.counts(former.list("classes"), "class", "commands")
    let rows = now.list("classes").map { row in
      let name = row.text("class")
      return [
        name, Self.rate(row.number("commands") - (before[name] ?? 0), seconds), row.text("errors"),
        row.text("p50-us"), row.text("p99-us"), row.text("p99.9-us"), row.text("max-us"),
      ]
    }
    return drawing.table(
      [["class", "per second", "errors", "p50 µs", "p99 µs", "p99.9 µs", "max µs"]] + rows,
      indent: "")
  }

  private func commands(_ now: Fields, _ former: Fields, _ seconds: Double) -> String {
    let before = Self.counts(former.list("commands"), "command", "count")
    let rows = now.list("commands").map { row in
      (
        row.text("command"), row.number("count") - (before[row.text("command")] ?? 0),
        row.text("count")
      )
    }.sorted { $0.1 > $1.1 }.prefix(10).map { [$0.0, Self.rate($0.1, seconds), $0.2] }
    return drawing.table([["command", "per second", "since the start"]] + rows, indent: "")
  }

  private static func counts(_ rows: [Fields], _ name: String, _ count: String) -> [String: Int64] {
    Dictionary(rows.map { ($0.text(name), $0.number(count)) }, uniquingKeysWith: { $1 })
  }

  private static func rate(_ count: Int64, _ seconds: Double) -> String {
    let tenths = Int64((Double(max(0, count)) / seconds * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
