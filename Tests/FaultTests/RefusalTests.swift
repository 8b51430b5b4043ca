// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Testing

/// A real Redis that refuses commands: what it did not execute is tried until it does, and then
/// executed once.
@Suite("Redis refuses what it is asked")
struct RefusalTests {
  /// How a Redis is brought to refuse, and how that ends.
  struct Refusal: Sendable, CustomStringConvertible {
    let name: String
    /// Whether it refuses reads as well, or only writes.
    let refusesReads: Bool
    let begin: @Sendable (Node) async throws -> Void
    let end: @Sendable (Node) async throws -> Void

    var description: String { name }
  }

  private static let refusals: [Refusal] = [
    // Nobody listens on port 1: a replica without its master.
    Refusal(
      name: "READONLY", refusesReads: false,
      begin: { try await $0.order(["REPLICAOF", "127.0.0.1", "1"]) },
      end: { try await $0.order(["REPLICAOF", "NO", "ONE"]) }),
    Refusal(
      name: "MASTERDOWN", refusesReads: true,
      begin: {
        try await $0.order(["CONFIG", "SET", "replica-serve-stale-data", "no"])
        try await $0.order(["REPLICAOF", "127.0.0.1", "1"])
      },
      end: { try await $0.order(["REPLICAOF", "NO", "ONE"]) }),
    Refusal(
      name: "NOREPLICAS", refusesReads: false,
      begin: { try await $0.order(["CONFIG", "SET", "min-replicas-to-write", "1"]) },
      end: { try await $0.order(["CONFIG", "SET", "min-replicas-to-write", "0"]) }),
    Refusal(
      name: "MISCONF", refusesReads: false,
      begin: { node in
        // No file can be made there.
        try await node.order(["CONFIG", "SET", "dir", "/proc"])
        try await node.order(["CONFIG", "SET", "save", "3600 1"])
        try await node.query(["BGSAVE"])
        try await eventually("the failed save") {
          try await node.info("persistence")["rdb_last_bgsave_status"] == "err"
        }
      },
      end: { try await $0.order(["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]) }),
    Refusal(
      name: "BUSY", refusesReads: true,
      begin: { node in
        try await node.order(["CONFIG", "SET", "busy-reply-threshold", "50"])
        let client = try await LabClient.connect(node.endpoint)
        try await client.send(["EVAL", "while true do end", "0"])
      },
      end: { try await $0.order(["SCRIPT", "KILL"]) }),
  ]

  @Test(
    "Not executed: a read, an absolute write and a once command wait, and are done once",
    arguments: refusals)
  func waits(_ refusal: Refusal) async throws {
    try await Self.withRedis { node, daemon in
      let clients = try await Clients(daemon)
      try await refusal.begin(node)
      // Redis' own word, to one that does not go through the daemon.
      try await eventually(refusal.name) {
        let asked = refusal.refusesReads ? ["GET", "seen"] : ["SET", "seen", "x"]
        return try await node.query(asked).errorWord == refusal.name
      }
      try await clients.ask()
      if !refusal.refusesReads, !["READONLY"].contains(refusal.name) {
        #expect(try await clients.read.receive() == .text("before"))
        try await clients.read.send(["GET", "r"])
      }
      try await clients.expectWaiting()
      try await refusal.end(node)
      try await clients.expectDone(at: node)
    }
  }

  @Test("LOADING after a restart: all wait until the data is there")
  func loading() async throws {
    try await Self.withRedis({
      $0.appendOnly = true
      $0.extraRedis += ["key-load-delay 200"]
    }) { node, daemon in
      let clients = try await Clients(daemon)
      // Redis looks at its clients once in 1024 commands that it loads.
      try await LabThread.run {
        let client = try node.connectBlocking()
        for index in 0..<12_000 { try client.send(["SET", "k:\(index)", "v"]) }
        for _ in 0..<12_000 { _ = try client.receive() }
      }
      try await node.restart()
      #expect(try await node.query(["GET", "r"]).errorWord == "LOADING")
      try await clients.ask()
      try await clients.expectWaiting(milliseconds: 300)
      #expect(try await node.query(["GET", "r"]).errorWord == "LOADING", "it was too fast")
      try await clients.expectDone(at: node)
    }
  }

  @Test("At its client limit: no connection can be made, all wait until one can")
  func clientLimit() async throws {
    try await Self.withRedis { node, daemon in
      let clients = try await Clients(daemon)
      let admin = try await LabClient.connect(node.endpoint)
      #expect(try await admin.command("CONFIG", "SET", "maxclients", "1") == .simple("OK"))
      try await admin.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      try await clients.ask()
      try await clients.expectWaiting()
      #expect(
        "\(try await admin.command("INFO", "stats"))".contains("rejected_connections:0") == false)
      #expect(try await admin.command("CONFIG", "SET", "maxclients", "1000") == .simple("OK"))
      try await clients.expectDone(at: node)
    }
  }

  @Test("Refused until the deadline: Redis' own words, and nothing was executed")
  func untilDeadline() async throws {
    try await Self.withRedis(arguments: setting("failover.waitMilliseconds=1000")) { node, daemon in
      try await node.order(["CONFIG", "SET", "min-replicas-to-write", "1"])
      let client = try await daemon.connect()
      for command in [
        ["SET", "a", "v"], ["INCR", "n"], ["EVAL", "return redis.call('INCR', 'n')", "0"],
      ] {
        let start = ContinuousClock.now
        #expect(try await client.command(command).errorWord == "NOREPLICAS")
        let waited = ContinuousClock.now - start
        #expect(command[0] == "EVAL" || waited >= .milliseconds(900), "\(command): \(waited)")
        #expect(waited < .seconds(4))
      }
      #expect(try await node.query(["EXISTS", "a", "n"]) == .integer(0))
    }
  }

  @Test("OOM is the app's own matter: passed through at once; reads and deletes go on")
  func outOfMemory() async throws {
    try await Self.withRedis { node, daemon in
      let clients = try await Clients(daemon)
      try await node.order(["CONFIG", "SET", "maxmemory", "1"])
      let start = ContinuousClock.now
      try await clients.ask()
      #expect(try await clients.read.receive() == .text("before"))
      #expect(try await clients.absolute.receive().errorWord == "OOM")
      #expect(try await clients.once.receive().errorWord == "OOM")
      #expect(try await clients.absolute.command("DEL", "a") == .integer(0))
      #expect(ContinuousClock.now - start < .seconds(5))
      try await node.order(["CONFIG", "SET", "maxmemory", "0"])
      try await clients.ask()
      try await clients.expectDone(at: node)
    }
  }

  @Test(
    "NOSCRIPT: a script that was loaded through the daemon is loaded again, others are not known")
  func noScript() async throws {
    try await Self.withRedis { node, daemon in
      let client = try await daemon.connect()
      let body = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
      let digest = try await client.command("SCRIPT", "LOAD", body).text ?? ""
      #expect(try await client.command("EVALSHA", digest, "1", "n", "2") == .integer(2))
      try await node.order(["SCRIPT", "FLUSH"])
      #expect(try await node.query(["EVALSHA", digest, "1", "n", "2"]).errorWord == "NOSCRIPT")
      #expect(try await client.command("EVALSHA", digest, "1", "n", "2") == .integer(4))
      let unknown = String(repeating: "a", count: 40)
      #expect(try await client.command("EVALSHA", unknown, "0").errorWord == "NOSCRIPT")
      #expect(try await node.query(["GET", "n"]) == .text("4"))
    }
  }

  @Test("NOAUTH: the password changes at Redis first, in the file later; all wait meanwhile")
  func passwordFirst() async throws {
    try await withFolder { folder in
      let file = try folder.write("redis", "secret-1")
      let options = TopologyOptions {
        $0.replicas = 0
        $0.sentinels = 0
        $0.password = "secret-1"
      }
      try await Topology.with(options) { lab in
        let node = lab.initialMaster
        let arguments =
          ["--redis", "\(node.endpoint)"] + setting("redis.passwordFile=\(file)")
        try await withDaemon(try await Daemon.start(arguments: arguments)) { daemon in
          let clients = try await Clients(daemon)
          let admin = try await LabClient.connect(node.endpoint)
          try await admin.command("AUTH", "secret-1")
          try await admin.command("CONFIG", "SET", "requirepass", "secret-2")
          try await admin.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          try await clients.ask()
          try await daemon.waitForLog("refused our credentials")
          try await clients.expectWaiting()
          try folder.write("redis", "secret-2")
          #expect(try await clients.read.receive() == .text("before"))
          #expect(try await clients.absolute.receive() == .simple("OK"))
          #expect(try await clients.once.receive() == .integer(1))
          // A connection that is leased, reset and leased again must prove itself again, too.
          for round in 2...3 {
            let replies = try await clients.once.pipeline([["MULTI"], ["INCR", "n"], ["EXEC"]])
            #expect(replies.last == .array([.integer(Int64(round))]))
          }
          #expect(!daemon.log.contains("secret-"))
          try await admin.command("CONFIG", "SET", "requirepass", "secret-1")
        }
      }
    }
  }

  private static func withRedis(
    _ change: @Sendable (inout TopologyOptions) -> Void = { _ in }, arguments: [String] = [],
    _ body: @Sendable (Node, Daemon) async throws -> Void
  ) async throws {
    try await withFixed(
      {
        $0.extraRedis = ["enable-protected-configs yes"]
        change(&$0)
      }, arguments: arguments
    ) { lab, daemon in try await body(lab.initialMaster, daemon) }
  }

  /// One client for each replay class.
  private struct Clients: Sendable {
    let read, absolute, once: LabClient

    init(_ daemon: Daemon) async throws {
      read = try await daemon.connect()
      absolute = try await daemon.connect()
      once = try await daemon.connect()
      #expect(try await read.command("SET", "r", "before") == .simple("OK"))
    }

    func ask() async throws {
      try await read.send(["GET", "r"])
      try await absolute.send(["SET", "a", "v"])
      try await once.send(["INCR", "n"])
    }

    /// No error reaches them, and no reply; reads may be answered.
    func expectWaiting(milliseconds: Int = 700) async throws {
      for client in [absolute, once] {
        await #expect(throws: LabError.self, "it did not wait") {
          try await client.receive(timeoutMilliseconds: milliseconds)
        }
      }
    }

    func expectDone(at node: Node) async throws {
      #expect(try await read.receive() == .text("before"))
      #expect(try await absolute.receive() == .simple("OK"))
      #expect(try await once.receive() == .integer(1))
      #expect(try await node.query(["GET", "a"]) == .text("v"))
      #expect(try await node.query(["GET", "n"]) == .text("1"))
    }
  }
}

extension Node {
  /// A command whose reply must be `OK`.
  fileprivate func order(_ arguments: [String]) async throws {
    let reply = try await query(arguments)
    guard reply == .simple("OK") else { throw LabError.failed("\(self): \(arguments): \(reply)") }
  }
}
