// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization
import Testing

@Suite("The lab itself")
struct LabTests {
  @Test("Start: everything agrees; a kill promotes a replica; the old master returns as one")
  func killAndRestart() async throws {
    try await Topology.with { lab in
      let old = lab.initialMaster
      #expect(try await lab.currentMaster() === old)
      #expect(try await old.info("replication")["connected_slaves"] == "2")
      #expect(try await old.query(["SET", "k", "v"]) == .simple("OK"))
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }

      let killedAt = recorder.now
      await old.kill()
      #expect(!old.isRunning && old.pid == nil)
      let promoted = try await lab.waitForPromotion(insteadOf: old)
      #expect(try await promoted.query(["GET", "k"]) == .bulk(Array("v".utf8)))
      let down = try await recorder.wait(for: "+odown", after: killedAt)
      let switched = try await recorder.wait(for: "+switch-master", after: killedAt)
      #expect(down.milliseconds <= switched.milliseconds)
      #expect(switched.payload.hasSuffix(" \(promoted.port)"))

      try await old.restart()
      try await lab.waitUntilAgreed()
      // Not asserted: that the promoted one is still master. Sentinel may fail over once more.
      let master = try await lab.currentMaster()
      #expect(master !== old)
      let replication = try await old.info("replication")
      #expect(replication["role"] == "slave" && replication["master_port"] == "\(master.port)")
    }
  }

  @Test("Freeze keeps connections and silences them; thaw lets them go on")
  func freezeAndThaw() async throws {
    try await Topology.withSingle { lab in
      let node = lab.initialMaster
      let client = try await LabClient.connect(node.endpoint)
      node.freeze()
      #expect(node.isRunning && !node.isAnswering)
      try await client.send(["INCR", "n"])
      await #expect(throws: LabError.self) { try await client.receive(timeoutMilliseconds: 200) }
      node.thaw()
      #expect(try await client.receive() == .integer(1))
    }
  }

  @Test("A commanded failover", .timeLimit(.minutes(10)))
  func commandedFailover() async throws {
    try await Topology.with { lab in
      try await lab.commandFailover()
      let promoted = try await lab.waitForPromotion(insteadOf: lab.initialMaster)
      #expect(promoted !== lab.initialMaster)
    }
  }

  @Test("Restart with data, restart empty")
  func restarts() async throws {
    try await Topology.withSingle {
      $0.appendOnly = true
    } _: { lab in
      let node = lab.initialMaster
      try await node.query(["SET", "k", "v"])
      let before = node.pid
      try await node.restart()
      #expect(node.pid != before)
      #expect(try await node.query(["GET", "k"]) == .bulk(Array("v".utf8)))
      try await node.restart(empty: true)
      #expect(try await node.query(["GET", "k"]) == .null)
    }
  }

  @Test("Passwords: without them nothing answers, with them all agree")
  func passwords() async throws {
    let options = TopologyOptions {
      $0.password = "one"
      $0.sentinelPassword = "two"
    }
    try await Topology.with(options) { lab in
      for node in [lab.initialMaster, lab.sentinels[0]] {
        let client = try await LabClient.connect(node.endpoint)
        let reply = try await client.command("INFO")
        guard case .error(let text) = reply else {
          Issue.record("\(node) answered without a password")
          continue
        }
        #expect(text.hasPrefix("NOAUTH"))
      }
    }
  }

  @Test("All behind relays: sentinels know the relays' ports alone")
  func relayed() async throws {
    try await Topology.with(TopologyOptions { $0.relayed = true }) { lab in
      let master = lab.initialMaster
      #expect(master.port != master.serverPort)
      #expect(try await lab.currentMaster() === master)
      master.relay?.mode = .drop
      let promoted = try await lab.waitForPromotion(insteadOf: master)
      #expect(master.isAnswering)
      #expect(promoted.port == promoted.relay?.port)
    }
  }

  @Test("Nothing is left when the body throws")
  func nothingLeft() async throws {
    struct Broken: Error {}
    let seen = Mutex<(pids: [pid_t], folder: String)>(([], ""))
    await #expect(throws: Broken.self) {
      try await Topology.with { lab in
        let pids = (lab.nodes + lab.sentinels).compactMap(\.pid)
        seen.withLock { $0 = (pids, lab.folder) }
        lab.nodes[1].freeze()
        throw Broken()
      }
    }
    let (pids, folder) = seen.withLock { $0 }
    #expect(pids.count == 6)
    #expect(pids.allSatisfy(isGone))
    #expect(access(folder, F_OK) == -1)
  }

  @Test(
    "Nothing is left when the lab's own process is killed, or told to end",
    arguments: [SIGKILL, SIGTERM])
  func nothingLeftAfterCrash(signal: Int32) async throws {
    let output = "/tmp/holdfast-lab-test-\(UInt32.random(in: 0...UInt32.max))"
    defer { unlink(output) }
    let program = try Program.find("holdfast-lab")
    let lab = try ChildProcess.start(
      program, arguments: [program, "topology"], logFile: output)
    let lines = try await eventually("start of the other lab") { () -> [[Substring]]? in
      let lines = try Self.lines(of: output)
      return lines.last == ["ready"] ? lines : nil
    }
    let pids = lines.compactMap { $0.count == 3 ? pid_t($0[2]) : nil }
    #expect(pids.count == 6 && pids.allSatisfy { kill($0, 0) == 0 })
    kill(pids[0], SIGSTOP)

    lab.signal(signal)
    #expect(try await lab.wait() == (signal == SIGKILL ? .signalled(SIGKILL) : .exited(0)))
    try await eventually("end of what it started", holds: { pids.allSatisfy(isGone) })
    let folder = String(lines[0][1])
    try await eventually("removal of its folder", holds: { access(folder, F_OK) == -1 })
  }

  private static func lines(of path: String) throws -> [[Substring]] {
    let file = try #require(fopen(path, "r"))
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 4096)
    var lines: [[Substring]] = []
    while fgets(&buffer, Int32(buffer.count), file) != nil {
      let text = String(
        decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      lines.append(text.dropLast().split(separator: " "))
    }
    return lines
  }
}

