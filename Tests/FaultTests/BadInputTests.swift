// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization
import Testing

@Suite("Hostile and broken clients")
struct BadInputTests {
  struct Input: Sendable, CustomTestStringConvertible {
    let bytes: String
    /// What the error begins with; nil: closed without a word.
    let error: String?
    var testDescription: String { "\(bytes.prefix(40).debugDescription)" }
  }

  static let inputs = [
    Input(bytes: "*1000000000\r\n", error: "ERR Protocol error"),
    Input(bytes: "*99999999999999999999999\r\n", error: "ERR Protocol error"),
    Input(bytes: "*-5x\r\n", error: "ERR Protocol error"),
    Input(bytes: "*2\r\n$3\r\nGET\r\n$999999999999\r\n", error: "ERR Protocol error"),
    Input(bytes: "*2\r\n$3\r\nGET\r\n$-1\r\n", error: "ERR Protocol error"),
    Input(bytes: "*2\r\n$3\r\nGET\r\n:1\r\n", error: "ERR Protocol error"),
    Input(bytes: "*2\r\n$3\r\nGETXX$1\r\nk\r\n", error: "ERR Protocol error"),
    Input(bytes: "*2\r\n$2000000\r\n", error: "ERR Protocol error"),
    Input(bytes: String(repeating: "a", count: 70_000), error: "ERR Protocol error"),
    Input(bytes: "GET \"unbalanced\r\n", error: "ERR Protocol error"),
    // Cut off: nothing to answer, nothing executed.
    Input(bytes: "*3\r\n$3\r\nSET\r\n$5\r\nnever\r\n$1\r\n", error: nil),
    Input(bytes: "*3\r\n$3\r\nSET\r\n$5\r\nnever", error: nil),
    Input(bytes: "SET never inline", error: nil),
    Input(bytes: "*", error: nil),
  ]

  @Test("Each is told or closed, and a well-behaved client notices nothing")
  func inputs() async throws {
    let limits = setting(
      "limits.requestBytes=1MiB", "limits.outputBytesPerClient=2MiB", "limits.clients=6000")
    try await withFixed(arguments: limits) { lab, daemon in
      let history = try await Load.on(daemon) { _ in
        // Before any of the others is there, which may be counted while it is leaving.
        let base = try await daemon.info()["connected_clients"].flatMap { Int($0) } ?? 0
        for input in Self.inputs { try await Self.check(input, daemon) }
        try await Self.checkGarbage(daemon)
        try await Self.checkByteAtATime(daemon)
        try await Self.checkNeverReading(daemon, base)
        try await Self.checkDying(daemon, lab.initialMaster, base)
      }
      history.expectWork(atLeast: 200)
      #expect(history.counters.values.allSatisfy { $0.uncertain == 0 && $0.refused.isEmpty })
      try await history.verify(at: lab.initialMaster)
      #expect(try await lab.initialMaster.query(["EXISTS", "never"]) == .integer(0))
      #expect(daemon.isRunning)
    }
  }

  @Test("5,000 connections at once, three times: served, then no descriptor is left")
  func crowd() async throws {
    Self.raiseDescriptorLimit()
    try await withFixed(arguments: setting("limits.clients=6000")) { lab, daemon in
      try await eventually("warm connections") {
        try await lab.initialMaster.info("clients")["connected_clients"].flatMap { Int($0) } ?? 0
          >= 6
      }
      #expect(try await daemon.connect().command("SET", "k", "v") == .simple("OK"))
      try await daemon.waitForClients(1)
      let before = try #require(daemon.openDescriptors)
      for _ in 0..<3 {
        let wrong = try await LabThread.run {
          let crowd = try Crowd(5000, to: daemon.socketPath)
          for index in crowd.descriptors.indices {
            crowd.send("*2\r\n$4\r\nECHO\r\n$4\r\n\(1000 + index)\r\nGET k\r\n", at: index)
          }
          return crowd.descriptors.indices.compactMap {
            crowd.mismatch(of: "$4\r\n\(1000 + $0)\r\n$1\r\nv\r\n", at: $0)
          }
        }
        #expect(wrong == [])
        try await daemon.waitForClients(1)
        try await eventually("all descriptors closed") {
          daemon.openDescriptors ?? .max <= before
        }
      }
    }
  }

