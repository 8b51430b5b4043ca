// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Testing

@testable import Sessions

/// One session: create, get, set, touch, bind, destroy.
@Suite struct SessionTests {
  @Test(arguments: [false, true])
  func createAndGet(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let created = try runner.run(
        "CREATE", "data", "meta", "{}", "user", "u1", "Idle", "100", "ABSOLUTE", "200", "ip", "::1")
      #expect(created["version"] == .integer(1))
      #expect(created["evicted"] == .array([]))
      let id = try created.id
      #expect(SessionID(id) != nil)

      let got = try runner.run([bytes("get"), id])
      #expect(got["data"] == .text("data"))
      #expect(got["version"] == .integer(1))
      #expect(got["user"] == .text("u1"))
      #expect(got["id"] == .null)
      #expect((99_000...100_000).contains(got["ttl"].integerValue ?? 0))
      #expect(runner.passedCount == 1, "that one and no other")
      #expect(try runner.run("TOUCH", text(id)).value?.integerValue ?? 0 > 99_000)

      let row = try #require(try runner.run("LIST", "u1").rows.first)
      #expect(row["ip"] == .text("::1"))
      #expect(row["meta"] == .text("{}"))
    }
  }

  @Test(arguments: [SessionConfiguration.IDStorage.hashed, .plain])
  func idsAreStoredAsConfigured(storage: SessionConfiguration.IDStorage) async throws {
    try await withSessions({ $0.idStorage = storage }) { _, runner in
      let id = try runner.create("data", "USER", "u", "IP", "10.0.0.1", "BIND", "10.0.0.0/8")
      let next = try runner.run([bytes("REGENERATE"), id]).id
      #expect(
        try runner.run([bytes("GET"), next, bytes("IP"), bytes("10.1.1.1")])["data"]
          == .text("data"))
      #expect(
        try runner.run([bytes("GET"), id, bytes("IP"), bytes("10.1.1.1")])["id"] == .bulk(next))
      let handle = try #require(try runner.run("LIST", "u").rows.first?["handle"]?.text)
      #expect(!text(id + next).contains(handle))
      #expect(try runner.dump().contains(text(id)) == (storage == .plain))
      #expect(try runner.dump().contains(text(next)) == (storage == .plain))
      #expect(try runner.run("KILL", "u", handle)["count"] == .integer(1))
      #expect(try runner.run([bytes("GET"), next]).word == "nil")
    }
  }

  @Test(arguments: [false, true])
  func setChecksVersionAndNeverCreates(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let id = text(try runner.create("1"))
      #expect(try runner.run("SET", id, "2") == .value(.integer(2)))
      #expect(try runner.run("SET", id, "3", "VERSION", "2") == .value(.integer(3)))
      #expect(
        try runner.run("SET", id, "4", "version", "2")
          == .error("CONFLICT 3 is the version now; read it and try again"))
      // The same data only touch.
      #expect(try runner.run("SET", id, "3", "VERSION", "3") == .value(.integer(3)))
      #expect(try runner.run("GET", id)["data"] == .text("3"))
      #expect(try runner.run("DESTROY", id)["count"] == .integer(1))
      #expect(try runner.run("SET", id, "5").word == "NOSESSION")
      #expect(try runner.run("GET", id).word == "nil")
      #expect(try runner.run("TOUCH", id).word == "nil")
      #expect(try runner.run("BIND", id, "NONE").word == "NOSESSION")
      #expect(try runner.run("REGENERATE", id).word == "NOSESSION")
      #expect(try runner.run("DESTROY", id)["count"] == .integer(0))
    }
  }

  @Test func unknownAndMalformedIDsAreNeverAdopted() async throws {
    try await withSessions { _, runner in
      let unknown = String(repeating: "ab", count: 32)
      for id in [unknown, unknown.uppercased(), "", "x", "../../etc", unknown + "0"] {
        #expect(try runner.run("GET", id).word == "nil")
        #expect(try runner.run("TOUCH", id).word == "nil")
        #expect(try runner.run("SET", id, "data").word == "NOSESSION")
        #expect(try runner.run("BIND", id, "NONE").word == "NOSESSION")
        #expect(try runner.run("REGENERATE", id, "USER", "u").word == "NOSESSION")
        #expect(try runner.run("DESTROY", id)["count"] == .integer(0))
        #expect(try runner.run("LOGOUTALL", "u", "EXCEPT", id)["count"] == .integer(0))
      }
      let keys = try runner.allKeys()
      #expect(keys.filter { $0.starts(with: runner.keys.session([])) } == [])
    }
  }

  @Test(arguments: [false, true])
  func setWithTokenNeedsTheLock(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let id = try runner.create("1")
      let lock = runner.keys.lock(try runner.stored(id))
      #expect(try runner.run("SET", text(id), "2", "TOKEN", "mine").word == "LOCKLOST")
      _ = try runner.redis(bytes("SET"), lock, bytes("mine"), bytes("PX"), bytes("60000"))
      #expect(try runner.run("SET", text(id), "2", "TOKEN", "mine") == .value(.integer(2)))
      #expect(try runner.run("SET", text(id), "3", "TOKEN", "min").word == "LOCKLOST")
      #expect(try runner.run("SET", text(id), "3", "TOKEN", "other").word == "LOCKLOST")
      // The lock was taken before the session got another id.
      let next = try runner.run([bytes("REGENERATE"), id]).id
      #expect(try runner.run("SET", text(next), "3", "TOKEN", "mine") == .value(.integer(3)))
      #expect(try runner.run("SET", text(next), "4", "TOKEN", "other").word == "LOCKLOST")
      _ = try runner.redis(bytes("DEL"), lock)
      #expect(try runner.run("SET", text(next), "4", "TOKEN", "mine").word == "LOCKLOST")
      #expect(try runner.run("GET", text(next))["data"] == .text("3"))
    }
  }

  @Test func idleSlidesAndEnds() async throws {
    try await withSessions { _, runner in
      let left = text(try runner.create("left", "IDLE", "1"))
      let touched = text(try runner.create("touched", "IDLE", "1"))
      try runner.eventually("the session left alone is gone") {
        #expect(try runner.run("TOUCH", touched).word == "answer")
        return try runner.run("GET", left, "NOTOUCH").word == "nil"
      }
      #expect(try runner.run("GET", touched)["data"] == .text("touched"))
    }
  }

  @Test func absoluteCapsIdle() async throws {
    try await withSessions { _, runner in
      let id = text(try runner.create("data", "IDLE", "100", "ABSOLUTE", "1"))
      #expect(try runner.run("GET", id)["ttl"].integerValue ?? 9999 <= 1000)
      #expect(try runner.run("SET", id, "new").word == "answer")
      #expect(try runner.run("GET", id)["ttl"].integerValue ?? 9999 <= 1000)
      // Also where Redis would still have it: the deadline is what counts.
      let late = try runner.create("data", "IDLE", "100", "USER", "u")
      _ = try runner.redis(
        bytes("HSET"), try runner.sessionKey(late), bytes("absolute"), bytes("9"))
      #expect(try runner.run([bytes("GET"), late]).word == "nil")
      #expect(try runner.run([bytes("SET"), late, bytes("x")]).word == "NOSESSION")
      #expect(try runner.run("LIST", "u").rows.isEmpty)
      try runner.eventually("the deadline passes in spite of use") {
        try runner.run("TOUCH", id).word == "nil"
      }
    }
  }

  @Test(arguments: [false, true])
  func readsSpareTheWriteAndHonourNotouch(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let id = try runner.create("data", "IDLE", "100")
      let key = try runner.sessionKey(id)
      let seen = { try runner.redis(bytes("HGET"), key, bytes("seen")) }
      let first = try seen()
      try runner.run([bytes("GET"), id])
      #expect(try seen() == first)

      // Ten seconds of the hundred have passed.
      let back = try #require(first.integerValue) - 10_000
      let rewind = {
        _ = try runner.redis(bytes("HSET"), key, bytes("seen"), bytes("\(back)"))
        _ = try runner.redis(bytes("PEXPIRE"), key, bytes("90000"))
      }
      try rewind()
      let spared = try runner.run([bytes("GET"), id, bytes("NOTOUCH")])
      #expect(spared["ttl"].integerValue ?? 0 <= 90_000)
      #expect(runner.calls.allSatisfy { !$0.isWrite && $0.replay == .read })
      runner.isFenced = true
      #expect(try runner.run([bytes("GET"), id])["data"] == .text("data"))
      #expect(runner.calls.allSatisfy { !$0.isWrite })
      #expect(try seen() == .text("\(back)"))
      runner.isFenced = false
      #expect(try runner.run([bytes("GET"), id])["ttl"].integerValue ?? 0 > 90_000)
      #expect(runner.calls.allSatisfy { $0.isWrite })
      #expect(try seen() != .text("\(back)"))

      try rewind()
      try runner.run([bytes("SET"), id, bytes("new"), bytes("KEEPTTL")])
      #expect(try runner.redis(bytes("PTTL"), key).integerValue ?? 0 <= 90_000)
      try runner.run([bytes("SET"), id, bytes("newer")])
      #expect(try runner.redis(bytes("PTTL"), key).integerValue ?? 0 > 90_000)
    }
  }

  @Test(arguments: [false, true])
  func bindingIsCheckedBeforeTouching(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let id = try runner.create("data", "BIND", "192.168.0.0/22", "IDLE", "100")
      let key = try runner.sessionKey(id)
      _ = try runner.redis(bytes("HINCRBY"), key, bytes("seen"), bytes("-50000"))
      let before = try runner.redis(bytes("HGETALL"), key)
      for command in ["GET", "TOUCH"] {
        #expect(try runner.run(command, text(id)).word == "BINDMISMATCH")
        #expect(try runner.run(command, text(id), "IP", "192.168.4.1").word == "BINDMISMATCH")
        #expect(try runner.run(command, text(id), "IP", "::1").word == "BINDMISMATCH")
        #expect(runner.last?.notes.count == 1)
      }
      #expect(try runner.redis(bytes("HGETALL"), key) == before)
      #expect(try runner.run("GET", text(id), "IP", "::ffff:192.168.3.255").word == "answer")
      #expect(runner.last?.notes == [])

      #expect(try runner.run("BIND", text(id), "10.0.0.1", "REPORT") == .value(.simple("OK")))
      #expect(try runner.run("GET", text(id), "IP", "10.0.0.2")["data"] == .text("data"))
      let handle = IndexMember.handle(of: IndexMember.session(try runner.stored(id)))
      #expect(
        runner.last?.notes
          == [.bindingMismatch(handle: handle, address: "10.0.0.2", isEnforced: false)])
      #expect(try runner.run("BIND", text(id), "NONE") == .value(.simple("OK")))
      #expect(try runner.run("GET", text(id)).word == "answer")
      #expect(runner.last?.notes == [])
    }
  }

  @Test(arguments: [false, true])
  func dataAreCompressedAndLimited(replaying: Bool) async throws {
    try await withSessions(replaying: replaying, { $0.dataBytesMax = 5000 }) { _, runner in
      let long = String(repeating: "abc", count: 1000)
      let id = try runner.create(long)
      let key = try runner.sessionKey(id)
      #expect(try runner.run([bytes("GET"), id])["data"] == .text(long))
      #expect(try runner.redis(bytes("HSTRLEN"), key, bytes("data")).integerValue ?? 0 < 100)
      #expect(try runner.redis(bytes("HGET"), key, bytes("size")) == .text("3000"))
      #expect(try runner.run([bytes("SET"), id, bytes(long)]) == .value(.integer(1)))
      #expect(try runner.run([bytes("SET"), id, bytes("x")]) == .value(.integer(2)))
      #expect(try runner.redis(bytes("HGET"), key, bytes("size")) == .null)
      #expect(try runner.run([bytes("GET"), id])["data"] == .text("x"))

      let tooLong = [UInt8](repeating: 0, count: 5001)
      #expect(try runner.run([bytes("SET"), id, tooLong]).word == "TOOBIG")
      #expect(try runner.run([bytes("CREATE"), tooLong]).word == "TOOBIG")

      _ = try runner.redis(bytes("HSET"), key, bytes("size"), bytes("3000"))
      #expect(
        try runner.run([bytes("GET"), id])
          == .error("ERR the session's data in Redis are damaged; destroy the session"))
      _ = try runner.redis(bytes("HSET"), key, bytes("size"), bytes("999999999999"))
      #expect(try runner.run([bytes("GET"), id]).word == "TOOBIG")
    }
  }

  @Test func redisErrorsArePassedOnWithoutThePlaceInTheScript() async throws {
    try await withSessions { _, runner in
      let id = try runner.create("data")
      let key = try runner.sessionKey(id)
      _ = try runner.redis(bytes("SET"), key, bytes("no hash"), bytes("EX"), bytes("100"))
      guard case .error(let text) = try runner.run([bytes("GET"), id]) else {
        Issue.record("no error")
        return
      }
      #expect(text.contains("WRONGTYPE"))
      #expect(!text.contains("script"))
    }
  }
}

extension SessionReply {
  var value: RESPValue? {
    guard case .value(let value) = self else { return nil }
    return value
  }
}

extension Runner {
  /// All that Redis has of this test, as text.
  func dump() throws -> String {
    try allKeys().map { key in
      let type = try redis(bytes("TYPE"), key).text ?? ""
      let value: RESPValue
      switch type {
      case "hash": value = try redis(bytes("HGETALL"), key)
      case "zset": value = try redis(bytes("ZRANGE"), key, bytes("0"), bytes("-1"))
      default: value = try redis(bytes("GET"), key)
      }
      let parts = (value.elements ?? [value]).map { $0.text ?? "" }
      return text(key) + "=" + parts.joined(separator: " ")
    }.joined(separator: "\n")
  }
}
