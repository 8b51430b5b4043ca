// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import RESP

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "One screen: the master and how it is known, who waits, the last failovers.",
    discussion: """
      Exit status 0 where a verified master is used, 1 where requests wait or fail.

        holdfast status
        holdfast status --json | jq .master
      """)

  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  func run() throws {
    let answer = try common.ask(["HOLDFAST.STATUS"])
    let status = Fields(answer)
    put(format.json ? answer.json() + "\n" : StatusScreen(drawing: .forOutput).text(status))
    let isWell =
      ["serving", "provisional"].contains(status.text("state")) && status.isNull("fence")
    if !isWell { throw ExitCode(1) }
  }
}

/// The screen of `holdfast status`.
struct StatusScreen {
  var drawing = Drawing()

  func text(_ status: Fields) -> String {
    [head(status), sentinels(status), replicas(status), traffic(status), failovers(status)]
      .filter { !$0.isEmpty }.joined(separator: "\n")
  }

  private func head(_ status: Fields) -> String {
    let (word, tone): (String, Tone) =
      switch status.text("state") {
      case "serving": ("SERVING", .good)
      case "provisional": ("SERVING, provisional: no sentinel majority follows yet", .warning)
      case "waiting": ("WAITING for a master: \(status.text("reason"))", .warning)
      default: ("NO MASTER: \(status.text("reason"))", .bad)
      }
    let uptime = duration(milliseconds: status.number("uptime-seconds") * 1000)
    let known =
      status.text("mode") == "fixed"
      ? "fixed by redis.address, no Sentinel"
      : "'\(status.text("master-name"))' by epoch \(status.text("epoch")), verified at the node"
    var text = "holdfastd \(status.text("version")), pid \(status.text("pid")), up \(uptime)\n"
    text += drawing.paint(word, tone) + "\n"
    text += "  master      \(drawing.paint(status.text("master"), .strong)), generation "
    text += "\(status.text("generation")); \(known)\n"
    if !status.isNull("fence") {
      let since = duration(milliseconds: status.number("fenced-ms"))
      text += drawing.paint(
        "  FENCED      writes wait since \(since): \(status.text("fence"))", .warning)
      text += "\n"
    }
    return text
  }

  private func sentinels(_ status: Fields) -> String {
    let rows = status.list("sentinels")
    guard !rows.isEmpty else { return "" }
    let reachable = status.number("sentinels-reachable")
    let known = status.number("sentinels-known")
    let tone: Tone = reachable == known ? .good : reachable * 2 > known ? .warning : .bad
    let count = drawing.paint("\(reachable) of \(known) answer", tone)
    return "Sentinels: \(count)\n"
      + drawing.table(
        [["address", "answers", "names", "epoch", "id"]]
          + rows.map {
            [
              $0.text("address"), $0.text("reachable"), $0.text("master"), $0.text("epoch"),
              String($0.text("id").prefix(8)),
            ]
          })
  }

  private func replicas(_ status: Fields) -> String {
    let rows = status.list("replicas")
    guard status.text("mode") != "fixed" else { return "" }
    guard !rows.isEmpty else {
      return drawing.paint("Replicas: none: a failover is impossible\n", .bad)
    }
    let usable = rows.filter { $0.isTrue("promotable") }.count
    let tone: Tone = usable == 0 ? .bad : usable < rows.count ? .warning : .good
    return "Replicas: \(drawing.paint("\(usable) of \(rows.count) can be promoted", tone))\n"
      + drawing.table(
        [["address", "promotable", "linked", "behind", "priority"]]
          + rows.map {
            [
              $0.text("address"), $0.text("promotable"), $0.text("linked"),
              size(bytes: $0.number("behind-bytes")), $0.text("priority"),
            ]
          })
  }

  private func traffic(_ status: Fields) -> String {
    let counters = Fields(status["counters"])
    let locks = Fields(status["locks"])
    let links = status.list("links")
    let ready = links.filter { $0.text("state") == "ready" }.count
    let waiting = status.number("waiting")
    var text = "Clients: \(status.text("clients")) connected, "
    text += drawing.paint("\(waiting) waiting", waiting > 0 ? .warning : nil)
    text += ", \(status.text("in-flight")) requests in flight\n"
    text += "Links:   \(ready) of \(links.count) ready"
    let uses = Dictionary(grouping: links) { $0.text("use") }.sorted { $0.key < $1.key }
    text +=
      uses.isEmpty
      ? "\n" : " (" + uses.map { "\($0.value.count) \($0.key)" }.joined(separator: ", ") + ")\n"
    text +=
      "Since the start: \(counters.text("commands")) commands, \(counters.text("resent")) sent "
    text +=
      "again, \(counters.text("uncertain")) uncertain, \(counters.text("nomaster")) without a "
    text += "master, \(counters.text("overloaded")) overloaded, \(counters.text("denied")) denied; "
    text += "longest wait \(duration(milliseconds: counters.number("longest-wait-ms")))\n"
    text += "Locks:   \(locks.text("granted")) granted (\(locks.text("handed-over")) handed over), "
    text +=
      "\(locks.text("busy")) busy, \(locks.text("freed-by-death")) freed after their holder died\n"
    if status.number("events-dropped") > 0 {
      text += drawing.paint("Journal: \(status.text("events-dropped")) events dropped\n", .warning)
    }
    return text
  }

  private func failovers(_ status: Fields) -> String {
    let rows = status.list("failovers")
    guard !rows.isEmpty else { return "Failovers: none since the start\n" }
    return "Failovers, the last first:\n"
      + drawing.table(
        [["no", "kind", "from", "to", "outcome", "waited", "longest", "lost"]]
          + rows.map {
            [
              $0.text("number"), $0.text("kind"), $0.text("old"), $0.text("new"),
              $0.text("outcome"), $0.text("waited"),
              duration(milliseconds: $0.number("wait-max-ms")), $0.text("possibly-lost-writes"),
            ]
          })
  }
}