  @Test("Over limits.clients: told so; a place that is free again is given")
  func tooMany() async throws {
    try await withFixed(arguments: setting("limits.clients=5")) { _, daemon in
      var clients: [LabClient] = []
      for index in 0..<5 {
        let client = try await daemon.connect()
        #expect(try await client.command("ECHO", "\(index)") == .text("\(index)"))
        clients.append(client)
      }
      let refused = try await daemon.connect()
      #expect(try await refused.receive() == .error("ERR max number of clients reached"))
      #expect(try await refused.isClosed(within: 5000))
      #expect(try await clients[0].command("PING") == .simple("PONG"))
      clients[4].close()
      try await eventually("a free place") {
        try await daemon.connect().command("PING") == .simple("PONG")
      }
    }
  }

  private static func check(_ input: Input, _ daemon: Daemon) async throws {
    let client = try await daemon.connect()
    try await client.write(input.bytes)
    if let error = input.error {
      guard case .error(let text) = try await client.receive(timeoutMilliseconds: 10_000) else {
        Issue.record("\(input.testDescription): no error")
        return
      }
      #expect(text.hasPrefix(error), "\(input.testDescription)")
    } else {
      client.shutdownWrite()
      #expect(try await client.read(timeoutMilliseconds: 10_000) == [])
    }
    #expect(try await client.isClosed(within: 5000), "\(input.testDescription)")
  }

  /// Whatever random bytes mean, the daemon survives them and the client gets errors at most.
  private static func checkGarbage(_ daemon: Daemon) async throws {
    var random = SystemRandomNumberGenerator()
    for round in 0..<50 {
      let client = try await daemon.connect()
      var bytes = (0..<200).map { _ in UInt8.random(in: 0...255, using: &random) }
      if round.isMultiple(of: 2) { bytes = Array("*3\r\n$3\r\n".utf8) + bytes }
      try await client.write(bytes)
      client.shutdownWrite()
      #expect(try await client.isClosed(within: 10_000))
    }
  }

  private static func checkByteAtATime(_ daemon: Daemon) async throws {
    let reply = try await LabThread.run {
      let client = try BlockingClient(daemon.endpoint)
      var bytes: [UInt8] = []
      bytes.writeCommand(["SET", "slow", "one\r\nbyte"])
      bytes += Array("GET slow\r\n".utf8)
      for byte in bytes {
        try client.write([byte])
        usleep(200)
      }
      return [try client.receive(), try client.receive()]
    }
    #expect(reply == [.simple("OK"), .text("one\r\nbyte")])
  }

  private static func checkNeverReading(_ daemon: Daemon, _ base: Int) async throws {
    let greedy = try await daemon.connect()
    #expect(
      try await greedy.command("SET", "big", String(repeating: "x", count: 200_000))
        == .simple("OK"))
    let memory = daemon.rssKiB ?? 0
    var request: [UInt8] = []
    for _ in 0..<300 { request.writeCommand(["GET", "big"]) }
    try await greedy.write(request)
    try await daemon.waitForClients(base)
    // 60 MB were asked for, 2 MiB may be kept.
    #expect((daemon.rssKiB ?? 0) - memory < 40_000)
    withExtendedLifetime(greedy) {}
  }

  private static func checkDying(_ daemon: Daemon, _ node: Node, _ base: Int) async throws {
    for _ in 0..<50 {
      let client = try await daemon.connect()
      try await client.write(
        "*2\r\n$4\r\nINCR\r\n$5\r\ndying\r\n*3\r\n$3\r\nSET\r\n$5\r\nnever\r\n$9\r\nx")
      client.resetOnClose()
    }
    let blocked = try await daemon.connect()
    try await blocked.send(["BLPOP", "nothing", "0"])
    blocked.close()
    try await daemon.waitForClients(base)
    // What was whole was executed once.
    try await eventually("50 increments") { try await node.query(["GET", "dying"]) == .text("50") }
    try await eventually("no blocked client left") {
      try await node.info("clients")["blocked_clients"] == "0"
    }
  }

  /// The daemon inherits it.
  private static func raiseDescriptorLimit() {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(7), &limit)  // RLIMIT_NOFILE
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(7), &limit)
  }
}
