// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Sentinels that are behind, forged or without memory")
struct RogueSentinelTests {
  @Test("One is left behind with the old master, both within reach: the higher epoch counts")
  func stale() async throws {
    try await withLab(TopologyOptions { $0.relayed = true }) { lab, daemon in
      let old = lab.initialMaster
      let cut = Moment()
      let switched = Moment()
      let history = try await Load.on(daemon) { load in
        lab.partition([old, lab.sentinels[0]], clients: .all)
        cut.mark()
        let promoted = try await eventually("a promotion on the other side", within: 30_000) {
          let node = try await lab.master(by: lab.sentinels[1])
          return node === old ? nil : node
        }
        try await daemon.waitUntilServing(promoted)
        switched.mark()
        #expect(try await lab.master(by: lab.sentinels[0]) === old)
        #expect(try await old.query(["ROLE"]).elements?.first == .text("master"))
        try await Self.startFresh(lab, serves: promoted, not: old)
        try await load.waitForProgress()
        lab.heal()
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: [cut.time - Moment.replicationLag...switched.time])
      #expect(try await daemon.info()["holdfast_generation"] == "2")
    }
  }

  /// A daemon that starts now hears the stale sentinel among the others, which come later in its list.
  private static func startFresh(
    _ lab: Topology, serves promoted: Node, not old: Node
  ) async throws {
    try await withDaemon(try await Daemon.start(for: lab)) { fresh in
      let client = try await fresh.connect()
      #expect(try await client.command("SET", "fresh", "v") == .simple("OK"))
      #expect(try await promoted.query(["GET", "fresh"]) == .text("v"))
      #expect(try await old.query(["EXISTS", "fresh"]) == .integer(0))
    }
  }

  @Test("Frozen across a failover, then thawed: what it still believes moves nobody")
  func thawed() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      try await lab.hastenSentinels()
      let history = try await Load.on(daemon) { load in
        lab.sentinels[0].freeze()
        try await lab.commandFailover(by: lab.sentinels[1])
        try await daemon.waitUntilServing(insteadOf: old)
        try await load.waitForProgress()
        lab.sentinels[0].thaw()
        try await load.waitForProgress(400)
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), excused: recorder.secondFailover(after: old))
      #expect(try await daemon.info()["holdfast_generation"] == "2")
    }
  }

  @Test("A forged hello with the same epoch and another address")
  func forgedHello() async throws {
    try await withLab { lab, daemon in
      let history = try await Load.on(daemon) { load in
        let sentinel = lab.sentinels[1]
        let id = try await sentinel.query(["SENTINEL", "MYID"]).text ?? ""
        let fields = try await lab.sentinels[0].query(["SENTINEL", "MASTER", "mymaster"])
        let epoch = fields.dictionary?["config-epoch"]?.text ?? "0"
        let hello =
          "127.0.0.1,\(sentinel.port),\(id),\(epoch),mymaster,127.0.0.1,\(lab.nodes[1].port),\(epoch)"
        for _ in 0..<10 {
          for node in lab.nodes {
            let heard = try await node.query(["PUBLISH", "__sentinel__:hello", hello])
            #expect((heard.integerValue ?? 0) >= 3)
          }
          try await load.waitForProgress(20)
        }
        // An app cannot send one.
        let client = try await daemon.connect()
        let refused = try await client.command("PUBLISH", "__sentinel__:hello", hello)
        #expect(refused.errorWord == "DENIED")
      }
      history.expectWork()
      try await history.verify(at: lab.initialMaster)
      #expect(history.uncertain == 0)
      #expect(try await daemon.info()["holdfast_generation"] == "1")
      #expect(try await lab.currentMaster() === lab.initialMaster)
    }
  }

  @Test("One names another master by the same epoch: the majority counts, and without one nobody")
  func equalEpoch() async throws {
    try await withRogue { lab, rogue in
      let seeds = [
        "--sentinels", "\(rogue.sentinelList),\(lab.sentinelList)", "--master", "mymaster",
      ]
      // It appears later.
      rogue.sentinels[0].freeze()
      try await withDaemon(try await Daemon.start(arguments: seeds)) { daemon in
        let history = try await Load.on(daemon) { load in
          rogue.sentinels[0].thaw()
          try await load.waitForProgress(600)
        }
        history.expectWork()
        try await history.verify(at: lab.initialMaster)
        #expect(history.uncertain == 0)
        #expect(try await daemon.info()["holdfast_generation"] == "1")
      }

      // One against one: neither is right, until others are heard.
      for sentinel in lab.sentinels.dropFirst() { await sentinel.kill() }
      let arguments = seeds + setting("failover.waitMilliseconds=2500")
      try await withDaemon(try await Daemon.start(arguments: arguments)) { daemon in
        let client = try await daemon.connect()
        let reply = try await client.command("SET", "k", "v")
        #expect(reply.errorWord == "NOMASTER")
        #expect("\(reply)".contains("different masters"))
        for sentinel in lab.sentinels.dropFirst() { try await sentinel.restart() }
        try await daemon.waitUntilServing(lab.initialMaster)
        #expect(try await client.command("SET", "k", "v") == .simple("OK"))
      }
      #expect(try await rogue.initialMaster.query(["DBSIZE"]) == .integer(0))
    }
  }

  /// Another master, and a sentinel that names it, under the lab's own name.
  private func withRogue(
    _ body: @Sendable (Topology, Topology) async throws -> Void
  ) async throws {
    try await Topology.with { lab in
      let alone = TopologyOptions {
        $0.replicas = 0
        $0.sentinels = 1
        $0.quorum = 1
      }
      let rogue = try await Topology.start(alone)
      do {
        try await body(lab, rogue)
      } catch {
        await rogue.stop()
        throw error
      }
      await rogue.stop()
    }
  }

  @Test("One restarts with its first configuration: epoch 0, a new identity, the first master")
  func withoutMemory() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      try await lab.hastenSentinels()
      // Its first generation is to be the first master's.
      try await daemon.waitUntilServing(old)
      try await lab.commandFailover()
      let promoted = try await lab.waitForPromotion(insteadOf: old)
      try await daemon.waitUntilServing(promoted)
      try await lab.waitUntilAgreed()
      let history = try await Load.on(daemon) { load in
        try await lab.sentinels[0].restartForgetful()
        try await load.waitForProgress(400)
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(at: promoted)
      #expect(history.uncertain == 0)
      #expect(try await daemon.info()["holdfast_generation"] == "2")
    }
  }
}
