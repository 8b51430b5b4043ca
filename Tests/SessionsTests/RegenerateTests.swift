// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

@Suite struct RegenerateTests {
  @Test(arguments: [false, true])
  func oldIDLeadsToTheSuccessorWithinTheGrace(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let old = try runner.create("1", "USER", "u")
      let reply = try runner.run([bytes("REGENERATE"), old])
      #expect(reply["won"] == .integer(1))
      #expect(reply["state"] == .text("confirmed"))
      #expect(runner.confirmations == 1)
      let new = try reply.id
      #expect(new != old)

      let got = try runner.run([bytes("GET"), old])
      #expect(got["data"] == .text("1"))
      #expect(got["id"] == .bulk(new))
      #expect(try runner.run([bytes("SET"), old, bytes("2")]) == .value(.integer(2)))
      #expect(try runner.run([bytes("TOUCH"), old]).value?.integerValue ?? 0 > 0)
      #expect(try runner.run([bytes("BIND"), old, bytes("NONE")]).word == "answer")
      #expect(try runner.run([bytes("GET"), new])["data"] == .text("2"))
      #expect(try runner.run([bytes("GET"), new])["id"] == .null)
      #expect(try runner.run("LIST", "u").rows.count == 1)

      // A later caller gets the winner's id; chains are followed.
      let late = try runner.run([bytes("REGENERATE"), old])
      #expect(try late.id == new)
      #expect(late["won"] == .integer(0))
      let third = try runner.run([bytes("REGENERATE"), new]).id
      #expect(try runner.run([bytes("GET"), old])["id"] == .bulk(third))
      // Whoever logs out with the old cookie means the session, whatever its id is by now.
      #expect(try runner.run([bytes("DESTROY"), old])["count"] == .integer(1))
      for id in [old, new, third] { #expect(try runner.run([bytes("GET"), id]).word == "nil") }
      #expect(try runner.run([bytes("SET"), third, bytes("3")]).word == "NOSESSION")
    }
  }

