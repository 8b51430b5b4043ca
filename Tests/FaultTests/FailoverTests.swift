// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("The master dies, freezes, moves or restarts under load")
struct FailoverTests {
  /// What a replica may not have received yet when its master dies.
  private static let replicationLag = Duration.milliseconds(500)

  @Test(
    "kill -9: a pause, no error; the old master's return changes nothing", .timeLimit(.minutes(10)))
  func kill() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        await old.kill()
        killed.mark()
        let promoted = try await lab.waitForPromotion(insteadOf: old)
        try await daemon.waitUntilServing(promoted)
        try await load.waitForProgress()
        // It says that it is master until the sentinels demote it, and nobody may write there.
        try await old.restart()
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [
          killed.time - Self.replicationLag...killed.time
        ])
      #expect(history.counters.values.allSatisfy { $0.refused.isEmpty })
    }
  }

  @Test("SIGSTOP, promotion, SIGCONT: nothing acknowledged is lost", .timeLimit(.minutes(10)))
  func freeze() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let history = try await Load.on(daemon) { load in
        old.freeze()
        let promoted = try await lab.waitForPromotion(insteadOf: old)
        try await daemon.waitUntilServing(promoted)
        try await load.waitForProgress()
        old.thaw()
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), excused: recorder.secondFailover(after: old))
    }
  }

  @Test("SENTINEL FAILOVER: no error, nothing lost", .timeLimit(.minutes(10)))
  func planned() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      try await lab.hastenSentinels()
      let history = try await Load.on(daemon) { load in
        try await lab.commandFailover()
        try await daemon.waitUntilServing(insteadOf: old)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), excused: recorder.secondFailover(after: old))
      #expect(history.longestWait < .milliseconds(1500))
    }
  }

  @Test("A thaw before anyone misses the master: all goes on where it was")
  func shortFreeze() async throws {
    let options = TopologyOptions { $0.downAfterMilliseconds = 10_000 }
    try await withLab(options) { lab, daemon in
      let history = try await Load.on(daemon) { load in
        let client = try await daemon.connect()
        lab.initialMaster.freeze()
        try await client.send(["INCR", "once"])
        await #expect(throws: LabError.self) {
          try await client.receive(timeoutMilliseconds: 700)
        }
        lab.initialMaster.thaw()
        #expect(try await client.receive() == .integer(1))
      }
      history.expectWork()
      #expect(history.counters.values.allSatisfy { $0.uncertain == 0 })
      try await history.verify(at: lab.initialMaster)
    }
  }

  @Test("The master restarts at once, with its data, then empty")
  func restart() async throws {
    let options = TopologyOptions {
      $0.downAfterMilliseconds = 10_000
      $0.appendOnly = true
    }
    try await withLab(options) { lab, daemon in
      let master = lab.initialMaster
      try await daemon.waitUntilServing(master)
      let before = try await daemon.info()["holdfast_generation"]
      let history = try await Load.on(daemon) { load in
        try await master.restart()
        try await load.waitForProgress()
      }
      history.expectWork()
      try await history.verify(at: master)
      let after = try await daemon.info()["holdfast_generation"]
      #expect(before == "1" && after == "2")

      // As if its disk was lost: what it held is gone, as no failover came; nothing fails.
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "kept", "no") == .simple("OK"))
      try await master.restart(empty: true)
      try await eventually("the third generation") {
        try await daemon.info()["holdfast_generation"] == "3"
      }
      #expect(try await client.command("GET", "kept") == .null)
      #expect(try await client.command("SET", "new", "yes") == .simple("OK"))
      #expect(try await master.query(["GET", "new"]) == .text("yes"))
      try await lab.waitUntilAgreed()
      #expect(try await lab.currentMaster() === master)
    }
  }

  @Test("The master restarts empty and a replica is promoted: what it had stays")
  func emptyAfterPromotion() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        await old.kill()
        killed.mark()
        try await lab.waitForPromotion(insteadOf: old)
        // At once, so that sentinels and daemon see two masters.
        try await old.restart(empty: true)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [
          killed.time - Self.replicationLag...killed.time
        ])
    }
  }
}
