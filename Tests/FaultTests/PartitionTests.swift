// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

/// Partitions are made by relays that tell who connects.
@Suite("The network is cut in two")
struct PartitionTests {
  private static let relayed = TopologyOptions { $0.relayed = true }

  @Test("Cut off from the master alone: requests wait, then go on; nobody fails over")
  func fromMaster() async throws {
    let arguments = setting("redis.commandTimeoutMilliseconds=700")
    try await withLab(Self.relayed, arguments: arguments) { lab, daemon in
      let master = lab.initialMaster
      let history = try await Load.on(daemon) { load in
        lab.cutClients(from: [master])
        try await daemon.waitForLog("\(master.endpoint)")
        let client = try await daemon.connect()
        try await client.send(["INCR", "mine"])
        try await eventually("the master noticed unreachable") {
          try await daemon.info()["holdfast_state"] != "serving"
        }
        lab.heal()
        let reply = try await client.receive()
        #expect(reply == .integer(1) || reply.errorWord == "UNCERTAIN")
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(at: master)
      #expect(try await lab.currentMaster() === master)
      #expect(try await daemon.info()["holdfast_generation"] == "1")
    }
  }

  @Test("Cut off from the master alone, for longer than requests wait: NOMASTER says why")
  func fromMasterForLong() async throws {
    let arguments = setting(
      "redis.commandTimeoutMilliseconds=500", "failover.waitMilliseconds=1500")
    try await withLab(Self.relayed, arguments: arguments) { lab, daemon in
      let master = lab.initialMaster
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "k", "v") == .simple("OK"))
      lab.cutClients(from: [master])
      // The first may have been sent; the second surely was not.
      _ = try await client.command("GET", "k")
      let start = ContinuousClock.now
      let reply = try await client.command("INCR", "n")
      #expect(reply.errorWord == "NOMASTER")
      #expect("\(reply)".contains("\(master.endpoint)"))
      #expect(ContinuousClock.now - start < .seconds(4))
      lab.heal()
      try await eventually("service again") {
        try await client.command("INCR", "n") == .integer(1)
      }
    }
  }

  @Test("Cut off with the master and one sentinel: what only that side had is lost, no more")
  func minority() async throws {
    try await withLab(Self.relayed) { lab, daemon in
      let old = lab.initialMaster
      let cut = Moment()
      let switched = Moment()
      let history = try await Load.on(daemon) { load in
        lab.partition([old, lab.sentinels[0]], clients: .side)
        cut.mark()
        // The other side fails over meanwhile; on this one the master goes on.
        try await load.waitForProgress()
        let promoted = try await eventually("a promotion on the other side", within: 30_000) {
          let node = try await lab.master(by: lab.sentinels[1])
          return node === old ? nil : node
        }
        try await load.waitForProgress()
        lab.heal()
        try await daemon.waitUntilServing(promoted)
        switched.mark()
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: [cut.time - Moment.replicationLag...switched.time])
    }
  }

  @Test("The same with min-replicas-to-write: writes wait for the other side, and none is lost")
  func minorityWithMinReplicas() async throws {
    let options = TopologyOptions {
      $0.relayed = true
      $0.extraRedis = ["min-replicas-to-write 1", "min-replicas-max-lag 2"]
    }
    try await withLab(options) { lab, daemon in
      let old = lab.initialMaster
      let cut = Moment()
      let history = try await Load.on(daemon) { load in
        lab.partition([old, lab.sentinels[0]], clients: .side)
        cut.mark()
        let client = try await daemon.connect()
        try await eventually("NOREPLICAS at the old master", within: 10_000) {
          try await old.query(["SET", "probe", "x"]).errorWord == "NOREPLICAS"
        }
        try await client.send(["SET", "waits", "v"])
        let promoted = try await eventually("a promotion on the other side", within: 30_000) {
          let node = try await lab.master(by: lab.sentinels[1])
          return node === old ? nil : node
        }
        // A replica that still follows the old master would let it take writes again when the cut heals.
        try await eventually("the other replica following", within: 30_000) {
          let text = try await promoted.query(["INFO", "replication"]).text ?? ""
          return text.contains("connected_slaves:1")
        }
        lab.heal()
        try await daemon.waitUntilServing(promoted)
        #expect(try await client.receive() == .simple("OK"))
        #expect(try await promoted.query(["GET", "waits"]) == .text("v"))
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      // Redis counts a replica for `min-replicas-max-lag` whole seconds after its last word.
      let counted = cut.time - Moment.replicationLag...cut.time + .milliseconds(3500)
      try await history.verify(at: try await lab.masterAgreed(with: daemon), excused: [counted])
    }
  }

  @Test("Cut off from two of three sentinels: the third one's word and ROLE are enough")
  func fromMostSentinels() async throws {
    try await withLab(Self.relayed) { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        lab.cutClients(from: Array(lab.sentinels.dropFirst()))
        try await daemon.waitForLog("sentinel \(lab.sentinels[1].endpoint) does not answer")
        try await daemon.waitForLog("sentinel \(lab.sentinels[2].endpoint) does not answer")
        await old.kill()
        killed.mark()
        try await daemon.waitUntilServing(insteadOf: old)
        try await load.waitForProgress()
        lab.heal()
      }
      history.expectWork()
      try await lab.waitUntilAgreed()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [killed.lag])
    }
  }

  @Test("Cut off from all sentinels while they fail over: the old master's end is said, not hidden")
  func fromAllSentinels() async throws {
    try await withLab(Self.relayed) { lab, daemon in
      let old = lab.initialMaster
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "k", "before") == .simple("OK"))
      #expect(try await old.query(["WAIT", "2", "2000"]) == .integer(2))
      lab.cutClients(from: lab.sentinels)
      try await daemon.waitForLog("sentinel \(lab.sentinels[2].endpoint) does not answer")
      await old.kill()
      let promoted = try await lab.waitForPromotion(insteadOf: old)
      // It does not guess: a replica that says master is nobody's word.
      let reply = try await client.command("SET", "k", "after")
      #expect(reply.errorWord == "NOMASTER")
      #expect("\(reply)".contains("no sentinel answers"))
      lab.heal()
      try await daemon.waitUntilServing(promoted)
      #expect(try await client.command("GET", "k") == .text("before"))
      #expect(try await client.command("SET", "k", "after") == .simple("OK"))
    }
  }

  @Test(
    "Half-open: the master's host falls silent for all; connections are given up, requests go on")
  func halfOpenMaster() async throws {
    try await withLab(Self.relayed) { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let silenced = Moment()
      let history = try await Load.on(daemon) { load in
        old.relay?.mode = .drop
        silenced.mark()
        let promoted = try await lab.waitForPromotion(insteadOf: old)
        try await daemon.waitUntilServing(promoted)
        try await load.waitForProgress()
        // What got stuck arrives now, at a node that no longer counts.
        old.relay?.mode = .pass
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [silenced.lag])
    }
  }
}
