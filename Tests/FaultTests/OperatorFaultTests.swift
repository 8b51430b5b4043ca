// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Operators do things behind Sentinel's back")
struct OperatorFaultTests {
  @Test("A bare FAILOVER: writes wait until the sentinels have understood, and none is lost")
  func bareFailover() async throws {
    // Sentinel takes a master that says "slave" for down after this and twice its info period.
    let arguments = setting("failover.waitMilliseconds=30000")
    try await withLab(arguments: arguments) { lab, daemon in
      let old = lab.initialMaster
      try await lab.hastenSentinels()
      let history = try await Load.on(daemon) { load in
        let target = lab.nodes[1]
        let reply = try await old.query(["FAILOVER", "TO", "127.0.0.1", "\(target.port)"])
        try #require(reply == .simple("OK"))
        try await eventually("the old master's end") {
          try await old.query(["ROLE"]).elements?.first == .text("slave")
        }
        try await lab.waitForPromotion(insteadOf: old)
        try await daemon.waitUntilServing(insteadOf: old)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), longest: .seconds(30))
    }
  }

  @Test("CLIENT PAUSE WRITE for a second: requests wait for it, nobody fails over")
  func pauseShort() async throws {
    let options = TopologyOptions { $0.downAfterMilliseconds = 10_000 }
    try await withLab(options) { lab, daemon in
      let master = lab.initialMaster
      let history = try await Load.on(daemon) { load in
        let client = try await daemon.connect()
        try await master.pauseClients(milliseconds: 1000, writesOnly: true)
        let start = ContinuousClock.now
        #expect(try await client.command("INCR", "mine") == .integer(1))
        #expect(ContinuousClock.now - start > .milliseconds(500))
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(at: master)
      #expect(history.uncertain == 0)
      #expect(try await daemon.info()["holdfast_generation"] == "1")
    }
  }

  @Test("CLIENT PAUSE WRITE makes Sentinel replace a living master: nothing is lost by it")
  func pauseLong() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let history = try await Load.on(daemon) { load in
        // The sentinels' own PUBLISH hangs, and every PING behind it.
        try await old.pauseClients(milliseconds: 6000, writesOnly: true)
        try await recorder.wait(for: "+odown")
        try await daemon.waitUntilServing(insteadOf: old)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), excused: recorder.secondFailover(after: old))
    }
  }

  @Test("All replicas at priority 0: nobody is promoted, said soon; the master's return ends it")
  func nobodyToPromote() async throws {
    let options = TopologyOptions {
      $0.appendOnly = true
      $0.failoverTimeoutMilliseconds = 2000
      $0.extraRedis = ["replica-priority 0"]
    }
    try await withLab(options) { lab, daemon in
      let master = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "k", "v") == .simple("OK"))
      // A commanded one is refused before it begins: no write waits.
      let refused = try await lab.sentinels[0].query(["SENTINEL", "FAILOVER", "mymaster"])
      #expect(refused.errorWord == "NOGOODSLAVE")
      #expect(try await client.command("INCR", "n") == .integer(1))

      await master.kill()
      let start = ContinuousClock.now
      let reply = try await client.command("GET", "k")
      #expect(ContinuousClock.now - start < .seconds(10))
      #expect(reply.errorWord == "NOMASTER", "\(reply)")
      let reasons = ["no-good-slave", "no replica can be promoted"]
      #expect(reasons.contains { "\(reply)".contains($0) }, "\(reply)")
      try await recorder.wait(for: "-failover-abort-no-good-slave")

      try await master.restart()
      try await daemon.waitUntilServing(master)
      #expect(try await client.command("GET", "k") == .text("v"))
      #expect(try await client.command("INCR", "n") == .integer(2))
      #expect(!recorder.events.contains { $0.channel == "+switch-master" })
    }
  }
}
