// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Testing

/// The leader dies after it has promoted a replica and before it has told the others: the price of
/// following a promotion early, and its bounds.
@Suite("The leader is killed while it waits for the promotion")
struct LeaderLossTests {
  private static let options = TopologyOptions { $0.failoverTimeoutMilliseconds = 1500 }

  @Test(
    "The old master lives and goes on: what the promoted one took meanwhile is listed as lost",
    arguments: [false, true])
  func masterAlive(isDemotedSoon: Bool) async throws {
    try await withLab(Self.options) { lab, daemon in
      let old = lab.initialMaster
      // Else it is demoted long after it was fenced and given up.
      if isDemotedSoon { try await lab.hastenSentinels() }
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let history = try await Load.on(daemon) { load in
        async let promoted = Self.killLeader(of: lab, recorder)
        try await lab.commandFailover()
        try await daemon.waitUntilServing(try await promoted)
        try await load.waitForProgress()
        // Nobody confirms it, so it does not last.
        try await daemon.waitUntilServing(old)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      #expect(try await lab.masterAgreed(with: daemon) === old)
      try await history.verify(at: old, excused: recorder.unconfirmedPromotion)
      try await Self.expectAbandoned(daemon, history, old)
    }
  }

  @Test("The old master is dead: requests go on, wait for another failover, and go on")
  func masterDead() async throws {
    try await withLab(Self.options) { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        async let promoted = Self.killLeader(of: lab, recorder)
        await old.kill()
        killed.mark()
        try await daemon.waitUntilServing(try await promoted)
        try await load.waitForProgress()
        // The survivors do not know of it: they promote one of the two, after their own time.
        try await recorder.wait(for: "+switch-master")
        try await load.waitForProgress()
        try await old.restart()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      let master = try await lab.masterAgreed(with: daemon)
      #expect(master !== old)
      try await history.verify(
        at: master, excused: recorder.unconfirmedPromotion + [killed.lag])
      let first = try #require(try await daemon.failovers().first)
      #expect(first.text("kind") == "crash")
      let lost = try await history.lostWrites(at: master).filter {
        $0.write.acknowledged > killed.time
      }
      let listed = try await daemon.failovers().reduce(0) {
        $0 + ($1.number("possibly-lost-writes") ?? 0)
      }
      #expect(Int64(lost.count) <= listed, "\(first)")
    }
  }

  @Test("earlyCutOver never: writes wait, and nothing is lost", .enabled(if: isLongRun))
  func neverEarly() async throws {
    let arguments = setting("failover.earlyCutOver=never")
    try await withLab(Self.options, arguments: arguments) { lab, daemon in
      let old = lab.initialMaster
      try await lab.hastenSentinels()
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let history = try await Load.on(daemon) { load in
        async let promoted = Self.killLeader(of: lab, recorder)
        try await lab.commandFailover()
        _ = try await promoted
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      #expect(try await lab.masterAgreed(with: daemon) === old)
      // The leader might come back for as long as a request may wait.
      try await history.verify(at: old, mayRefuse: true)
      #expect(try await daemon.firstFailover().text("outcome") == "aborted")
    }
  }

  /// The node that was promoted; its leader is gone before it knew that. It asks once a second.
  private static func killLeader(of lab: Topology, _ recorder: EventRecorder) async throws -> Node {
    let promoted = try await LabThread.run {
      let event: SentinelEvent = try poll("+failover-state-wait-promotion") {
        recorder.first("+failover-state-wait-promotion")
      }
      let node: Node = try poll("the promotion") {
        try lab.nodes.dropFirst().first {
          try $0.queryBlocking(["ROLE"]).elements?.first == .text("master")
        }
      }
      lab.sentinels[event.sentinel].killNow()
      return node
    }
    try #require(recorder.first("+promoted-slave") == nil, "the leader knew already")
    return promoted
  }

  /// Again and again, much faster than a second has gone.
  private static func poll<T>(_ what: String, _ attempt: () throws -> T?) throws -> T {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
      if let answer = try? attempt() { return answer }
      usleep(500)
    }
    throw LabError.timeout(what)
  }

  private static func expectAbandoned(
    _ daemon: Daemon, _ history: History, _ old: Node
  ) async throws {
    let first = try await daemon.firstFailover()
    #expect(first.text("kind") == "planned" && first.text("outcome") == "abandoned", "\(first)")
    #expect(first.number("confirmed-ms") == nil)
    // It took writes for no longer than provisionalMilliseconds, and all of them are counted.
    let lost = try await history.lostWrites(at: old).count
    #expect(lost > 0, "nothing was written meanwhile: this proves nothing")
    #expect(Int64(lost) <= first.number("possibly-lost-writes") ?? 0, "\(first)")
    let list = first.fields["possibly-lost"]?.elements?.compactMap(\.text) ?? []
    #expect(list.count == 100 && list.contains("SETEX load:0:*"))
    #expect(list.allSatisfy { $0.hasSuffix(":*") }, "a key is shown")
    #expect(daemon.log.contains("no sentinel has confirmed the promotion"))
  }
}
