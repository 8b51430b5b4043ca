// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("A crowd waits through the switch")
struct WaitingCrowdTests {
  private static let count = 500

  @Test("500 clients: each gets its own replies in their order, over the pool's connections alone")
  func fiveHundred() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let before = try #require(daemon.openDescriptors)
      let crowd = try await Self.connect(daemon)
      try await daemon.waitForClients(Self.count + 1)
      #expect(try await old.query(["WAIT", "2", "5000"]) == .integer(2))
      await old.kill()
      try await eventually("the master noticed dead", every: 1) {
        try await daemon.info()["holdfast_state"] != "serving"
      }
      let start = ContinuousClock.now
      for (index, client) in crowd.enumerated() {
        var bytes: [UInt8] = []
        for command in Self.requests(of: index) { bytes.writeCommand(command) }
        try await client.write(bytes)
      }
      for (index, client) in crowd.enumerated() {
        #expect(try await client.receive() == .text("was \(index)"))
        #expect(try await client.receive() == .simple("OK"))
        #expect(try await client.receive() == .text("is \(index)"))
        let sum = try await client.receive().integerValue ?? 0
        #expect(1...Int64(Self.count) ~= sum)
      }
      #expect(ContinuousClock.now - start < .seconds(15))
      let info = try await daemon.info()
      #expect(info["holdfast_uncertain"] == "0" && info["holdfast_nomaster"] == "0")
      let report = try await daemon.firstFailover()
      #expect(report.number("waited") ?? 0 >= Int64(Self.count), "\(report)")
      // The crowd's own, and as many as before but for those that open and close by turns.
      let after = try #require(daemon.openDescriptors)
      #expect(after - Self.count <= before + 12, "\(before) before, \(after) with the crowd")
      let master = try await lab.masterAgreed(with: daemon)
      if recorder.secondFailover(after: old).isEmpty {
        #expect(try await master.query(["GET", "crowd:sum"]) == .text("\(Self.count)"))
      }
    }
  }

  private static func connect(_ daemon: Daemon) async throws -> [LabClient] {
    var crowd: [LabClient] = []
    for index in 0..<count {
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "crowd:\(index)", "was \(index)") == .simple("OK"))
      crowd.append(client)
    }
    return crowd
  }

  private static func requests(of index: Int) -> [[String]] {
    [
      ["GET", "crowd:\(index)"], ["SET", "crowd:\(index)", "is \(index)"],
      ["GET", "crowd:\(index)"], ["INCR", "crowd:sum"],
    ]
  }
}
