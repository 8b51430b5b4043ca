// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

@Suite struct StatisticsTests {
  private func today(_ runner: Runner) throws -> String {
    let seconds = try #require(runner.redis(bytes("TIME")).elements?.first?.integerValue)
    return Day(number: Int(seconds) / 86_400).text
  }

  @Test(arguments: [false, true])
  func loginsAreCountedByDayAndUser(replaying: Bool) async throws {
    try await withSessions(replaying: replaying, { $0.countedUsersMax = 2 }) { _, runner in
      #expect(
        try runner.run("LOGIN", "a", "ok") == .map([("ok", .integer(1)), ("fail", .integer(0))]))
      #expect(
        try runner.run("LOGIN", "a", "FAIL") == .map([("ok", .integer(1)), ("fail", .integer(1))]))
      try runner.run("LOGIN", "b", "OK")
      // Beyond the most users nobody is counted by name.
      #expect(
        try runner.run("LOGIN", "c", "FAIL") == .map([("ok", .integer(0)), ("fail", .integer(0))]))
      let day = try today(runner)
      let stats = try runner.run("STATS", "LOGINS", "2026-01-01", "2026-01-02")
      #expect(
        stats["2026-01-02"].dictionary == [
          "ok": .integer(0), "fail": .integer(0), "users": .integer(0),
        ])
      let now = try runner.run("STATS", "LOGINS", day, day)
      #expect(
        now[day].dictionary == ["ok": .integer(2), "fail": .integer(2), "users": .integer(2)])
      let key = runner.keys.logins(on: day)
      #expect(try runner.redis(bytes("HGET"), key, bytes("rest:fail")) == .text("1"))
      #expect(try runner.redis(bytes("HEXISTS"), key, bytes("fail:c")) == .integer(0))
    }
  }

  @Test func activeIsExactWithoutAScan() async throws {
    try await withSessions { _, runner in
      let ids = try (0..<4).map { try runner.create("\($0)") }
      _ = try runner.create("short", "IDLE", "1")
      #expect(try runner.run("STATS", "ACTIVE")["active"] == .integer(5))
      try runner.run([bytes("DESTROY"), ids[0]])
      try runner.run([bytes("REGENERATE"), ids[1]])
      #expect(try runner.run("STATS", "ACTIVE")["active"] == .integer(4))
      try runner.eventually("the short one is over") {
        try runner.run("STATS", "ACTIVE")["active"] == .integer(3)
      }
    }
  }

  @Test func durationIsASample() async throws {
    try await withSessions({ $0.scanKeysPerSecond = 1_000_000 }) { _, runner in
      for age in 1...20 {
        let id = try runner.create("x")
        _ = try runner.redis(
          bytes("HINCRBY"), try runner.sessionKey(id), bytes("created"), bytes("-\(age)000"))
      }
      try runner.run([bytes("DESTROY"), try runner.create("gone")])
      let stats = try runner.run("STATS", "DURATION")
      #expect(stats["count"] == .integer(20))
      #expect(stats["mean"] == .integer(10_500))
      #expect(stats["p50"] == .integer(10_000))
      #expect(stats["p95"] == .integer(19_000))
      #expect(stats["sample"].text?.hasPrefix("a sample") == true)
    }
  }

  @Test func userStatistics() async throws {
    try await withSessions { _, runner in
      _ = try runner.create("x", "USER", "u")
      try runner.run("LOGIN", "u", "OK")
      let stats = try runner.run("STATS", "USER", "u")
      #expect(stats["sessions"] == .integer(1))
      #expect(stats["logins_ok_today"] == .integer(1))
      #expect(stats["logins_fail_today"] == .integer(0))
      #expect(stats["seen"].integerValue ?? 0 > 0)
      #expect(try runner.run("STATS", "USER", "nobody")["seen"] == .null)
    }
  }

  @Test func daysOfTheCalendar() {
    #expect(Day(bytes("1970-01-01"))?.number == 0)
    #expect(Day(bytes("2000-02-29"))?.number == 11_016)
    for number in stride(from: 0, to: 200_000, by: 13) {
      #expect(Day(bytes(Day(number: number).text))?.number == number)
    }
    for text in [
      "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "2026-01-0a", "", "20260101--",
    ] {
      #expect(Day(bytes(text)) == nil, "\(text)")
    }
  }

  @Test func sweepRepairsRemovesOrCounts() async throws {
    try await withSessions { rig, runner in
      var ids: [[UInt8]] = []
      for number in 0..<30 { ids.append(try runner.create("\(number)")) }
      for id in ids.prefix(25) { _ = try runner.redis(bytes("PERSIST"), try runner.sessionKey(id)) }
      let dry = try runner.run("SWEEP", "DRYRUN", "RATE", "1000000")
      #expect(dry["scanned"] == .integer(30))
      #expect(dry["without_ttl"] == .integer(25))
      #expect(dry["changed"] == .integer(0))
      #expect(dry["examples"].elements?.count == 20)
      let stored = try ids.map { text(try runner.stored($0)) }
      for example in dry["examples"].elements ?? [] {
        let shown = example.text ?? ""
        #expect(shown.hasPrefix(rig.configuration.prefix + "session:"))
        #expect(shown.hasSuffix("****"))
        #expect(!stored.contains { shown.contains($0.prefix(8)) })
      }
      #expect(runner.calls.allSatisfy { !$0.isWrite })
      let repaired = try runner.run("SWEEP", "RATE", "1000000")
      #expect(repaired["repaired"] == .integer(25))
      #expect(try runner.run("SWEEP", "RATE", "1000000")["repaired"] == .integer(0))
      #expect(try runner.run([bytes("GET"), ids[0]]).word == "answer")

      let odd = bytes(rig.configuration.prefix + "odd:1")
      _ = try runner.redis(bytes("SET"), odd, bytes("x"))
      let pattern = "*" + rig.configuration.prefix.prefix { $0 != "[" } + "*odd:*"
      let removed = try runner.run("SWEEP", "PATTERN", pattern, "REMOVE", "RATE", "1000000")
      #expect(removed["removed"] == .integer(1))
      #expect(try runner.redis(bytes("EXISTS"), odd) == .integer(0))
    }
  }

  /// Walks of made-up replies: what a change of the master does.
  @Test func scanBeginsAgainAndCountsOnce() throws {
    var random = SeededGenerator(seed: 1)
    let parsed = SessionOperation.parse(
      ["SESSION.SWEEP", "DRYRUN", "RATE", "100"].map { bytes($0) },
      SessionContext(SessionConfiguration()),
      random: &random)
    guard case .operation(var operation) = parsed else {
      Issue.record("refused")
      return
    }
    func scan(_ cursor: String) -> SessionStep {
      .call(
        RedisCall(
          .command(["SCAN", cursor, "MATCH", "session:*", "COUNT", "10"].map { bytes($0) }),
          replay: .read, isWrite: false))
    }
    func page(_ cursor: String, _ keys: String...) -> RESPValue {
      .array([.text(cursor), .array(keys.map { .text($0) })])
    }
    let lasting = RESPValue.array([.text("OK"), .integer(1)])
    #expect(operation.start(nowMilliseconds: 0) == scan("0"))
    guard case .call = operation.received(page("7", "session:a", "session:b"), nowMilliseconds: 0)
    else {
      Issue.record("no question for TTLs")
      return
    }
    #expect(operation.received(lasting, nowMilliseconds: 40) == .pause(milliseconds: 60))
    #expect(operation.resumed(nowMilliseconds: 100) == scan("7"))
    operation.restarted()
    #expect(operation.received(page("0"), nowMilliseconds: 300) == .pause(milliseconds: 0))
    #expect(operation.resumed(nowMilliseconds: 300) == scan("0"))
    _ = operation.received(page("0", "session:a", "session:b", "session:c"), nowMilliseconds: 300)
    let end = operation.received(lasting, nowMilliseconds: 300)
    guard case .reply(let reply) = end else {
      Issue.record("no end")
      return
    }
    #expect(reply["scanned"] == .integer(3))
    #expect(reply["without_ttl"] == .integer(1))
  }

  @Test func scanGivesUpWhereTheMasterChangesAllTheTime() {
    var random = SeededGenerator(seed: 1)
    guard
      case .operation(var operation) = SessionOperation.parse(
        ["SESSION.STATS", "DURATION"].map { bytes($0) }, SessionContext(SessionConfiguration()),
        random: &random)
    else {
      Issue.record("refused")
      return
    }
    var step = operation.start(nowMilliseconds: 0)
    for _ in 0...Scan.restartsMax {
      operation.restarted()
      step = operation.received(.array([.text("5"), .array([])]), nowMilliseconds: 0)
      if case .pause = step { step = operation.resumed(nowMilliseconds: 0) }
    }
    #expect(
      step == .reply(.error("ERR SESSION.STATS: the master changes too often; try again later")))
  }
}
