// SPDX-License-Identifier: Apache-2.0
import RedisLab

/// What the demo found, and how it is shown.
struct DemoReport {
  let totals: Traffic.Totals
  let missing: [Traffic.Write]
  /// On the traffic's clock.
  let killedAt: Double
  let events: [SentinelEvent]
  /// On the events' clock.
  let eventsKilledAt: Double

  var passed: Bool {
    totals.errorCount == 0 && totals.wrongReads == 0 && missing.isEmpty && !totals.writes.isEmpty
  }

  func print(on terminal: Terminal) {
    terminal.line("\nTimeline, in seconds from the kill:")
    for (time, text) in timeline.sorted(by: { $0.0 < $1.0 }) {
      terminal.line("  \(padded(seconds(time), 8))  \(text)")
    }
    terminal.line()
    let rows: [(String, String, Bool)] = [
      ("requests", "\(totals.requests)", totals.requests > 0),
      ("longest wait of any request", "\(seconds(totals.longestWait)) s", true),
      ("errors", "\(totals.errorCount)", totals.errorCount == 0),
      ("wrong or missing reads", "\(totals.wrongReads)", totals.wrongReads == 0),
      ("acknowledged writes", "\(totals.writes.count)", !totals.writes.isEmpty),
      ("of these missing", "\(missing.count)", missing.isEmpty),
    ]
    for (name, value, isGood) in rows {
      terminal.line("  \(padded(name, 28))  \(terminal.paint(value, isGood ? .good : .bad))")
    }
    for error in totals.errors { terminal.line("  error: \(error)") }
    for write in missing.prefix(5) {
      let time = seconds(write.acknowledged - killedAt)
      terminal.line("  missing: \(write.key), acknowledged \(time) s from the kill")
    }
    terminal.line()
    if passed {
      terminal.say(
        "The master died, and the workers noticed a pause: no error, no lost write.", .good)
    } else {
      terminal.say("This was more than a pause; see above.", .bad)
    }
  }

  private var timeline: [(Double, String)] {
    var lines = [(0.0, "the master is killed")]
    let shown = [
      ("+sdown", "+sdown: a sentinel finds the master down"),
      ("+odown", "+odown: enough of them agree"),
      ("+selected-slave", "+selected-slave: a replica is chosen"),
      ("+promoted-slave", "+promoted-slave: it is seen to be master"),
      ("+switch-master", "+switch-master: the first sentinel announces it"),
    ]
    for (channel, text) in shown {
      let isMaster = channel == "+sdown" ? "master" : ""
      if let event = events.first(where: {
        $0.channel == channel && $0.payload.hasPrefix(isMaster)
      }) {
        lines.append((event.milliseconds - eventsKilledAt, text))
      }
    }
    if let first = firstWriteAfter {
      lines.append((first - killedAt, "the first write is answered again"))
    }
    return lines
  }

  /// The write that ended the longest silence since the kill.
  private var firstWriteAfter: Double? {
    let times = [killedAt] + totals.writes.map(\.acknowledged).filter { $0 >= killedAt }.sorted()
    return zip(times, times.dropFirst()).max { $0.1 - $0.0 < $1.1 - $1.0 }?.1
  }
}
