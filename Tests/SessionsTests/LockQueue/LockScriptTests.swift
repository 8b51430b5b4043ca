// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

/// The scripts of locks on a real Redis.
@Suite struct LockScriptTests {
  /// One attempt: word, freed, token, number.
  private func change(
    _ runner: Runner, freeing: [UInt8] = [], secret: String = "", ttl: Int = 60_000, floor: Int = 1,
    times: Int = 1
  ) throws -> (word: String?, freed: Int64?, token: [UInt8], number: Int64) {
    let prefix = Array(runner.configuration.prefix.utf8)
    var replies: [RESPValue] = []
    for _ in 0..<times {
      replies.append(
        try runner.send(
          RedisCall(
            .script(
              LockScript.change, keys: [prefix + bytes("lock:a"), prefix + bytes("lock:fence")],
              arguments: [freeing, bytes(secret), bytes(ttl), bytes(floor), []]),
            replay: .guarded, isWrite: true)))
    }
    let elements = try #require(replies.last?.elements)
    // All but the time left, which passes: the last of a refusal, or of a grant.
    let count = elements.first?.text == "NONE" ? 2 : 4
    #expect(replies.allSatisfy { $0.elements?.prefix(count) == elements.prefix(count) })
    var token: [UInt8] = []
    if elements.count > 2, case .bulk(let found) = elements[2] { token = found }
    return (
      elements[0].text, elements[1].integerValue, token,
      elements.count > 3 ? elements[3].integerValue ?? 0 : 0
    )
  }

  @Test(arguments: [1, 2]) func takesFreesAndHandsOver(times: Int) async throws {
    try await withSessions { _, runner in
      let first = try change(runner, secret: "one", times: times)
      #expect(first.word == "OK" && first.token == bytes("one:\(first.number)"))
      #expect(try change(runner, secret: "two", times: times).word == "NONE")
      #expect(try change(runner, freeing: bytes("other"), times: times).freed == 0)
      let second = try change(runner, freeing: first.token, secret: "two", times: times)
      #expect(second.word == "OK" && second.freed == 1 && second.number > first.number)
      #expect(
        try change(runner, freeing: first.token, times: times).freed == 0, "it is another's now")
      #expect(try change(runner, freeing: second.token, times: times).freed == 1)
      let third = try change(runner, secret: "three", times: times)
      #expect(third.number > second.number)
    }
  }

  @Test func theNumberRisesAcrossALossOfAllData() async throws {
    try await withSessions { _, runner in
      let first = try change(runner, secret: "one")
      let keys = try runner.allKeys()
      _ = try runner.client.command([bytes("DEL")] + keys)
      let far = Int(first.number) + 1_000_000_000
      #expect(try change(runner, secret: "two", floor: far).number == Int64(far))
      #expect(try change(runner, freeing: bytes("two:\(far)"), secret: "three").number > Int64(far))
    }
  }

  @Test func holdsOnWithTheTokenAlone() async throws {
    try await withSessions { _, runner in
      let lock = try change(runner, secret: "one", ttl: 5_000)
      let key = Array(runner.configuration.prefix.utf8) + bytes("lock:a")
      for (token, held) in [(lock.token, Int64(1)), (bytes("one"), 0)] {
        let reply = try runner.send(
          RedisCall(
            .script(LockScript.extend, keys: [key], arguments: [token, bytes(90_000)]),
            replay: .guarded, isWrite: true))
        #expect(reply.elements?.last?.integerValue == held)
      }
      let left = try runner.redis(bytes("PTTL"), key).integerValue ?? 0
      #expect((60_001...90_000).contains(left))
    }
  }

  @Test func aWriteNeedsTheTokenThatHolds() async throws {
    try await withSessions { _, runner in
      let id = try runner.create("x")
      let key = runner.keys.lock(try runner.stored(id))
      _ = try runner.redis(bytes("SET"), key, bytes("one:5"), bytes("PX"), bytes(60_000))
      let set = [bytes("SET"), id, bytes("y"), bytes("TOKEN")]
      #expect(try runner.run(set + [bytes("one:5")]) == .value(.integer(2)))
      _ = try runner.redis(bytes("SET"), key, bytes("freed:one:5"), bytes("PX"), bytes(60_000))
      guard case .error(let text) = try runner.run(set + [bytes("one:5")]) else {
        Issue.record("written without the lock")
        return
      }
      #expect(text.hasPrefix("LOCKLOST"))
    }
  }
}
