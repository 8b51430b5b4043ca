// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Sentinels are told anew what to monitor")
struct MonitorAgainTests {
  @Test("SENTINEL REMOVE and MONITOR on one: nothing changes")
  func one() async throws {
    try await withLab { lab, daemon in
      let history = try await Load.on(daemon) { load in
        try await Self.remove([lab.sentinels[0]])
        try await load.waitForProgress()
        try await Self.monitor(lab.initialMaster, by: [lab.sentinels[0]])
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(at: lab.initialMaster)
      #expect(history.uncertain == 0)
      #expect(try await daemon.info()["holdfast_generation"] == "1")
    }
  }

  @Test("On all: the epoch begins anew; then the master is moved by hand, and followed")
  func all() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      try await lab.hastenSentinels()
      // Its first generation is to be the first master's.
      try await daemon.waitUntilServing(old)
      try await lab.commandFailover()
      let promoted = try await lab.waitForPromotion(insteadOf: old)
      try await daemon.waitUntilServing(promoted)
      try await lab.waitUntilAgreed()
      let moving = Moment()
      let moved = Moment()
      let history = try await Load.on(daemon) { load in
        try await Self.remove(lab.sentinels)
        try await load.waitForProgress()
        try await Self.monitor(promoted, by: lab.sentinels)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
        #expect(try await daemon.info()["holdfast_generation"] == "2")

        // Ours is the highest epoch that the sentinels ever had; theirs is 0 now.
        let next = lab.nodes[promoted === lab.nodes[1] ? 2 : 1]
        try await Self.remove(lab.sentinels)
        moving.mark()
        try await next.query(["REPLICAOF", "NO", "ONE"])
        for node in lab.nodes where node !== next {
          try await node.query(["REPLICAOF", "127.0.0.1", "\(next.port)"])
        }
        moved.mark()
        try await Self.monitor(next, by: lab.sentinels)
        try await daemon.waitUntilServing(next)
        try await load.waitForProgress()
        try await lab.waitUntilAgreed()
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon),
        // A reply may reach its worker a moment after the node is none's master any more.
        excused: [moving.time - Moment.replicationLag...(moved.time + .milliseconds(200))])
      #expect(try await daemon.info()["holdfast_generation"] == "3")
    }
  }

  private static func remove(_ sentinels: [Node]) async throws {
    for sentinel in sentinels {
      #expect(try await sentinel.query(["SENTINEL", "REMOVE", "mymaster"]) == .simple("OK"))
    }
  }

  private static func monitor(_ master: Node, by sentinels: [Node]) async throws {
    for sentinel in sentinels {
      let reply = try await sentinel.query(
        ["SENTINEL", "MONITOR", "mymaster", "127.0.0.1", "\(master.port)", "2"])
      #expect(reply == .simple("OK"))
      try await sentinel.query(
        ["SENTINEL", "SET", "mymaster", "down-after-milliseconds", "500"])
      try await sentinel.query(["SENTINEL", "SET", "mymaster", "failover-timeout", "5000"])
    }
  }
}
