// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Acknowledged means replicated, by choice")
struct DurabilityTests {
  /// Sentinels must not take the frozen replicas for dead: then nobody could be promoted.
  private static let options = TopologyOptions {
    $0.downAfterMilliseconds = 2500
    $0.failoverTimeoutMilliseconds = 2000
  }

  @Test("Both replicas freeze for a second, then the master dies: async loses what it acknowledged")
  func asyncLoses() async throws {
    try await withLab(Self.options) { lab, daemon in
      let frozen = Moment()
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        try await Self.killBehindFrozenReplicas(lab, frozen, killed)
        try await daemon.waitUntilServing(insteadOf: lab.initialMaster)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      let master = try await lab.masterAgreed(with: daemon)
      #expect(try await history.lostWrites(at: master).count > 0, "this proves nothing")
      try await history.verify(
        at: master, excused: [frozen.time - Moment.replicationLag...killed.time])
    }
  }

  @Test("The same with durability.mode: replicated loses nothing; the rest answered UNREPLICATED")
  func replicatedLosesNothing() async throws {
    let arguments = setting(
      "durability.mode=replicated", "durability.timeoutMilliseconds=300")
    try await withLab(Self.options, arguments: arguments) { lab, daemon in
      let old = lab.initialMaster
      let frozen = Moment()
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        try await Self.killBehindFrozenReplicas(lab, frozen, killed)
        try await daemon.waitUntilServing(insteadOf: old)
        // "All" counts the dead one too, which sentinels may promote once it is back.
        try await old.restart()
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      #expect(history.errorCounts["UNREPLICATED"] ?? 0 > 0)
      #expect(
        history.writes.allSatisfy {
          !(frozen.time + .milliseconds(100)...killed.time ~= $0.acknowledged)
        },
        "acknowledged while no replica could have it")
      try await history.verify(at: try await lab.masterAgreed(with: daemon))
    }
  }

  /// Frozen for a second under load. What the sockets between would still hold for the replicas is
  /// filled up first, or they would find it there when they wake.
  private static func killBehindFrozenReplicas(
    _ lab: Topology, _ frozen: Moment, _ killed: Moment
  ) async throws {
    let replicas = lab.nodes.dropFirst()
    for replica in replicas { replica.freeze() }
    frozen.mark()
    let filling = String(repeating: "x", count: 1 << 20)
    for index in 0..<16 {
      let reply = try await lab.initialMaster.query(["SET", "filling:\(index)", filling])
      #expect(reply == .simple("OK"))
    }
    try await eventually("a second of writes", every: 10) {
      ContinuousClock.now - frozen.time >= .seconds(1)
    }
    await lab.initialMaster.kill()
    killed.mark()
    for replica in replicas { replica.thaw() }
  }

  @Test("HOLDFAST.DURABILITY and WAIT: each connection has its own, and answers are honest")
  func perConnection() async throws {
    let options = TopologyOptions { $0.downAfterMilliseconds = 30_000 }
    try await withLab(options) { lab, daemon in
      let master = lab.initialMaster
      let plain = try await daemon.connect()
      let sure = try await daemon.connect()
      #expect(try await plain.command("HOLDFAST.DURABILITY") == .text("ASYNC"))
      try await Self.choose(sure, "REPLICATED REPLICAS ALL TIMEOUT 5000")
      #expect(try await plain.command("HOLDFAST.DURABILITY") == .text("ASYNC"))
      for wrong in ["REPLICATED REPLICAS 0", "REPLICATED TIMEOUT", "SURELY", "ASYNC TIMEOUT 3"] {
        let reply = try await sure.command(Self.durability(wrong))
        #expect(reply.errorWord == "ERR" && "\(reply)".contains("HOLDFAST.DURABILITY ASYNC"))
      }
      #expect(try await sure.command("SET", "k", "both") == .simple("OK"))
      #expect(try await plain.command("SET", "p", "1") == .simple("OK"))
      #expect(try await plain.command("WAIT", "2", "2000") == .integer(2))

      lab.nodes[1].freeze()
      try await Self.choose(sure, "REPLICATED REPLICAS ALL TIMEOUT 400")
      try await Self.expectOneReplica(plain, sure, master)
      lab.nodes[1].thaw()
      try await Self.choose(sure, "REPLICATED REPLICAS ALL TIMEOUT 5000")
      #expect(try await sure.command("SET", "k", "again both") == .simple("OK"))
      #expect(try await plain.command("WAIT", "2", "5000") == .integer(2))
      for node in lab.nodes {
        #expect(try await node.query(["GET", "k"]) == .text("again both"))
      }
    }
  }

  /// One of the two replicas has nothing.
  private static func expectOneReplica(
    _ plain: LabClient, _ sure: LabClient, _ master: Node
  ) async throws {
    #expect(try await plain.command("SET", "p", "2") == .simple("OK"))
    let start = ContinuousClock.now
    #expect(try await plain.command("WAIT", "2", "300") == .integer(1))
    #expect(ContinuousClock.now - start >= .milliseconds(290))
    #expect(try await plain.command("WAIT", "1", "2000") == .integer(1))

    let refused = try await sure.command("SET", "k", "one")
    #expect(refused.errorWord == "UNREPLICATED" && "\(refused)".contains("1 replicas"))
    #expect(try await master.query(["GET", "k"]) == .text("one"))
    // Reads wait for nobody.
    #expect(try await sure.command("GET", "k") == .text("one"))
    let transaction = try await sure.pipeline([["MULTI"], ["INCR", "n"], ["EXEC"]])
    #expect(transaction.last?.errorWord == "UNREPLICATED")
    #expect(try await master.query(["GET", "n"]) == .text("1"))
    try await choose(sure, "REPLICATED REPLICAS 1 TIMEOUT 5000")
    #expect(try await sure.command("SET", "k", "one is enough") == .simple("OK"))
    try await choose(sure, "ASYNC")
    #expect(try await sure.command("SET", "k", "none needed") == .simple("OK"))
  }

  private static func choose(_ client: LabClient, _ durability: String) async throws {
    #expect(try await client.command(self.durability(durability)) == .text(durability))
  }

  private static func durability(_ words: String) -> [String] {
    ["HOLDFAST.DURABILITY"] + words.split(separator: " ").map(String.init)
  }

  @Test("An app's WAIT after a change of master answers 0 for what the old one acknowledged")
  func waitAcrossFailover() async throws {
    try await withLab { lab, daemon in
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "k", "v") == .simple("OK"))
      #expect(try await client.command("WAIT", "2", "2000") == .integer(2))
      await lab.initialMaster.kill()
      try await daemon.waitUntilServing(insteadOf: lab.initialMaster)
      #expect(try await client.command("WAIT", "1", "1000") == .integer(0))
      try await lab.waitForPromotion(insteadOf: lab.initialMaster)
      try await lab.waitUntilAgreed()
      #expect(try await client.command("SET", "k", "w") == .simple("OK"))
      #expect(try await client.command("WAIT", "1", "5000") == .integer(1))
    }
  }
}
