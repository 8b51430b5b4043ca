// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

/// A call whose reply was lost is sent again, after others have written in between.
@Suite struct ReplayTests {
  /// The reply to the last call of a command, sent once more.
  private func again(_ call: RedisCall, _ runner: Runner) throws -> RESPValue {
    #expect(call.replay == .guarded)
    return try runner.send(call)
  }

  @Test func setAnswersAsTheFirstTimeThoughOthersWrote() async throws {
    try await withSessions { _, runner in
      let id = text(try runner.create("1"))
      try runner.run("SET", id, "2", "VERSION", "1")
      let first = try #require(runner.calls.first)
      for version in 3...7 { try runner.run("SET", id, "\(version)") }
      #expect(try again(first, runner) == .array([.text("OK"), .integer(2)]))
      #expect(try runner.run("GET", id)["data"] == .text("7"))
      try runner.run([bytes("REGENERATE"), bytes(id)])
      #expect(try again(first, runner) == .array([.text("OK"), .integer(2)]))
      // What it did not know is led to the successor.
      try runner.run("SET", id, "8")
      #expect(runner.calls.count == 2)
      #expect(try again(runner.calls[0], runner).elements?.first?.text == "MOVED")
      #expect(try again(runner.calls[1], runner) == .array([.text("OK"), .integer(8)]))
      try runner.run("DESTROY", id)
      #expect(try again(first, runner) == .array([.text("OK"), .integer(2)]))
    }
  }

  @Test func regenerateFindsItsOwnSuccessor() async throws {
    try await withSessions { _, runner in
      let id = try runner.create("1")
      try runner.run([bytes("REGENERATE"), id, bytes("GRACE"), bytes("0")])
      let first = try #require(runner.calls.first)
      let winner = try #require(runner.last)
      #expect(winner.pendingDenials.isEmpty)
      try runner.run([bytes("REGENERATE"), id])
      #expect(try again(first, runner) == .array([.text("OK"), .integer(0)]))
    }
  }

  @Test func createDestroyKillLogoutAndLoginCountOnce() async throws {
    try await withSessions { _, runner in
      let id = try runner.create("1", "USER", "u", "LIMIT", "1", "EVICT")
      let other = try runner.create("2", "USER", "u", "LIMIT", "1", "EVICT")
      let created = try #require(runner.calls.first)
      let evicted = IndexMember.handle(of: IndexMember.session(try runner.stored(id)))
      #expect(try again(created, runner) == .array([.text("OK"), .text(evicted)]))
      #expect(try runner.run("LIST", "u").rows.count == 1)

      try runner.run([bytes("DESTROY"), other])
      let destroyed = try #require(runner.calls.first)
      try runner.run([bytes("DESTROY"), other])
      #expect(try again(destroyed, runner) == .array([.text("OK"), .integer(1)]))

      let third = try runner.create("3", "USER", "u")
      try runner.run(
        "KILL", "u", IndexMember.handle(of: IndexMember.session(try runner.stored(third))))
      let killed = try #require(runner.calls.first)
      #expect(try again(killed, runner).elements?[1] == .integer(1))

      _ = try runner.create("4", "USER", "u")
      try runner.run("LOGOUTALL", "u")
      let loggedOut = try #require(runner.calls.first)
      // A second run must not end what began after the first.
      let fifth = try runner.create("5", "USER", "u")
      #expect(try again(loggedOut, runner).elements?[1] == .integer(1))
      #expect(try runner.run([bytes("GET"), fifth]).word == "answer")

      try runner.run("LOGIN", "u", "FAIL")
      let login = try #require(runner.calls.first)
      try runner.run("LOGIN", "u", "FAIL")
      #expect(try again(login, runner) == .array([.text("OK"), .integer(0), .integer(1)]))
    }
  }
}
