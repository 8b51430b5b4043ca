// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Connections with state, across a failover")
struct PinnedFailoverTests {
  @Test("Transactions, WATCH, blocking commands, subscriptions, tracking, scripts")
  func acrossFailover() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let clients = try await Clients(daemon)
      let digest = try await clients.prepare()
      try await eventually("the blocked ones", every: 20) {
        try await old.info("clients")["blocked_clients"] == "2"
      }
      await old.kill()
      try await daemon.waitUntilServing(insteadOf: old)
      let promoted = try await lab.waitForPromotion(insteadOf: old)

      try await clients.checkTransactions(promoted)
      try await clients.checkBlocked(promoted)
      try await clients.checkSubscriber(promoted)
      // A client's cache is worth nothing now; it is told so before the end.
      #expect(try await clients.tracker.receive() == .push([.text("invalidate"), .null]))
      #expect(try await clients.tracker.isClosed(within: 5000))

      #expect(try await promoted.query(["SCRIPT", "EXISTS", digest]) == .array([.integer(1)]))
      let reply = try await clients.script.command("EVALSHA", digest, "1", "s", "kept")
      #expect(reply == .text("kept"))
      #expect(try await promoted.query(["GET", "s"]) == .text("kept"))
    }
  }

  private struct Clients: Sendable {
    let transaction, watchedBefore, watchedOnly: LabClient
    let popper, reader, subscriber, tracker, script: LabClient

    init(_ daemon: Daemon) async throws {
      transaction = try await daemon.connect()
      watchedBefore = try await daemon.connect()
      watchedOnly = try await daemon.connect()
      popper = try await daemon.connect()
      reader = try await daemon.connect()
      subscriber = try await daemon.connect()
      tracker = try await daemon.connect()
      script = try await daemon.connect()
    }

    /// Brings each into its state; the digest of the script.
    func prepare() async throws -> String {
      #expect(try await transaction.command("MULTI") == .simple("OK"))
      #expect(try await transaction.command("INCR", "tx") == .simple("QUEUED"))
      #expect(try await watchedBefore.command("WATCH", "w1") == .simple("OK"))
      #expect(try await watchedBefore.command("MULTI") == .simple("OK"))
      #expect(try await watchedBefore.command("INCR", "w1") == .simple("QUEUED"))
      #expect(try await watchedOnly.command("WATCH", "w2") == .simple("OK"))
      try await popper.send(["BLPOP", "queue", "0"])
      try await reader.send(["XREAD", "BLOCK", "0", "STREAMS", "stream", "0"])
      let subscribed = RESPValue.array([.text("subscribe"), .text("news"), .integer(1)])
      #expect(try await subscriber.command("SUBSCRIBE", "news") == subscribed)
      try await tracker.command("HELLO", "3")
      #expect(try await tracker.command("CLIENT", "TRACKING", "ON") == .simple("OK"))
      #expect(try await tracker.command("GET", "cached") == .null)
      let body = "redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1]"
      let digest = try await script.command("SCRIPT", "LOAD", body).text ?? ""
      #expect(digest.count == 40)
      return digest
    }

    func checkTransactions(_ promoted: Node) async throws {
      #expect(try await transaction.command("INCR", "tx") == .simple("QUEUED"))
      #expect(try await transaction.command("EXEC").errorWord == "EXECABORT")
      #expect(try await watchedBefore.command("EXEC") == .null)
      #expect(try await watchedOnly.command("MULTI") == .simple("OK"))
      #expect(try await watchedOnly.command("INCR", "w2") == .simple("QUEUED"))
      #expect(try await watchedOnly.command("EXEC") == .null)
      for key in ["tx", "w1", "w2"] {
        #expect(try await promoted.query(["EXISTS", key]) == .integer(0), "\(key) was executed")
      }
      // Then all is as usual.
      #expect(try await transaction.command("MULTI") == .simple("OK"))
      #expect(try await transaction.command("INCR", "tx") == .simple("QUEUED"))
      #expect(try await transaction.command("EXEC") == .array([.integer(1)]))
    }

    /// It has what it had, and was told nothing twice.
    func checkSubscriber(_ promoted: Node) async throws {
      try await eventually("the subscriber on the new master", every: 20) {
        try await promoted.query(["PUBLISH", "news", "more"]) == .integer(1)
      }
      let message = RESPValue.array([.text("message"), .text("news"), .text("more")])
      #expect(try await subscriber.receive() == message)
    }

    func checkBlocked(_ promoted: Node) async throws {
      // It may have taken an element: never sent again.
      #expect(try await popper.receive().errorWord == "UNCERTAIN")
      #expect(try await promoted.query(["RPUSH", "queue", "a"]) == .integer(1))
      #expect(
        try await popper.command("BLPOP", "queue", "5") == .array([.text("queue"), .text("a")]))
      // A read goes on where it was.
      try await promoted.query(["XADD", "stream", "*", "f", "v"])
      let read = try await reader.receive()
      #expect(read.elements?.first?.elements?.first == .text("stream"))
    }
  }
}
