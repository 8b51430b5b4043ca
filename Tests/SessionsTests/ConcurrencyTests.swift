// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

/// What must hold whoever comes first.
@Suite struct ConcurrencyTests {
  @Test(arguments: [false, true])
  func aHundredRegeneratesGiveOneSuccessor(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { rig, runner in
      let id = try runner.create("data", "USER", "u")
      let replies = try await rig.parallel(100) { _, runner in
        try runner.run([bytes("REGENERATE"), id])
      }
      #expect(replies.count == 100)
      #expect(replies.filter { $0["won"] == .integer(1) }.count == 1)
      #expect(Set(try replies.map { try $0.id }).count == 1)
      #expect(try runner.run("LIST", "u").rows.count == 1)
      #expect(try runner.run([bytes("GET"), try replies[0].id])["data"] == .text("data"))

      let last = try replies[0].id
      let logins = try await rig.parallel(20) { _, runner in
        try runner.run([bytes("REGENERATE"), last, bytes("USER"), bytes("v")])
      }
      #expect(logins.filter { $0.word == "answer" }.count == 1)
      #expect(logins.filter { $0.word == "NOSESSION" }.count == 19)
    }
  }

  @Test(arguments: [false, true])
  func incrementsUnderVersionEndExactly(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { rig, runner in
      let id = try runner.create("0")
      _ = try await rig.parallel(100) { _, runner in
        var isDone = false
        while !isDone {
          let got = try runner.run([bytes("GET"), id])
          let next = (got["data"].integerValue ?? 0) + 1
          let reply = try runner.run([
            bytes("SET"), id, bytes(next), bytes("VERSION"),
            bytes(got["version"].integerValue ?? 0),
          ])
          #expect(["answer", "CONFLICT"].contains(reply.word))
          isDone = reply.word == "answer"
        }
      }
      #expect(try runner.run([bytes("GET"), id])["data"] == .text("100"))
      #expect(try runner.run([bytes("GET"), id])["version"] == .integer(101))
    }
  }

  @Test(arguments: ["EVICT", "REJECT"], [false, true])
  func limitsHoldUnderRaces(policy: String, replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { rig, runner in
      let replies = try await rig.parallel(10) { _, runner in
        try (0..<5).map { _ in
          try runner.run("CREATE", "x", "USER", "u", "LIMIT", "4", policy)
        }
      }.flatMap { $0 }
      #expect(try runner.run("LIST", "u").rows.count == 4)
      let made = replies.filter { $0.word == "answer" }
      #expect(made.count == (policy == "EVICT" ? 50 : 4))
      let living = try made.filter { try runner.run([bytes("GET"), try $0.id]).word == "answer" }
      #expect(living.count == 4)
      let evicted = made.flatMap { $0["evicted"].elements ?? [] }.compactMap(\.text)
      #expect(evicted.count == made.count - 4)
      #expect(Set(evicted).count == evicted.count)
    }
  }

  @Test(arguments: [false, true])
  func logoutIsNotUndoneBySlowWriters(replaying: Bool) async throws {
    try await withSessions(replaying: replaying) { rig, runner in
      for logout in ["DESTROY", "LOGOUTALL", "KILL"] {
        let id = try runner.create("0", "USER", "u")
        let handle = IndexMember.handle(of: IndexMember.session(try runner.stored(id)))
        let words = try await rig.parallel(6) { index, runner -> [String] in
          if index == 0 {
            switch logout {
            case "DESTROY": return [try runner.run([bytes(logout), id]).word]
            case "LOGOUTALL": return [try runner.run(logout, "u").word]
            default: return [try runner.run(logout, "u", handle).word]
            }
          }
          return try (0..<20).map {
            try runner.run([bytes("SET"), id, bytes("\(index) \($0)")]).word
          }
        }
        // Once a writer was refused it was refused for good.
        for writes in words where writes.count > 1 {
          let first = writes.firstIndex(of: "NOSESSION") ?? writes.count
          #expect(writes[first...].allSatisfy { $0 == "NOSESSION" })
        }
        #expect(try runner.run([bytes("GET"), id]).word == "nil")
        #expect(try runner.run([bytes("SET"), id, bytes("late")]).word == "NOSESSION")
        #expect(try runner.run("LIST", "u").rows.isEmpty)
      }
    }
  }
}