  @Test(arguments: [false, true])
  func graceEnds(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let old = try runner.create("1")
      let new = try runner.run([bytes("REGENERATE"), old, bytes("GRACE"), bytes("60")]).id
      try runner.eventually("the grace ends") { try runner.run([bytes("GET"), old]).word == "nil" }
      #expect(try runner.run([bytes("REGENERATE"), old]).word == "NOSESSION")
      #expect(try runner.run([bytes("SET"), old, bytes("2")]).word == "NOSESSION")
      #expect(try runner.run([bytes("GET"), new])["data"] == .text("1"))

      let last = try runner.run([bytes("REGENERATE"), new, bytes("GRACE"), bytes("0")]).id
      #expect(try runner.run([bytes("GET"), new]).word == "nil")
      #expect(try runner.run([bytes("GET"), last])["data"] == .text("1"))
      #expect(try !runner.dump().contains("sealed="))
    }
  }

  @Test(arguments: [false, true])
  func aLoginNeverRevealsTheSuccessor(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { _, runner in
      let planted = try runner.create("cart", "USER", "guest", "ABSOLUTE", "50")
      let key = try runner.sessionKey(planted)
      // An attacker moves on from the planted id, and so knows two.
      let moved = try runner.run([bytes("REGENERATE"), planted]).id
      _ = try runner.redis(
        bytes("HINCRBY"), try runner.sessionKey(moved), bytes("created"), bytes("-20000"))
      _ = try runner.redis(
        bytes("HINCRBY"), try runner.sessionKey(moved), bytes("absolute"), bytes("-20000"))
      let reply = try runner.run(
        [bytes("REGENERATE"), planted, bytes("USER"), bytes("u"), bytes("GRACE"), bytes("9000")])
      #expect(reply["won"] == .integer(1))
      let own = try reply.id
      #expect(own != moved)
      for id in [planted, moved] { #expect(try runner.run([bytes("GET"), id]).word == "nil") }
      #expect(try runner.redis(bytes("HGET"), key, bytes("sealed")) != .bulk(own))
      let got = try runner.run([bytes("GET"), own])
      #expect(got["user"] == .text("u"))
      #expect(got["data"] == .text("cart"))
      // The absolute lifetime begins anew.
      #expect(got["ttl"].integerValue ?? 0 > 45_000)
      #expect(try runner.run("LIST", "guest").rows.isEmpty)
      #expect(try runner.run("LIST", "u").rows.count == 1)

      // The same user again is no change: an explicit grace holds, and the default is none.
      let again = try runner.run(
        [bytes("REGENERATE"), own, bytes("USER"), bytes("u"), bytes("GRACE"), bytes("9000")]).id
      #expect(try runner.run([bytes("GET"), own])["id"] == .bulk(again))
      let last = try runner.run([bytes("REGENERATE"), again, bytes("USER"), bytes("u")]).id
      #expect(try runner.run([bytes("GET"), again]).word == "nil")
      #expect(try runner.run([bytes("GET"), last]).word == "answer")
    }
  }

  @Test func tombstoneOutlivesItsGraceAndBindsNewly() async throws {
    try await withSessions({ $0.tombstoneSeconds = 10 }) { _, runner in
      let old = try runner.create("1", "BIND", "::1")
      let new = try runner.run(
        [
          bytes("REGENERATE"), old, bytes("GRACE"), bytes("60000"), bytes("BIND"),
          bytes("10.0.0.0/8"),
        ]).id
      let ttl = try runner.redis(bytes("PTTL"), try runner.sessionKey(old)).integerValue
      #expect(ttl ?? 0 > 50_000)
      #expect(
        try runner.run([bytes("GET"), new, bytes("IP"), bytes("::1")]).word == "BINDMISMATCH")
      #expect(try runner.run([bytes("GET"), new, bytes("IP"), bytes("10.9.9.9")]).word == "answer")
    }
  }

  @Test func aSealThatWasTamperedWithLeadsNowhere() async throws {
    try await withSessions { _, runner in
      let old = try runner.create("1")
      try runner.run([bytes("REGENERATE"), old])
      let key = try runner.sessionKey(old)
      _ = try runner.redis(bytes("HSET"), key, bytes("sealed"), bytes("x"))
      #expect(try runner.run([bytes("GET"), old]).word == "nil")
      #expect(try runner.run([bytes("SET"), old, bytes("2")]).word == "NOSESSION")
      #expect(try runner.run([bytes("REGENERATE"), old]).word == "NOSESSION")
      #expect(try runner.run([bytes("DESTROY"), old])["count"] == .integer(0))
    }
  }

  @Test func pendingOnesAreToBeDenied() async throws {
    try await withSessions { _, runner in
      runner.isConfirming = false
      let old = try runner.create("1")
      let reply = try runner.run([bytes("REGENERATE"), old])
      #expect(reply["state"] == .text("pending"))
      let denial = try #require(runner.last?.pendingDenials.first)
      #expect(denial.delayMilliseconds == 5000)
      #expect(
        denial.handles == [IndexMember.handle(of: IndexMember.session(try runner.stored(old)))])
      let new = try reply.id
      // A login's old id is denied at once, whatever grace was asked for.
      let login = try runner.run(
        [bytes("REGENERATE"), new, bytes("USER"), bytes("u"), bytes("GRACE"), bytes("9000")])
      #expect(runner.last?.pendingDenials.first?.delayMilliseconds == 0)
      #expect(try runner.run([bytes("DESTROY"), login.id])["state"] == .text("pending"))
      #expect(runner.last?.sessionHandle == runner.last?.pendingDenials.first?.handles.first)
    }
  }
  @Test func denialsAreAnsweredAsIfThereWereNoSession() throws {
    var random = SeededGenerator(seed: 4)
    let id = SessionID(random: &random)
    let handle = IndexMember.handle(of: IndexMember.session(id.stored(as: .hashed)))
    let table = [
      ("GET", "nil"), ("TOUCH", "nil"), ("REGENERATE", "NOSESSION"), ("DESTROY", "answer"),
      ("SET", "NOSESSION"), ("BIND", "NOSESSION"),
    ]
    for (command, word) in table {
      let more = command == "SET" ? [bytes("x")] : command == "BIND" ? [bytes("NONE")] : []
      guard
        case .operation(let operation) = SessionOperation.parse(
          [bytes("SESSION." + command), id.text] + more, SessionContext(SessionConfiguration()),
          random: &random)
      else {
        Issue.record("refused")
        return
      }
      #expect(operation.sessionHandle == handle)
      #expect(operation.denial.word == word)
      var dumped = "\(operation)"
      dump(operation, to: &dumped)
      #expect(!dumped.contains(text(id.text)) && !dumped.contains("sha"))
    }
  }
}
