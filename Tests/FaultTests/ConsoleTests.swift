// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("The operator's console")
struct ConsoleTests {
  private static func fields(_ value: RESPValue) -> [String: RESPValue] { value.dictionary ?? [:] }

  @Test("Events: pushed and listed alike, in order, through a failover")
  func events() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      // Of a master that it never saw it reports no failover.
      try await daemon.waitUntilServing(old)
      let watcher = try await daemon.connect()
      #expect(try await watcher.command("HOLDFAST.WATCH").errorWord == "ERR", "RESP2 has no pushes")
      _ = try await watcher.command("HELLO", "3")
      #expect(try await watcher.command("HOLDFAST.WATCH") == .simple("OK"))
      let client = try await daemon.connect()
      await old.kill()
      try await daemon.waitUntilServing(insteadOf: old)
      try await daemon.waitForLog("failover 1 ")

      let listed = try await client.command("HOLDFAST.EVENTS").elements ?? []
      let ids = listed.compactMap { Self.fields($0)["id"]?.integerValue }
      #expect(ids == Array(1...Int64(listed.count)))
      let names = Set(listed.compactMap { Self.fields($0)["event"]?.text })
      #expect(
        names.isSuperset(of: ["started", "master-switched", "cut-over-complete"]), "\(names)")
      var before = 0
      var last = 0
      repeat {
        let push = try await watcher.receive(timeoutMilliseconds: 20_000)
        guard case .push(let parts) = push, parts.count == 2 else {
          throw LabError.failed("no push: \(push)")
        }
        #expect(parts[0].text == "holdfast.event")
        let event = Self.fields(parts[1])
        let id = Int(event["id"]?.integerValue ?? 0)
        try #require(last == 0 || id == last + 1, "\(id) after \(last)")
        #expect(event["message"]?.text == Self.fields(listed[id - 1])["message"]?.text)
        if last == 0 { before = id - 1 }
        last = id
      } while last < listed.count
      let since = try await client.command(
        ["HOLDFAST.EVENTS", "since", "\(before)", "COUNT", "2"])
      #expect(since.elements?.count == 2)
      #expect(try await client.command("HOLDFAST.EVENTS", "SINCE").errorWord == "ERR")
    }
  }

  @Test("Status, top and clients tell what is")
  func views() async throws {
    try await withLab { lab, daemon in
      let client = try await daemon.connect()
      _ = try await client.command("CLIENT", "SETNAME", "shop")
      for number in 0..<20 { _ = try await client.command("SET", "k", "\(number)") }
      let status = Self.fields(try await client.command("HOLDFAST.STATUS"))
      #expect(status["state"]?.text == "serving")
      #expect(status["master"]?.text == "\(lab.initialMaster.endpoint)")
      #expect(status["sentinels"]?.elements?.count == 3)
      #expect(status["replicas"]?.elements?.count == 2)
      let top = Self.fields(try await client.command("HOLDFAST.TOP"))
      let writes = (top["classes"]?.elements ?? []).map(Self.fields)
        .first { $0["class"]?.text == "write" }
      #expect(writes?["commands"]?.integerValue == 20)
      #expect((writes?["p99-us"]?.integerValue ?? 0) > 0)
      let rows = (try await client.command("HOLDFAST.CLIENTS").elements ?? []).map(Self.fields)
      let own = rows.first { $0["names"]?.elements?.contains(.text("shop")) ?? false }
      #expect((own?["commands"]?.integerValue ?? 0) >= 22)
      let text = try await client.command("HOLDFAST.METRICS").text ?? ""
      #expect(text.contains("holdfast_requests_total{class=\"write\"} 20\n"))
      #expect(text.contains("holdfast_sentinels_reachable 3\n"))
    }
  }

  @Test("CLIENT LIST shows all connections of the host; a permissive profile lets FLUSHDB through")
  func plainRedis() async throws {
    try await withFixed(arguments: setting("commands.profile=permissive", "pool.shards=2")) {
      _, daemon in
      var clients: [LabClient] = []
      for number in 0..<4 {
        let client = try await daemon.connect()
        _ = try await client.command("CLIENT", "SETNAME", "n\(number)")
        clients.append(client)
      }
      let list = try await clients[0].command("CLIENT", "LIST").text ?? ""
      for number in 0..<4 { #expect(list.contains(" name=n\(number) "), "\(list)") }
      #expect(list.split(separator: "\n").count == 4)
      _ = try await clients[0].command("SET", "k", "1")
      #expect(try await clients[0].command("FLUSHDB") == .simple("OK"))
      #expect(try await clients[1].command("GET", "k") == .null)
    }
    try await withFixed { _, daemon in
      let reply = try await daemon.connect().command("FLUSHDB")
      guard case .error(let text) = reply else { throw LabError.failed("\(reply)") }
      #expect(text.hasPrefix("DENIED") && text.contains("commands.open"))
    }
  }

  @Test("A reload changes what can change at once; a bad file changes nothing")
  func reload() async throws {
    try await withFolder { folder in
      try await withFixed { lab, _ in
        @Sendable func write(_ wait: String, _ rest: String = "") throws {
          try folder.write(
            "holdfastd.yaml",
            """
            redis:
              address: \(lab.initialMaster.endpoint)
            failover:
              waitMilliseconds: \(wait)
            \(rest)
            """)
        }
        try write("60000")
        let file = "\(folder.path)/holdfastd.yaml"
        try await withDaemon(try await Daemon.start(arguments: ["--config", file])) { daemon in
          let client = try await daemon.connect()
          #expect(try await client.command("SET", "k", "1") == .simple("OK"))
          try write("300", "limits:\n  inFlightPerClient: 7\npool:\n  shards: 2")
          let answer = Self.fields(try await client.command("HOLDFAST.RELOAD"))
          #expect(
            answer["changed"]?.elements?.compactMap(\.text)
              == ["failover.waitMilliseconds", "limits.inFlightPerClient"])
          #expect(answer["needs-restart"]?.elements?.compactMap(\.text) == ["pool.shards"])

          try write("soon")
          let refused = try await client.command("HOLDFAST.RELOAD")
          guard case .error(let text) = refused else { throw LabError.failed("\(refused)") }
          #expect(text.contains("\(file):4: failover.waitMilliseconds"), "\(text)")

          await lab.initialMaster.kill()
          let start = ContinuousClock.now
          #expect(try await client.command("SET", "k", "2").errorWord == "NOMASTER")
          #expect(ContinuousClock.now - start < .seconds(20), "the wait is the new one")
        }
      }
    }
  }
}
