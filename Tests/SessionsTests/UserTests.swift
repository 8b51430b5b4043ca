// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

@Suite struct UserTests {
  @Test(arguments: [false, true])
  func limitEvictsTheOldestOrRejects(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      var ids: [[UInt8]] = []
      for age in [30, 20, 10] {
        let id = try runner.create("\(age)", "USER", "u")
        _ = try runner.redis(
          bytes("HINCRBY"), try runner.sessionKey(id), bytes("created"), bytes("-\(age)000"))
        ids.append(id)
      }
      #expect(
        try runner.run("CREATE", "new", "USER", "u", "LIMIT", "3", "REJECT").word == "SESSIONLIMIT")
      let created = try runner.run("CREATE", "new", "USER", "u", "LIMIT", "3", "EVICT")
      let oldest = IndexMember.handle(of: IndexMember.session(try runner.stored(ids[0])))
      #expect(created["evicted"] == .array([.text(oldest)]))
      #expect(try runner.run([bytes("GET"), ids[0]]).word == "nil")
      #expect(try runner.run([bytes("SET"), ids[0], bytes("x")]).word == "NOSESSION")
      #expect(try runner.run([bytes("GET"), ids[1]]).word == "answer")
      // A lower limit makes room for the new one only by more evictions.
      let lower = try runner.run("CREATE", "new", "USER", "u", "LIMIT", "1", "EVICT")
      #expect(lower["evicted"].elements?.count == 3)
      #expect(try runner.run("LIST", "u").rows.count == 1)
      // Those that ended by themselves do not count.
      _ = try runner.redis(bytes("DEL"), try runner.sessionKey(try lower.id))
      #expect(
        try runner.run("CREATE", "new", "USER", "u", "LIMIT", "1", "REJECT")["evicted"]
          == .array([]))
    }
  }

  @Test(arguments: [false, true])
  func listGoesByPages(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      // Many deadlines are equal: the index knows milliseconds.
      for number in 0..<25 { _ = try runner.create("\(number)", "USER", "a:sessions", "META", "m") }
      var handles: Set<String> = []
      var cursor = "0"
      var pages = 0
      repeat {
        let page = try runner.run("LIST", "a:sessions", "COUNT", "7", "CURSOR", cursor)
        guard case .rows(let next, let rows) = page else {
          Issue.record("no rows")
          return
        }
        for row in rows { handles.insert(row[0].value.text ?? "") }
        #expect(
          rows.allSatisfy { $0.map(\.name) == ["handle", "created", "seen", "ttl", "ip", "meta"] })
        cursor = next
        pages += 1
      } while cursor != "0" && pages < 10
      #expect(handles.count == 25)
      #expect(pages == 4)
      #expect(try runner.run("LIST", "nobody") == .rows(cursor: "0", []))
    }
  }

  @Test(arguments: [false, true])
  func killEndsOneSessionOfThatUserOnly(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let first = try runner.create("1", "USER", "u")
      let second = try runner.create("2", "USER", "u")
      // An entry that has no business in this user's index ends nobody's session.
      let foreign = try runner.create("3", "USER", "v")
      let member = IndexMember.session(try runner.stored(foreign))
      _ = try runner.redis(
        bytes("ZADD"), runner.keys.index(ofUser: bytes("u")), bytes("9e15"), member)
      let odd = bytes("no member of ours")
      _ = try runner.redis(
        bytes("ZADD"), runner.keys.index(ofUser: bytes("u")), bytes("9e15"), odd)
      #expect(try runner.run("LIST", "u").rows.count == 2)
      #expect(try runner.run("KILL", "u", IndexMember.handle(of: odd))["count"] == .integer(0))
      #expect(
        try runner.run("KILL", "u", IndexMember.handle(of: member))["count"] == .integer(0))
      #expect(try runner.run([bytes("GET"), foreign]).word == "answer")
      let handle = IndexMember.handle(of: IndexMember.session(try runner.stored(first)))
      #expect(try runner.run("KILL", "other", handle)["count"] == .integer(0))
      #expect(try runner.run("KILL", "u", "no handle")["count"] == .integer(0))
      runner.isConfirming = false
      let killed = try runner.run("KILL", "u", handle)
      #expect(killed["count"] == .integer(1))
      #expect(killed["state"] == .text("pending"))
      #expect(runner.last?.pendingDenials.first?.handles == [handle])
      #expect(try runner.run("KILL", "u", handle)["count"] == .integer(0))
      #expect(try runner.run([bytes("GET"), first]).word == "nil")
      #expect(try runner.run([bytes("SET"), first, bytes("x")]).word == "NOSESSION")
      #expect(try runner.run([bytes("GET"), second]).word == "answer")
    }
  }

  @Test(arguments: [false, true])
  func logoutAllHoldsAlsoForWhatTheIndexMissed(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let ids = try (0..<3).map { try runner.create("\($0)", "USER", "u") }
      let missed = try runner.create("missed", "USER", "u")
      let other = try runner.create("other", "USER", "v")
      _ = try runner.redis(
        bytes("ZREM"), runner.keys.index(ofUser: bytes("u")),
        IndexMember.session(try runner.stored(missed)))
      // The id to keep may have been regenerated just now.
      let kept = try runner.run([bytes("REGENERATE"), ids[0]]).id
      let reply = try runner.run([bytes("LOGOUTALL"), bytes("u"), bytes("EXCEPT"), ids[0]])
      #expect(reply["count"] == .integer(2))
      #expect(reply["state"] == .text("confirmed"))
      #expect(try runner.run([bytes("GET"), kept])["data"] == .text("0"))
      #expect(try runner.run([bytes("GET"), other]).word == "answer")
      for id in [ids[1], ids[2], missed] {
        #expect(try runner.run([bytes("GET"), id]).word == "nil")
        #expect(try runner.run([bytes("SET"), id, bytes("back")]).word == "NOSESSION")
      }
      // Of another user's session EXCEPT keeps nothing.
      let all = try runner.run([bytes("LOGOUTALL"), bytes("u"), bytes("EXCEPT"), other])
      #expect(all["count"] == .integer(1))
      #expect(try runner.run([bytes("GET"), kept]).word == "nil")
      #expect(
        try runner.run([bytes("GET"), try runner.create("new", "USER", "u")]).word == "answer")
    }
  }

  @Test func aLostEpochEndsTheSessions() async throws {
    try await withSessions { _, runner in
      let id = try runner.create("1", "USER", "u", "ABSOLUTE", "100")
      let longer = try runner.create("2", "USER", "u", "ABSOLUTE", "500")
      let epoch = runner.keys.epoch(ofUser: bytes("u"))
      #expect(try runner.redis(bytes("PTTL"), epoch).integerValue ?? 0 > 490_000)
      let index = runner.keys.index(ofUser: bytes("u"))
      #expect(try runner.redis(bytes("PTTL"), index).integerValue ?? 0 > 490_000)
      _ = try runner.redis(bytes("DEL"), epoch)
      #expect(try runner.run([bytes("GET"), id]).word == "nil")
      // A login makes a new epoch, which brings nothing back.
      _ = try runner.create("3", "USER", "u")
      #expect(try runner.run([bytes("GET"), longer]).word == "nil")
      #expect(try runner.run("LIST", "u").rows.count == 1)
    }
  }

  @Test(arguments: [false, true])
  func attachedKeysAreListedAndDeleted(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { rig, runner in
      let first = bytes(rig.configuration.prefix + "PHPREDIS_SESSION:\n1")
      let second = bytes(rig.configuration.prefix + "PHPREDIS_SESSION:2")
      for key in [first, second] {
        _ = try runner.redis(bytes("SET"), key, bytes("x"), bytes("EX"), bytes("100"))
        #expect(try runner.run([bytes("ATTACH"), bytes("u"), key]) == .value(.simple("OK")))
      }
      #expect(try runner.run("ATTACH", "u", "none such").word == "NOKEY")
      #expect(try runner.run([bytes("ATTACH"), bytes("u"), runner.keys.active]).word == "ERR")
      _ = try runner.create("own", "USER", "u")
      let rows = try runner.run("LIST", "u").rows
      #expect(rows.count == 3)
      let attached = try #require(rows.first { $0["created"] == .null })
      #expect(attached["ttl"]?.integerValue ?? 0 > 90_000)
      #expect(try runner.run("KILL", "u", attached["handle"]?.text ?? "")["count"] == .integer(1))
      #expect(try runner.run("LIST", "u").rows.count == 2)
      #expect(try runner.run("LOGOUTALL", "u")["count"] == .integer(2))
      #expect(try runner.redis(bytes("EXISTS"), first, second) == .integer(0))
    }
  }

  @Test func attachLooksInTheClientsDatabase() async throws {
    try await withSessions { rig, runner in
      let key = bytes(rig.configuration.prefix + "laravel")
      let other = try rig.connect()
      _ = try other.redis(bytes("SELECT"), bytes("0"))
      _ = try other.redis(bytes("SET"), key, bytes("x"), bytes("EX"), bytes("100"))
      func attach(_ database: Int64) throws -> SessionReply {
        let parsed = SessionOperation.parse(
          [bytes("SESSION.ATTACH"), bytes("u"), key], SessionContext(rig.configuration),
          clientDatabase: database,
          random: &runner.random)
        guard case .operation(let operation) = parsed else { throw LabError.failed("refused") }
        return try runner.run(operation)
      }
      #expect(try attach(1).word == "NOKEY")
      #expect(try attach(0).word == "answer")
      #expect(try runner.run("LIST", "u").rows.count == 1)
      #expect(try runner.run("LOGOUTALL", "u")["count"] == .integer(1))
      #expect(try other.redis(bytes("EXISTS"), key) == .integer(0))
    }
  }

  /// The master that heard of a logout is lost before any replica heard of it.
  @Test func aRetryEndsWhatAFailoverBroughtBack() async throws {
    try await withSessions { rig, runner in
      let ids = try (0..<2).map { try runner.create("\($0)", "USER", "u") }
      let keys =
        try ids.map { try runner.sessionKey($0) } + [
          runner.keys.epoch(ofUser: bytes("u")), runner.keys.index(ofUser: bytes("u")),
        ]
      let saved = try keys.map { key -> [UInt8] in
        guard case .bulk(let dump) = try runner.redis(bytes("DUMP"), key) else {
          throw LabError.failed("no dump")
        }
        return dump
      }
      runner.isConfirming = false
      #expect(try runner.run("LOGOUTALL", "u")["state"] == .text("pending"))
      let denial = try #require(runner.last?.pendingDenials.first)
      #expect(denial.handles.count == 2)
      for (key, dump) in zip(keys, saved) {
        _ = try runner.redis(bytes("RESTORE"), key, bytes("60000"), dump, bytes("REPLACE"))
      }
      #expect(try runner.run([bytes("GET"), ids[0]]).word == "answer")
      let later = try runner.create("later", "USER", "v")
      let retry = try #require(SessionOperation.retry(denial, SessionContext(rig.configuration)))
      runner.isConfirming = true
      #expect(try runner.run(retry)["state"] == .text("confirmed"))
      for id in ids { #expect(try runner.run([bytes("GET"), id]).word == "nil") }
      #expect(try runner.run([bytes("GET"), later]).word == "answer")
      // Once it holds, a retry leaves later logins alone.
      try runner.run("LOGOUTALL", "u")
      let new = try runner.create("new", "USER", "u")
      #expect(try runner.run(retry)["state"] == .text("confirmed"))
      #expect(try runner.run([bytes("GET"), new]).word == "answer")
    }
  }
}
