// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization
import Testing

/// Many clients, each with values that nobody else has; every reply must be its own.
@Suite("A reply never goes to another client")
struct CrossedReplyTests {
  private final class Judge: Sendable {
    let wrong = Mutex<[String]>([])
    let replies = Atomic(0)
    let isOver = Atomic(false)

    func expect(_ reply: RESPValue, _ expected: RESPValue, _ what: String) {
      replies.add(1, ordering: .relaxed)
      guard reply != expected else { return }
      wrong.withLock { $0.append("\(what): \(reply) instead of \(expected)") }
    }
  }

  @Test(
    "Pipelines, transactions, sudden ends in mid-reply; with connections to Redis cut as well",
    arguments: [false, true])
  func unique(isCut: Bool) async throws {
    try await Topology.withSingle { lab in
      let relay = try Relay(to: lab.initialMaster.endpoint)
      defer { relay.stop() }
      let daemon = try await Daemon.start(arguments: ["--redis", "\(relay.endpoint)"])
      try await withDaemon(daemon) { daemon in
        let judge = Judge()
        let rounds = isCut ? 150 : 300
        try await withThrowingTaskGroup(of: Void.self) { tasks in
          for worker in 0..<24 {
            tasks.addTask {
              try await LabThread.run {
                try Self.work(worker, rounds, daemon.endpoint, judge, isCut: isCut)
              }
            }
          }
          if isCut {
            try LabThread.start {
              while !judge.isOver.load(ordering: .relaxed) {
                usleep(UInt32.random(in: 20_000...150_000))
                relay.cutAll()
              }
            }
          }
          defer { judge.isOver.store(true, ordering: .relaxed) }
          try await tasks.waitForAll()
        }
        #expect(judge.wrong.withLock { $0.prefix(10) } == [])
        #expect(judge.replies.load(ordering: .relaxed) > 24 * rounds)
      }
    }
  }

  private static func work(
    _ worker: Int, _ rounds: Int, _ endpoint: Endpoint, _ judge: Judge, isCut: Bool
  ) throws {
    var client = try BlockingClient(endpoint)
    for round in 0..<rounds {
      let token = "\(worker)-\(round)-\(UInt32.random(in: 0...UInt32.max))"
      switch Int.random(in: 0..<(isCut ? 8 : 10)) {
      case 0..<4: try pipeline(client, token, judge)
      case 4..<6:
        let reply = try client.command(["ECHO", token])
        judge.expect(reply, .text(token), "ECHO")
      case 6..<8:
        // Gone in mid-reply, or before it; its replies must fall on nobody.
        try leave(client, token)
        client = try BlockingClient(endpoint)
      case 8: try transaction(client, token, judge)
      default:
        let reply = try client.command(["BLPOP", "nothing:\(token)", "0.01"])
        judge.expect(reply, .null, "BLPOP")
      }
    }
  }

  private static func pipeline(_ client: BlockingClient, _ token: String, _ judge: Judge) throws {
    let size = Int.random(in: 1...20)
    for index in 0..<size {
      try client.send(["SET", "k:\(token):\(index)", "\(token):\(index)"])
    }
    for _ in 0..<size { judge.expect(try client.receive(), .simple("OK"), "SET") }
    for index in 0..<size { try client.send(["GET", "k:\(token):\(index)"]) }
    for index in 0..<size {
      judge.expect(try client.receive(), .text("\(token):\(index)"), "GET")
    }
  }

  private static func transaction(
    _ client: BlockingClient, _ token: String, _ judge: Judge
  ) throws {
    for command in [["MULTI"], ["SET", "t:\(token)", token], ["GET", "t:\(token)"], ["EXEC"]] {
      try client.send(command)
    }
    judge.expect(try client.receive(), .simple("OK"), "MULTI")
    judge.expect(try client.receive(), .simple("QUEUED"), "SET in MULTI")
    judge.expect(try client.receive(), .simple("QUEUED"), "GET in MULTI")
    judge.expect(try client.receive(), .array([.simple("OK"), .text(token)]), "EXEC")
  }

  private static func leave(_ client: BlockingClient, _ token: String) throws {
    let big = String(repeating: token, count: Int.random(in: 1...2000))
    try client.send(["SET", "b:\(token)", big])
    for _ in 0..<Int.random(in: 1...10) { try client.send(["GET", "b:\(token)"]) }
    if Bool.random() { _ = try client.read(atMost: Int.random(in: 1...500)) }
    if Bool.random() { client.resetOnClose() }
  }
}
