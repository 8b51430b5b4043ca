// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Requests and replies are lost on the way")
struct LostReplyTests {
  private static let fast = setting("redis.commandTimeoutMilliseconds=1000")

  /// A daemon that reaches its Redis through a relay.
  private func withRelay(
    _ body: @Sendable (Node, Relay, Daemon) async throws -> Void
  ) async throws {
    try await Topology.withSingle { lab in
      let relay = try Relay(to: lab.initialMaster.endpoint)
      let daemon = try await Daemon.start(
        arguments: ["--redis", "\(relay.endpoint)"] + Self.fast)
      defer { relay.stop() }
      try await withDaemon(daemon) { try await body(lab.initialMaster, relay, $0) }
    }
  }

  @Test("By class: once is UNCERTAIN, absolute and settling are sent again")
  func classes() async throws {
    try await withRelay { node, relay, daemon in
      let client = try await daemon.connect()
      relay.mode = .cutReply(containing: "counter:a")
      #expect(try await client.command("INCR", "counter:a").errorWord == "UNCERTAIN")
      #expect(try await node.query(["GET", "counter:a"]) == .text("1"))

      relay.mode = .cutRequest(containing: "counter:b")
      #expect(try await client.command("INCR", "counter:b").errorWord == "UNCERTAIN")
      #expect(try await node.query(["GET", "counter:b"]) == .null)

      for cut in [Relay.Mode.cutReply(containing: "key:c"), .cutRequest(containing: "key:c")] {
        relay.mode = cut
        #expect(try await client.command("SET", "key:c", "v") == .simple("OK"))
        #expect(relay.mode == .pass, "the cut did not happen")
        #expect(try await node.query(["GET", "key:c"]) == .text("v"))
      }
      relay.mode = .cutReply(containing: "key:c")
      #expect(try await client.command("GET", "key:c") == .text("v"))

      // The effect repeats, the second reply tells what it found then.
      relay.mode = .cutReply(containing: "key:c")
      #expect(try await client.command("DEL", "key:c") == .integer(0))
      #expect(try await node.query(["EXISTS", "key:c"]) == .integer(0))

      relay.mode = .cutReply(containing: "key:once")
      let refused = try await client.command("SET", "key:once", "v", "NX")
      #expect(refused.errorWord == "UNCERTAIN")
    }
  }

  @Test("A pipeline cut in its middle: each reply in its place, nothing twice")
  func pipeline() async throws {
    try await withRelay { node, relay, daemon in
      let client = try await daemon.connect()
      relay.mode = .cutReply(containing: "third")
      let replies = try await client.pipeline([
        ["SET", "p", "first"], ["INCR", "n"], ["ECHO", "here"], ["SET", "p", "third"],
        ["GET", "p"],
      ])
      #expect(replies.count == 5)
      // All went out in one write, so none is known to have been executed.
      #expect(replies[0] == .simple("OK") && replies[1].errorWord == "UNCERTAIN")
      #expect(replies[2] == .text("here") && replies[3] == .simple("OK"))
      #expect(replies[4] == .text("third"))
      #expect(try await node.query(["GET", "n"]) == .text("1"))
    }
  }

  @Test("replay: strict answers UNCERTAIN for what settles")
  func strict() async throws {
    try await Topology.withSingle { lab in
      let relay = try Relay(to: lab.initialMaster.endpoint)
      defer { relay.stop() }
      let daemon = try await Daemon.start(
        arguments: ["--redis", "\(relay.endpoint)"] + setting("replay=strict"))
      try await withDaemon(daemon) { daemon in
        let client = try await daemon.connect()
        relay.mode = .cutReply(containing: "key:d")
        #expect(try await client.command("DEL", "key:d").errorWord == "UNCERTAIN")
        relay.mode = .cutReply(containing: "key:d")
        #expect(try await client.command("SET", "key:d", "v") == .simple("OK"))
      }
    }
  }

  @Test("Replies in one-byte pieces")
  func fragments() async throws {
    try await withRelay { _, relay, daemon in
      relay.mode = .fragment
      let client = try await daemon.connect()
      let value = String(repeating: "0123456789\r\n", count: 50)
      #expect(try await client.command("SET", "k", value) == .simple("OK"))
      #expect(try await client.command("GET", "k") == .text(value))
      try await client.command("RPUSH", "l", "a", "b", "$5")
      let list = RESPValue.array([.text("a"), .text("b"), .text("$5")])
      #expect(try await client.command("LRANGE", "l", "0", "-1") == list)
      #expect(try await client.command("HELLO", "3").dictionary?["proto"] == .integer(3))
      try await client.command("HSET", "h", "f", "v")
      let map = RESPValue.map([.init(key: .text("f"), value: .text("v"))])
      #expect(try await client.command("HGETALL", "h") == map)
    }
  }

