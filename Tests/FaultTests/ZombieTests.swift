// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("A frozen master wakes up with requests that it has not read")
struct ZombieTests {
  @Test("No failover: what a given-up connection still holds never wins over a newer write")
  func unreadBytes() async throws {
    let options = TopologyOptions {
      $0.replicas = 1
      $0.sentinels = 0
    }
    try await Topology.with(options) { lab in
      let master = lab.initialMaster
      let arguments =
        ["--redis", "\(master.endpoint)"] + setting("redis.commandTimeoutMilliseconds=600")
      try await withDaemon(try await Daemon.start(arguments: arguments)) { daemon in
        for round in 0..<3 {
          try await Self.freezeWithUnread(master, daemon, round)
        }
      }
    }
  }

  /// Twenty clients' requests lie unread in a frozen master until they are given up; then comes what
  /// each writes next, and the master wakes up.
  private static func freezeWithUnread(
    _ master: Node, _ daemon: Daemon, _ round: Int
  ) async throws {
    var clients: [LabClient] = []
    for _ in 0..<20 { clients.append(try await daemon.connect()) }
    for (index, client) in clients.enumerated() {
      #expect(try await client.command("SET", "k\(round):\(index)", "0") == .simple("OK"))
    }
    master.freeze()
    for (index, client) in clients.enumerated() {
      try await client.send(["INCRBY", "k\(round):\(index)", "7"])
    }
    for client in clients {
      #expect(try await client.receive().errorWord == "UNCERTAIN")
    }
    for (index, client) in clients.enumerated() {
      try await client.send(["SET", "k\(round):\(index)", "100"])
    }
    master.thaw()
    for client in clients { #expect(try await client.receive() == .simple("OK")) }
    for (index, client) in clients.enumerated() {
      #expect(try await client.command("INCR", "k\(round):\(index)") == .integer(101))
    }
    for index in clients.indices {
      #expect(try await master.query(["GET", "k\(round):\(index)"]) == .text("101"))
    }
  }

  /// Until both replicas have what the master has now. (`WAIT` waits for its own connection's writes alone.)
  private static func waitForReplicas(of master: Node) async throws {
    let target = try await offsets(of: master).master
    try await eventually("replicas that have caught up", every: 5) {
      let replicas = try await offsets(of: master).replicas
      return replicas.count == 2 && replicas.allSatisfy { $0 >= target }
    }
  }

  private static func offsets(of master: Node) async throws -> (master: Int64, replicas: [Int64]) {
    let text = try await master.query(["INFO", "replication"]).text ?? ""
    let lines = text.split(whereSeparator: \.isNewline)
    let own = lines.first { $0.hasPrefix("master_repl_offset:") }?.split(separator: ":").last
    let replicas = lines.filter { $0.hasPrefix("slave") }.compactMap { line in
      line.split(separator: ",").first { $0.hasPrefix("offset=") }?.dropFirst(7)
    }
    return (own.flatMap { Int64($0) } ?? .max, replicas.compactMap { Int64($0) })
  }

  @Test("Its requests were given up, sent again to the promoted one, and it wakes up as a replica")
  func afterFailover() async throws {
    let arguments = setting("redis.commandTimeoutMilliseconds=600")
    try await withLab(arguments: arguments) { lab, daemon in
      let old = lab.initialMaster
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let frozen = Moment()
      let history = try await Load.on(daemon) { load in
        let absolute = try await daemon.connect()
        let once = try await daemon.connect()
        #expect(try await once.command("SET", "n", "1") == .simple("OK"))
        try await Self.waitForReplicas(of: old)
        old.freeze()
        frozen.mark()
        try await absolute.send(["SET", "k", "stale"])
        try await once.send(["INCRBY", "n", "7"])
        #expect(try await once.receive().errorWord == "UNCERTAIN")
        #expect(try await absolute.receive() == .simple("OK"))
        let promoted = try await lab.waitForPromotion(insteadOf: old)
        try await daemon.waitUntilServing(promoted)
        #expect(try await absolute.command("SET", "k", "newer") == .simple("OK"))
        #expect(try await once.command("SET", "n", "100") == .simple("OK"))
        old.thaw()
        try await lab.waitUntilAgreed()
        try await load.waitForProgress()
      }
      history.expectWork()
      let master = try await lab.masterAgreed(with: daemon)
      let excused = recorder.secondFailover(after: old)
      // What no replica had yet is lost with any master that falls silent.
      try await history.verify(at: master, excused: excused + [frozen.lag])
      if excused.isEmpty {
        #expect(try await master.query(["GET", "k"]) == .text("newer"))
        #expect(try await master.query(["GET", "n"]) == .text("100"))
      }
    }
  }
}
