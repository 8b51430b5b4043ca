// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Sentinels fail in the middle of their work")
struct SentinelFaultTests {
  @Test("All in TILT when the master dies: requests wait until they are well")
  func tilt() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      for sentinel in lab.sentinels {
        let reply = try await sentinel.query(["SENTINEL", "DEBUG", "tilt-period", "3000"])
        try #require(reply == .simple("OK"))
      }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        for sentinel in lab.sentinels { sentinel.freeze() }
        // A timer that comes two seconds late means TILT; work goes on meanwhile.
        let frozen = ContinuousClock.now
        while ContinuousClock.now - frozen < .milliseconds(2500) {
          try await load.waitForProgress(20)
        }
        for sentinel in lab.sentinels { sentinel.thaw() }
        try await recorder.wait(for: "+tilt")
        await old.kill()
        killed.mark()
        try await daemon.waitUntilServing(insteadOf: old)
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [killed.lag])
    }
  }

  @Test("Seldom polled, they are heard all the same: subscriptions stay")
  func seldomPolled() async throws {
    try await withLab(arguments: setting("sentinel.pollMilliseconds=4000")) { lab, daemon in
      try await daemon.waitUntilServing(lab.initialMaster)
      for sentinel in lab.sentinels {
        try await eventually("a subscription that is 14 seconds old", within: 30_000) {
          let clients = try await sentinel.query(["CLIENT", "LIST"]).text ?? ""
          let subscribed = clients.split(separator: "\n").filter { $0.contains(" psub=1 ") }
          let ages = subscribed.flatMap { line in
            line.split(separator: " ").filter { $0.hasPrefix("age=") }.map {
              Int($0.dropFirst(4)) ?? 0
            }
          }
          return (ages.max() ?? 0) >= 14 ? true : nil
        }
      }
    }
  }

  @Test("The leader is held up by a replica that cannot follow: nobody waits for its last word")
  func heldLeader() async throws {
    let options = TopologyOptions {
      $0.relayed = true
      $0.failoverTimeoutMilliseconds = 6000
    }
    try await withLab(options) { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        await old.kill()
        killed.mark()
        let selected = try await recorder.wait(for: "+selected-slave")
        let chosen = try #require(
          lab.nodes.first { selected.payload.contains(" 127.0.0.1:\($0.port) ") })
        let other = try #require(lab.nodes.first { $0 !== old && $0 !== chosen })
        chosen.relay?.cutSources = [try #require(other.source)]
        try await daemon.waitUntilServing(chosen)
        #expect(
          !recorder.events.contains {
            $0.sentinel == selected.sentinel
              && ["+failover-end", "+failover-end-for-timeout", "+switch-master"]
                .contains($0.channel)
          }, "the leader had ended already")
        try await load.waitForProgress()
        lab.heal()
        try await recorder.wait(for: "+switch-master", after: selected.milliseconds)
      }
      history.expectWork()
      try await lab.waitUntilAgreed()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        excused: recorder.secondFailover(after: old) + [killed.lag],
        // On a busy machine the sentinels' votes may be split, and a second election comes too late.
        mayRefuse: recorder.events.contains { $0.channel == "-failover-abort-not-elected" })
    }
  }

  @Test(
    "The leader crashes once elected, or once it has promoted; the master dead or alive",
    arguments: ["crash-after-election", "crash-after-promotion"], [false, true])
  func leaderCrashes(_ failure: String, isMasterAlive: Bool) async throws {
    let options = TopologyOptions { $0.failoverTimeoutMilliseconds = 1500 }
    // As long is a commanded failover waited for whose leader is gone.
    let arguments = isMasterAlive ? setting("failover.waitMilliseconds=6000") : []
    try await withLab(options, arguments: arguments) { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let killed = Moment()
      let history = try await Load.on(daemon) { load in
        for sentinel in lab.sentinels {
          try await sentinel.query(["SENTINEL", "SIMULATE-FAILURE", failure])
        }
        if isMasterAlive {
          try await lab.commandFailover()
        } else {
          await old.kill()
        }
        killed.mark()
        try await eventually("the leader's crash", within: 15_000, every: 5) {
          lab.sentinels.contains { !$0.isRunning }
        }
        for sentinel in lab.sentinels where sentinel.isRunning {
          // It takes all failures back, and says which there are.
          try await sentinel.query(["SENTINEL", "SIMULATE-FAILURE", "help"])
        }
        if !isMasterAlive { try await daemon.waitUntilServing(insteadOf: old) }
        try await load.waitForProgress()
        // A promoted replica that nobody heard of is made a replica again.
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      let master = try await lab.masterAgreed(with: daemon)
      #expect((master === old) == isMasterAlive)
      var lost = isMasterAlive ? [] : recorder.secondFailover(after: old) + [killed.lag]
      // What the promoted replica took is lost where another becomes master.
      if failure == "crash-after-promotion" { lost += recorder.unconfirmedPromotion }
      try await history.verify(at: master, excused: lost, mayRefuse: isMasterAlive)
    }
  }
}