  @Test("Half-open: the connection is given up after its time, and the request sent again")
  func halfOpen() async throws {
    try await withRelay { node, relay, daemon in
      let client = try await daemon.connect()
      let counter = try await daemon.connect()
      #expect(try await client.command("SET", "k", "before") == .simple("OK"))
      relay.mode = .drop
      try await client.send(["SET", "k", "after"])
      // Its own link, perhaps: its fate is known once that is given up.
      let start = ContinuousClock.now
      #expect(try await counter.command("INCR", "n").errorWord == "UNCERTAIN")
      #expect(ContinuousClock.now - start > .milliseconds(700))
      relay.mode = .pass
      #expect(try await client.receive() == .simple("OK"))
      #expect(try await node.query(["GET", "k"]) == .text("after"))
      #expect(try await counter.command("GET", "k") == .text("after"))
    }
  }

  @Test("Bytes of a given-up connection that arrive late never win over a newer write")
  func lateBytes() async throws {
    try await Topology.withSingle { lab in
      let node = lab.initialMaster
      let relay = try StickyRelay(to: node.serverPort)
      defer { relay.stop() }
      try await Self.checkTheRig(node, relay)

      let arguments = ["--redis", "127.0.0.1:\(relay.port)"] + Self.fast
      try await withDaemon(try await Daemon.start(arguments: arguments)) { daemon in
        let client = try await daemon.connect()
        let other = try await daemon.connect()
        #expect(try await client.command("SET", "k", "old") == .simple("OK"))
        #expect(try await other.command("SET", "n", "1") == .simple("OK"))
        relay.stick()
        try await client.send(["SET", "k", "stale"])
        try await other.send(["INCR", "n"])
        // Sent again on a connection that passes, while the first may still execute.
        #expect(try await client.receive() == .simple("OK"))
        #expect(try await other.receive().errorWord == "UNCERTAIN")
        #expect(try await client.command("SET", "k", "newer") == .simple("OK"))
        #expect(try await other.command("SET", "n", "100") == .simple("OK"))
        try await Self.transact(other, "200")

        relay.release()
        try await eventually("the late bytes", holds: { relay.lateBytes > 0 })
        // The old connections are no more: whatever they held was read or refused.
        try await eventually("end of the old connections") {
          try await client.command("PING") == .simple("PONG")
            && relay.openConnections <= 8
        }
        #expect(try await node.query(["GET", "k"]) == .text("newer"))
        #expect(try await node.query(["GET", "n"]) == .text("200"))
      }
    }
  }

  @Test("After UNCERTAIN, a write by any road waits until the lost connection is ended")
  func uncertainThenTransaction() async throws {
    try await Topology.withSingle { lab in
      let node = lab.initialMaster
      let relay = try StickyRelay(to: node.serverPort)
      defer { relay.stop() }
      let arguments = ["--redis", "127.0.0.1:\(relay.port)"] + Self.fast
      try await withDaemon(try await Daemon.start(arguments: arguments)) { daemon in
        let client = try await daemon.connect()
        #expect(try await client.command("SET", "n", "1") == .simple("OK"))
        relay.stick()
        #expect(try await client.command("INCR", "n").errorWord == "UNCERTAIN")
        try await Self.transact(client, "100")
        relay.release()
        try await eventually("the late bytes", holds: { relay.lateBytes > 0 })
        try await eventually("end of the old connections", holds: { relay.openConnections <= 8 })
        #expect(try await node.query(["GET", "n"]) == .text("100"))
      }
    }
  }

  /// Sets `n` in a transaction. The first connections that are leased may be stuck, too: then
  /// nothing was executed, and it is tried again as an app would.
  private static func transact(_ client: LabClient, _ value: String) async throws {
    try await eventually("a transaction") {
      #expect(try await client.command("MULTI") == .simple("OK"))
      #expect(try await client.command("SET", "n", value) == .simple("QUEUED"))
      let reply = try await client.command("EXEC")
      #expect(
        reply == .array([.simple("OK")]) || ["EXECABORT", "UNCERTAIN"].contains(reply.errorWord))
      return reply == .array([.simple("OK")])
    }
  }

  /// Without a daemon that ends the old connection, a stuck write does win: else this proves nothing.
  private static func checkTheRig(_ node: Node, _ relay: StickyRelay) async throws {
    let client = try await LabClient.connect(.tcp("127.0.0.1", relay.port))
    #expect(try await client.command("PING") == .simple("PONG"))
    relay.stick()
    try await client.send(["SET", "rig", "stale"])
    #expect(try await node.query(["SET", "rig", "newer"]) == .simple("OK"))
    relay.release()
    try await eventually("the stale write") {
      try await node.query(["GET", "rig"]) == .text("stale")
    }
  }
}
