// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab

/// The story that the demo tells.
struct Demo: Sendable {
  private let terminal: Terminal
  private let daemonPath: String?

  init(_ terminal: Terminal, daemonPath: String?) {
    self.terminal = terminal
    self.daemonPath = daemonPath
  }

  /// True where no request failed and no acknowledged write is missing.
  func run(once: Bool) async throws -> Bool {
    let program = try daemonPath ?? Daemon.find()
    terminal.say("Starting a Redis master, two replicas and three sentinels.", .step)
    // Twice the lab's default: on a busy machine a slow node must not pass for a dead one.
    let options = TopologyOptions { $0.downAfterMilliseconds = 1000 }
    return try await Topology.with(options) { lab in
      terminal.say(
        "Master on port \(lab.initialMaster.port), replicas on "
          + lab.nodes.dropFirst().map { "\($0.port)" }.joined(separator: " and ")
          + ", sentinels on " + lab.sentinels.map { "\($0.port)" }.joined(separator: ", ")
          + ": all agree.")
      terminal.say(
        "Starting holdfastd, which is told where the sentinels are, and nothing else.", .step)
      let daemon = try await Daemon.start(for: lab, executable: program)
      do {
        let passed = try await tell(lab, daemon)
        if !once { try await stayUp(lab, daemon) }
        await daemon.stop()
        terminal.say("Everything was ended and removed.")
        return passed
      } catch {
        if !(error is CancellationError) {
          let tail = daemon.log.split(separator: "\n").suffix(15)
          terminal.line("The daemon's last words:\n" + tail.joined(separator: "\n"))
        }
        await daemon.stop()
        throw error
      }
    }
  }

  private func tell(_ lab: Topology, _ daemon: Daemon) async throws -> Bool {
    try await waitForMaster(daemon)
    terminal.say("holdfastd serves the verified master on \(daemon.socketPath).")
    let recorder = try await EventRecorder.start(lab)
    defer { recorder.stop() }
    let traffic = try Traffic(to: daemon.endpoint)
    defer { traffic.stopSoon() }
    terminal.say(
      "\(Traffic.workers) workers write and read sessions through it; none retries anything.", .step
    )
    try await traffic.waitUntilSteady(forMilliseconds: 2000)
    terminal.say("\(traffic.snapshot.requests) requests so far, all is quiet.")

    let master = lab.initialMaster
    let killed = (events: recorder.now, traffic: traffic.now)
    master.killNow()
    terminal.say("kill -9 of the master (port \(master.port)), under load.", .bad)
    let promoted = try await lab.waitForPromotion(insteadOf: master)
    terminal.say("The sentinels promoted the replica on port \(promoted.port).")
    try await traffic.waitUntilSteady(forMilliseconds: 2000)
    terminal.say("Sessions have been flowing again for two seconds.", .good)

    let totals = try await traffic.stop()
    terminal.say(
      "Looking for all \(totals.writes.count) acknowledged writes on the new master.", .step)
    let missing = try await missingWrites(totals.writes, on: await lab.currentMaster())
    let report = DemoReport(
      totals: totals, missing: missing, killedAt: killed.traffic,
      events: recorder.events.filter { $0.milliseconds >= killed.events },
      eventsKilledAt: killed.events)
    report.print(on: terminal)
    return report.passed
  }

  private func waitForMaster(_ daemon: Daemon) async throws {
    try await eventually("a master behind holdfastd", within: 20_000) {
      let client = try await daemon.connect()
      let reply = try await client.command(["SETEX", "holdfast-lab:ready", "60", "1"])
      if case .error(let text) = reply { throw LabError.failed(text) }
      return true
    }
  }

  private func missingWrites(
    _ writes: [Traffic.Write], on node: Node
  ) async throws -> [Traffic.Write] {
    try await LabThread.run {
      let client = try node.connectBlocking()
      return try writes.filter { write in
        let read = write.isHash ? ["HGET", write.key, "user"] : ["GET", write.key]
        return try client.command(read).text != write.value
      }
    }
  }

  private func stayUp(_ lab: Topology, _ daemon: Daemon) async throws {
    let sentinel = lab.sentinels[0].port
    terminal.line(
      """

      It all stays up; play with it from another terminal:
        redis-cli -s \(daemon.socketPath) SETEX session:me 600 hello
        redis-cli -p \(sentinel) SENTINEL MASTER \(lab.options.masterName)
        holdfast-lab failover --sentinel \(sentinel)      (beside the daemon in .build)
        kill -9 one of the process ids below; the lab starts a dead node again after ten seconds
        tail -f \(daemon.logFile)
      Ctrl-C ends everything.

      """)
    for node in lab.nodes { showPID(of: node) }
    await withTaskGroup(of: Void.self) { group in
      for node in lab.nodes { group.addTask { await keepAlive(node) } }
    }
    terminal.line()
    terminal.say("Ending everything.")
  }

  /// Starts a node that died again, until the demo is interrupted.
  private func keepAlive(_ node: Node) async {
    while !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(200))
      if node.isRunning { continue }
      // Long enough for a failover first.
      try? await Task.sleep(for: .seconds(10))
      if Task.isCancelled { return }
      do {
        try await node.restart()
        showPID(of: node)
      } catch {
        terminal.say("\(node) did not start: \(error)", .bad)
      }
    }
  }

  private func showPID(of node: Node) {
    terminal.say("Redis on port \(node.port): \(node.pid.map { "process \($0)" } ?? "dead")")
  }
}
