// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("HOLDFAST.FAILOVERS tells what happened")
struct FailoverReportTests {
  @Test("A crash: from the first sign to the majority's word, and what requests went through")
  func crash() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      #expect(try await daemon.failovers().isEmpty)
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let history = try await Load.on(daemon) { _ in
        // With a request under way that cannot be sent again: a frozen master does not answer.
        let client = try await daemon.connect()
        old.freeze()
        try await client.send(["INCR", "mine"])
        _ = try await daemon.info()
        await old.kill()
        #expect(try await client.receive().errorWord == "UNCERTAIN")
        try await daemon.waitUntilServing(insteadOf: old)
        _ = try await daemon.firstFailover()
      }
      let report = try await daemon.firstFailover()
      #expect(report.text("kind") == "crash", "\(report)")
      Self.expectInOrder(
        report, ["odown", "fenced", "selected", "promotion-seen", "cut-over", "confirmed", "ended"])
      try await Self.expectWays(report, from: old, recorder, daemon)
      try await Self.expectCounts(report, history, daemon, uncertain: 1)
      // Connections broke before the sentinels agreed, and requests waited at least from then on.
      #expect(report.number("odown-ms") ?? 0 > 0)
      #expect(report.number("wait-max-ms") ?? 0 >= 400, "\(report)")
      #expect(report.number("possibly-lost-bytes") ?? 0 >= 0)
    }
  }

  @Test("Planned: no sign before the command, a fence, a short wait, nothing lost")
  func planned() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let history = try await Load.on(daemon) { _ in
        try await lab.commandFailover()
        try await daemon.waitUntilServing(insteadOf: old)
        _ = try await daemon.firstFailover()
      }
      let report = try await daemon.firstFailover()
      #expect(report.text("kind") == "planned", "\(report)")
      #expect(report.number("odown-ms") == nil)
      Self.expectInOrder(
        report, ["fenced", "selected", "promotion-seen", "cut-over", "confirmed", "ended"])
      try await Self.expectWays(report, from: old, recorder, daemon)
      try await Self.expectCounts(report, history, daemon)
      #expect(report.number("fenced-ms") ?? .max < 100, "\(report)")
      // The sentinels' own messages are in it, and writes that were never acknowledged.
      #expect(report.number("possibly-lost-bytes") ?? 0 >= 0, "\(report)")
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), excused: recorder.secondFailover(after: old))
    }
  }

  private static func expectInOrder(_ report: FailoverRecord, _ names: [String]) {
    let steps = report.steps
    #expect(steps.map(\.name) == names, "\(report)")
    let times = steps.map(\.milliseconds)
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 <= $1 }, "\(report)")
    #expect(times.allSatisfy { 0...30_000 ~= $0 })
  }

  /// From where to where, on whose word, and the same in the log.
  private static func expectWays(
    _ report: FailoverRecord, from old: Node, _ recorder: EventRecorder, _ daemon: Daemon
  ) async throws {
    #expect(report.number("number") == 1)
    #expect(report.text("outcome") == "switched", "\(report)")
    #expect(report.text("old") == "\(old.endpoint)")
    let switched = try #require(recorder.first("+switch-master"))
    let new = switched.payload.split(separator: " ").suffix(2).joined(separator: ":")
    #expect(report.text("new") == new)
    let epoch = recorder.first("+new-epoch")?.payload
    #expect(report.number("epoch").map { "\($0)" } == epoch)
    #expect(report.text("evidence")?.contains("ROLE master") == true, "\(report)")
    let kind = report.text("kind") ?? ""
    // Its line comes once all shards have told their figures.
    try await daemon.waitForLog("failover 1 (\(kind)) from \(old.endpoint) to \(new): switched")
  }

  private static func expectCounts(
    _ report: FailoverRecord, _ history: History, _ daemon: Daemon, uncertain: Int = 0
  ) async throws {
    // Each of the seven workers has one request under way, and came back for another while it waited
    // for none.
    let waited = report.number("waited") ?? 0
    #expect(5...100 ~= waited, "\(report)")
    let (half, most, longest) = (
      report.number("wait-p50-ms") ?? -1, report.number("wait-p99-ms") ?? -1,
      report.number("wait-max-ms") ?? -1
    )
    #expect(0...most ~= half && most <= longest && longest > 0, "\(report)")
    #expect(Double(longest) <= history.longestWait.inMilliseconds + 50, "\(report)")
    let told = uncertain + (history.errorCounts["UNCERTAIN"] ?? 0)
    #expect(report.number("uncertain") == Int64(told), "\(report)")
    let resent = try await daemon.info()["holdfast_resent"]
    #expect(report.number("resent").map { "\($0)" } == resent, "\(report)")
    for name in ["nomaster", "overloaded", "unreplicated", "possibly-lost-writes"] {
      #expect(report.number(name) == 0, "\(name): \(report)")
    }
  }
}