/// Also true of a zombie, whose parent is gone or slow to collect it.
private func isGone(_ pid: pid_t) -> Bool {
  if kill(pid, 0) == -1 && errno == ESRCH { return true }
  guard let file = fopen("/proc/\(pid)/stat", "r") else { return true }
  defer { fclose(file) }
  var buffer = [CChar](repeating: 0, count: 1024)
  guard fgets(&buffer, Int32(buffer.count), file) != nil else { return true }
  let stat = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  return stat.contains(") Z ")
}

@Suite("Relay modes")
struct RelayTests {
  @Test("Each mode does what it says, and pass mends it")
  func modes() async throws {
    try await Topology.withSingle { lab in
      let relay = try Relay(to: lab.initialMaster.endpoint)
      defer { relay.stop() }
      let client = try await LabClient.connect(relay.endpoint)
      #expect(try await client.command("PING") == .simple("PONG"))

      relay.mode = .fragment
      #expect(try await client.command("ECHO", "one byte") == .bulk(Array("one byte".utf8)))

      relay.mode = .delay(60)
      let start = ContinuousClock.now
      #expect(try await client.command("PING") == .simple("PONG"))
      #expect(ContinuousClock.now - start >= .milliseconds(120))

      relay.mode = .drop
      try await client.send(["INCR", "n"])
      await #expect(throws: LabError.self) { try await client.receive(timeoutMilliseconds: 150) }
      #expect(try await lab.initialMaster.query(["GET", "n"]) == .null)
      relay.mode = .pass
      #expect(try await client.receive() == .integer(1))

      relay.mode = .refuse
      await #expect(throws: LabError.system(call: "connect \(relay.endpoint)", errno: ECONNREFUSED))
      {
        try await LabClient.connect(relay.endpoint)
      }
      #expect(try await client.command("PING") == .simple("PONG"))

      relay.mode = .reset
      #expect(try await client.isClosed(within: 5000))
      // A reset can come before connect has returned: then it is connect that tells of it.
      do {
        #expect(try await LabClient.connect(relay.endpoint).isClosed(within: 5000))
      } catch LabError.system(_, errno: ECONNRESET) {}

      relay.mode = .pass
      let third = try await LabClient.connect(relay.endpoint)
      #expect(try await third.command("PING") == .simple("PONG"))
      try await eventually("old connections gone", holds: { relay.openConnections == 1 })
    }
  }

  @Test("A port that was found free is free, while other processes are being started")
  func ports() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await LabThread.run {
          for _ in 0..<300 {
            let child = try ChildProcess.start("/bin/true", arguments: ["true"])
            while child.isRunning { usleep(100) }
          }
        }
      }
      group.addTask {
        try await LabThread.run {
          for _ in 0..<3000 { try Relay(to: .tcp("127.0.0.1", 1)).stop() }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("A cut in place of the reply: executed; a cut in place of the request: not")
  func cuts() async throws {
    try await Topology.withSingle { lab in
      let node = lab.initialMaster
      let relay = try Relay(to: node.endpoint)
      defer { relay.stop() }

      relay.mode = .cutReply(containing: "INCR")
      let first = try await LabClient.connect(relay.endpoint)
      #expect(try await first.command("PING") == .simple("PONG"))
      await #expect(throws: LabError.self) { try await first.command("INCR", "n") }
      #expect(try await node.query(["GET", "n"]) == .bulk(Array("1".utf8)))
      #expect(relay.mode == .pass)

      relay.mode = .cutRequest(containing: "INCR")
      let second = try await LabClient.connect(relay.endpoint)
      await #expect(throws: LabError.self) { try await second.command("INCR", "n") }
      let third = try await LabClient.connect(relay.endpoint)
      #expect(try await third.command("GET", "n") == .bulk(Array("1".utf8)))
    }
  }
}
