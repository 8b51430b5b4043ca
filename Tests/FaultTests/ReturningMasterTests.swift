// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("A master that was given up comes back")
struct ReturningMasterTests {
  @Test("Restarted after its replacement, it says master for seconds: nobody uses it")
  func saysMaster() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        await old.kill()
        killed.mark()
        try await lab.waitForPromotion(insteadOf: old)
        try await old.restart()
        let sightings = try await Self.watch(old, load)
        #expect(sightings > 0, "it never said master: this proves nothing")
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [killed.lag])
    }
  }

  /// How often it said master until it was demoted (or long enough), while nothing was written there.
  private static func watch(_ old: Node, _ load: Load) async throws -> Int {
    let client = try await LabClient.connect(old.endpoint)
    var sightings = 0
    let end = ContinuousClock.now + .seconds(4)
    while ContinuousClock.now < end {
      // In one go: as a replica it executes what its master did. Sentinel closes this connection when it demotes.
      let asked = try? await client.pipeline([
        ["MULTI"], ["ROLE"], ["INFO", "commandstats"], ["EXEC"],
      ])
      guard let replies = asked else { break }
      let parts = replies.last?.elements ?? []
      guard parts.first?.elements?.first == .text("master") else { break }
      sightings += 1
      let stats = parts.last?.text ?? ""
      for name in ["setex", "incr", "rpush", "get"] {
        #expect(!stats.contains("cmdstat_\(name):"), "\(name) was sent to the old master")
      }
      try await load.waitForProgress(20)
    }
    return sightings
  }

  @Test("Restarted empty before anyone missed it: all goes on with what is there now")
  func emptyAtOnce() async throws {
    let options = TopologyOptions { $0.downAfterMilliseconds = 5000 }
    try await withLab(options) { lab, daemon in
      let master = lab.initialMaster
      let start = Moment()
      let emptied = Moment()
      let history = try await Load.on(daemon) { load in
        try await master.restart(empty: true)
        emptied.mark()
        try await load.waitForProgress()
      }
      history.expectWork()
      // All that it held is gone, by no failover.
      try await history.verify(at: master, excused: [start.to(emptied)])
      #expect(try await lab.currentMaster() === master)
      #expect(try await daemon.info()["holdfast_generation"] == "2")
    }
  }

  @Test("There and back: A, B, A; the links of A's first time are not used in its second")
  func thereAndBack() async throws {
    let options = TopologyOptions {
      $0.replicas = 1
      $0.failoverTimeoutMilliseconds = 1000
    }
    try await withLab(options) { lab, daemon in
      let (first, second) = (lab.nodes[0], lab.nodes[1])
      try await lab.hastenSentinels()
      let history = try await Load.on(daemon) { load in
        try await lab.commandFailover()
        try await daemon.waitUntilServing(second)
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
        try await lab.commandFailoverWhenAllowed()
        try await daemon.waitUntilServing(first)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(at: first)
      #expect(try await daemon.info()["holdfast_generation"] == "3")
    }
  }
}
