// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Sentinels are silent, cut off or dead")
struct SentinelLossTests {
  @Test("A failover with one silent seed and one sentinel cut off", .timeLimit(.minutes(10)))
  func silentSentinels() async throws {
    let silent = try Listener()
    let options = TopologyOptions { $0.relayed = true }
    try await Topology.with(options) { lab in
      // The silent one comes first.
      let daemon = try await Daemon.start(arguments: [
        "--sentinels", "127.0.0.1:\(silent.port),\(lab.sentinelList)", "--master", "mymaster",
      ])
      try await withDaemon(daemon) { daemon in
        let old = lab.initialMaster
        let recorder = try await EventRecorder.start(lab)
        defer { recorder.stop() }
        let killed = Moment()
        let history = try await Load.on(daemon) { load in
          lab.sentinels[0].relay?.mode = .drop
          try await daemon.waitForLog("sentinel \(lab.sentinels[0].endpoint) does not answer")
          try await load.waitForProgress()
          await old.kill()
          killed.mark()
          try await daemon.waitUntilServing(insteadOf: old)
        }
        history.expectWork()
        try await history.verify(
          at: try await lab.masterAgreed(with: daemon),
          excused: recorder.secondFailover(after: old) + [
            killed.time - .milliseconds(500)...killed.time
          ])
        #expect(daemon.log.contains("sentinel 127.0.0.1:\(silent.port) does not answer"))
      }
    }
  }

  @Test("Sentinels die one by one: no request notices; then the master: NOMASTER, with the reason")
  func oneByOne() async throws {
    try await withLab { lab, daemon in
      let master = lab.initialMaster
      let history = try await Load.on(daemon) { load in
        for (index, sentinel) in lab.sentinels.enumerated() {
          if index == 0 { sentinel.freeze() } else { await sentinel.kill() }
          try await daemon.waitForLog("sentinel \(sentinel.endpoint) does not answer")
          try await load.waitForProgress()
        }
        await lab.sentinels[0].kill()
        // New connections, too, are made to a verified master without any sentinel.
        try await master.query(["CLIENT", "KILL", "TYPE", "normal"])
        try await load.waitForProgress(400)
      }
      history.expectWork()
      try await history.verify(at: master)
      try await daemon.waitForLog("a failover needs 2")

      let client = try await daemon.connect()
      await master.kill()
      let start = ContinuousClock.now
      let reply = try await client.command("GET", "k")
      // Well before the 15 s that a request would wait while there is hope.
      #expect(ContinuousClock.now - start < .seconds(8))
      #expect(reply.errorWord == "NOMASTER")
      guard case .error(let text) = reply else { return }
      #expect(text.contains("\(master.endpoint)") && text.contains("no sentinel answers"))
      let again = ContinuousClock.now
      #expect(try await client.command("SET", "k", "v").errorWord == "NOMASTER")
      #expect(ContinuousClock.now - again < .seconds(1))

      try await master.restart()
      for sentinel in lab.sentinels { try await sentinel.restart() }
      try await eventually("service again", within: 30_000) {
        try await client.command("SET", "k", "v") == .simple("OK")
      }
    }
  }

  @Test("Two of three sentinels dead, then the master: no failover can come, said soon")
  func quorumLost() async throws {
    try await withLab(arguments: setting("failover.waitMilliseconds=20000")) { lab, daemon in
      for sentinel in lab.sentinels.dropFirst() { await sentinel.kill() }
      let client = try await daemon.connect()
      try await daemon.waitForLog("a failover needs 2")
      #expect(try await client.command("SET", "k", "v") == .simple("OK"))
      await lab.initialMaster.kill()
      let start = ContinuousClock.now
      let reply = try await client.command("GET", "k")
      #expect(ContinuousClock.now - start < .seconds(10))
      #expect(reply.errorWord == "NOMASTER")
      guard case .error(let text) = reply else { return }
      #expect(text.contains("a failover needs 2"))
    }
  }
}
