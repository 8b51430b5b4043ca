// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Testing

@Suite("What some clients need besides")
struct ClientNeedsTests {
  @Test("Over TCP: only with the password, which may change, and across a failover")
  func tcp() async throws {
    try await withFolder { folder in
      let port = try Listener.freePort()
      let file = try folder.write("secret", "tcp-secret-1\n")
      let settings = setting("tcp.address=127.0.0.1:\(port)", "tcp.passwordFile=\(file)")
      try await withLab(arguments: settings) { lab, daemon in
        let endpoint = Endpoint.tcp("127.0.0.1", port)
        let client = try await LabClient.connect(endpoint)
        #expect(try await client.command("GET", "k").errorWord == "NOAUTH")
        #expect(try await client.command("AUTH", "tcp-secret-2").errorWord == "WRONGPASS")
        #expect(try await client.command("HOLDFAST.STATUS").errorWord == "NOAUTH")
        #expect(try await client.command("AUTH", "tcp-secret-1") == .simple("OK"))
        #expect(try await client.command("SETEX", "k", "600", "v") == .simple("OK"))
        // Nobody can say whose process this is.
        #expect(try await client.command("HOLDFAST.STATUS").errorWord == "DENIED")

        try folder.write("secret", "tcp-secret-2")
        let other = try await LabClient.connect(endpoint)
        #expect(try await other.command("AUTH", "tcp-secret-1").errorWord == "WRONGPASS")
        #expect(try await other.command("AUTH", "default", "tcp-secret-2") == .simple("OK"))

        let created = try await other.command("SESSION.CREATE", "data").elements?.first?.text ?? ""
        #expect(created.count == 64)
        // A planned failover loses nothing, whichever way the client came.
        try await lab.commandFailoverWhenAllowed()
        try await daemon.waitUntilServing(insteadOf: lab.initialMaster)
        #expect(try await client.command("GET", "k") == .text("v"))
        #expect(try await other.command("SESSION.GET", created).elements?.first == .text("data"))
        for secret in ["tcp-secret-1", "tcp-secret-2"] { #expect(!daemon.log.contains(secret)) }
      }
    }
  }

  @Test("A password on the socket itself; administrators need none")
  func socketPassword() async throws {
    try await withFolder { folder in
      let file = try folder.write("secret", "socket-secret")
      try await withFixed(arguments: setting("listen.passwordFile=\(file)")) { _, daemon in
        let client = try await daemon.connect()
        #expect(try await client.command("GET", "k").errorWord == "NOAUTH")
        try await eventually(
          "state serving",
          holds: {
            try await client.command("HOLDFAST.STATUS").dictionary?["state"]?.text == "serving"
          })
        let hello = try await client.command("HELLO", "3", "AUTH", "default", "socket-secret")
        #expect(hello.dictionary?["proto"] == .integer(3))
        #expect(try await client.command("SET", "k", "v") == .simple("OK"))
        // What the daemon asks itself needs none either.
        let metrics = try await client.command("HOLDFAST.METRICS").text ?? ""
        #expect(metrics.contains("holdfast_requests_total"))
      }
    }
  }

  @Test("A listener that cannot be had is said so, and bad settings name the key")
  func refusedListeners() async throws {
    try await withFolder { folder in
      let taken = try Listener()
      let file = try folder.write("secret", "s")
      for (settings, says) in [
        (["tcp.address=127.0.0.1:\(taken.port)", "tcp.passwordFile=\(file)"], "tcp.address"),
        (["tcp.address=127.0.0.1:7777"], "needs tcp.passwordFile"),
        (["tcp.address=0.0.0.0:7777", "tcp.passwordFile=\(file)"], "give 127.0.0.1:port"),
        (["tcp.passwordFile=\(file)"], "has no effect; set tcp.address"),
        (
          ["tcp.address=127.0.0.1:7777", "tcp.passwordFile=\(file)", "tcp.tls=true"],
          "needs tcp.certificateFile"
        ),
        (["listen.passwordFile=\(folder.path)/none"], "listen.passwordFile"),
      ] {
        let run = try await runProgram(
          try Daemon.find(),
          ["--redis", "127.0.0.1:1", "--listen", "\(folder.path)/s.sock"]
            + settings.flatMap { ["--set", $0] }, in: folder)
        #expect(run.status != .exited(0) && run.output.contains(says), "\(run.output)")
      }
    }
  }

  @Test(
    "Repairs: a time for SET without one; what is deleted stays deleted, also on the next master")
  func repairs() async throws {
    let settings = setting(
      "repairs.ttlPrefixes=sess:", "repairs.ttlSeconds=60", "repairs.tombstonePrefixes=sess:",
      "repairs.tombstoneSeconds=300")
    try await withLab(arguments: settings) { lab, daemon in
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "sess:a", "1") == .simple("OK"))
      let ttl = try await client.command("TTL", "sess:a").integerValue ?? 0
      #expect(ttl > 50 && ttl <= 60)
      #expect(try await client.command("SET", "other", "1") == .simple("OK"))
      #expect(try await client.command("TTL", "other") == .integer(-1))
      #expect(try await client.command("HSET", "sess:h", "f", "1", "g", "2") == .integer(2))
      #expect(try await client.command("DEL", "other", "sess:a", "sess:b") == .integer(2))
      #expect(try await client.command("UNLINK", "sess:h") == .integer(1))

      try await Self.expectDeleted(client)
      try await eventually("marks on the replicas", every: 20) {
        try await client.command("WAIT", "2", "1000") == .integer(2)
      }
      await lab.initialMaster.kill()
      try await daemon.waitUntilServing(insteadOf: lab.initialMaster)
      try await Self.expectDeleted(client)
      // Who sets a condition gets a true answer.
      #expect(try await client.command("SET", "sess:a", "9", "NX", "EX", "9") == .simple("OK"))
      let marks = try await client.command("TTL", "holdfast:deleted:sess:a").integerValue ?? 0
      #expect(marks > 200 && marks <= 300)
    }
  }

  /// A slow request's write is answered as if done.
  private static func expectDeleted(_ client: LabClient) async throws {
    for command in [
      ["SET", "sess:a", "late"], ["SET", "sess:a", "late", "EX", "60"],
      ["SETEX", "sess:b", "60", "late"], ["PSETEX", "sess:b", "60000", "late"],
      ["HMSET", "sess:h", "f", "late"],
    ] {
      #expect(try await client.command(command) == .simple("OK"), "\(command)")
    }
    #expect(try await client.command("HSET", "sess:h", "f", "late") == .integer(0))
    #expect(try await client.command("EXISTS", "sess:a", "sess:b", "sess:h") == .integer(0))
    let replies = try await client.pipeline([
      ["MULTI"], ["SETEX", "sess:a", "60", "late"], ["EXISTS", "sess:a"], ["EXEC"],
    ])
    #expect(replies.last == .array([.simple("OK"), .integer(0)]))
  }

  @Test("A mark ends by itself, and the key is as any other")
  func marksEnd() async throws {
    let settings = setting("repairs.tombstonePrefixes=sess:", "repairs.tombstoneSeconds=1")
    try await withFixed(arguments: settings) { _, daemon in
      let client = try await daemon.connect()
      #expect(try await client.command("DEL", "sess:a") == .integer(0))
      #expect(try await client.command("SETEX", "sess:a", "60", "late") == .simple("OK"))
      #expect(try await client.command("EXISTS", "sess:a") == .integer(0))
      try await eventually("the end of the mark", every: 100) {
        _ = try await client.command("SETEX", "sess:a", "60", "new")
        return try await client.command("GET", "sess:a") == .text("new")
      }
    }
  }

  @Test("Keyspace notifications: one setting opens them, and the next master notifies too")
  func keyspaceEvents() async throws {
    try await withLab(arguments: setting("commands.keyspaceEvents=true")) { lab, daemon in
      let app = try await daemon.connect()
      let subscriber = try await daemon.connect()
      #expect(
        try await app.command("CONFIG", "SET", "notify-keyspace-events", "Egx") == .simple("OK"))
      #expect(try await app.command("CONFIG", "SET", "maxmemory", "1").errorWord == "DENIED")
      _ = try await subscriber.command("PSUBSCRIBE", "__keyevent@*__:del")
      _ = try await subscriber.command("SUBSCRIBE", "__holdfast__:gap")
      await lab.initialMaster.kill()
      try await daemon.waitUntilServing(insteadOf: lab.initialMaster)
      let gap = try await subscriber.receive()
      #expect(gap.elements?.dropLast() == [.text("message"), .text("__holdfast__:gap")])
      try await daemon.waitForLog("subscribed again")

      #expect(try await app.command("SET", "session", "1") == .simple("OK"))
      #expect(try await app.command("DEL", "session") == .integer(1))
      #expect(try await subscriber.receive().elements?.last == .text("session"))
      #expect(try await app.command("PUBLISH", "__holdfast__:gap", "x").errorWord == "DENIED")
    }
  }
}
