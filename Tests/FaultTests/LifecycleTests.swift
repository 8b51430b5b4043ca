// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Testing

@Suite("Start and stop, the socket file, the command line")
struct LifecycleTests {
  @Test("A dead daemon's socket is replaced, a live one's and other files never; mode and group")
  func socketFile() async throws {
    try await withFolder { folder in
      let path = "\(folder.path)/app.sock"
      let group = try #require(Self.anotherGroup())
      let arguments =
        ["--redis", "127.0.0.1:1", "--listen", path]
        + setting("listen.mode=0620", "listen.group=\(group.name)")
      let first = try await Self.start(arguments, folder, "first.log", path)
      let status = try #require(Self.status(path))
      #expect(status.st_mode & 0o7777 == 0o620)
      #expect(status.st_gid == group.id)

      let daemon = try Daemon.find()
      let second = try await runProgram(daemon, arguments, in: folder)
      #expect(second.status == .exited(78))
      #expect(second.output.contains("\(path) is in use"))
      #expect(try await Self.answers(path), "the live daemon's socket is still its own")

      await first.kill()
      #expect(Self.status(path) != nil, "kill -9 leaves the file behind")
      let third = try await Self.start(arguments, folder, "third.log", path)
      await third.kill()

      try folder.write("app.sock", "precious")
      let fourth = try await runProgram(daemon, arguments, in: folder)
      #expect(fourth.status == .exited(78))
      #expect(fourth.output.contains("is not a socket"))
      #expect(folder.read("app.sock") == "precious")
    }
  }

  @Test("SIGTERM: what is in flight finishes, then exit 0")
  func drain() async throws {
    try await withFixed(arguments: setting("shutdown.drainMilliseconds=20000")) { lab, daemon in
      let popper = try await daemon.connect()
      let slow = try await daemon.connect()
      let idle = try await daemon.connect()
      #expect(try await idle.command("SET", "k", "v") == .simple("OK"))
      try await popper.send(["BLPOP", "queue", "0"])
      try await eventually("a blocked client") {
        try await lab.initialMaster.info("clients")["blocked_clients"] == "1"
      }
      try await lab.initialMaster.pauseClients(milliseconds: 700, writesOnly: true)
      try await slow.send(["INCR", "n"])
      try await eventually("the request in flight") {
        try await lab.initialMaster.info("clients")["blocked_clients"] == "2"
      }
      daemon.terminate()
      #expect(try await idle.isClosed(within: 5000))
      await #expect(throws: LabError.self, "no new clients") {
        let late = try await daemon.connect()
        try await late.command(["PING"], timeoutMilliseconds: 2000)
      }
      #expect(try await slow.receive() == .integer(1))
      #expect(daemon.isRunning)
      #expect(try await lab.initialMaster.query(["RPUSH", "queue", "a"]) == .integer(1))
      #expect(try await popper.receive() == .array([.text("queue"), .text("a")]))
      #expect(try await daemon.wait() == .exited(0))
    }
  }

  @Test("SIGTERM: what does not end is ended at the deadline, exit 0 all the same")
  func drainDeadline() async throws {
    try await withFixed(arguments: setting("shutdown.drainMilliseconds=300")) { lab, daemon in
      let popper = try await daemon.connect()
      try await popper.send(["BLPOP", "queue", "0"])
      try await eventually("a blocked client") {
        try await lab.initialMaster.info("clients")["blocked_clients"] == "1"
      }
      let start = ContinuousClock.now
      daemon.terminate()
      #expect(try await daemon.wait() == .exited(0))
      #expect(ContinuousClock.now - start >= .milliseconds(300))
      #expect(try await popper.isClosed(within: 2000))
    }
  }

  struct Wrong: Sendable, CustomTestStringConvertible {
    let arguments: [String]
    let says: [String]
    var testDescription: String { arguments.joined(separator: " ") }
  }

  @Test(
    "Wrong settings: exit 78, named with what is allowed",
    arguments: [
      Wrong(arguments: [], says: ["sentinel.addresses", "nothing to connect to"]),
      Wrong(
        arguments: ["--redis", "127.0.0.1:99999"], says: ["redis.address", "127.0.0.1:99999"]),
      Wrong(
        arguments: ["--redis", "127.0.0.1:1", "--sentinels", "127.0.0.1:2", "--master", "m"],
        says: ["redis.address", "excludes"]),
      Wrong(
        arguments: ["--redis", "127.0.0.1:1", "--set", "pool.shardz=2"],
        says: ["pool.shardz", "pool.shards"]),
      Wrong(
        arguments: ["--redis", "127.0.0.1:1", "--set", "limits.clients=many"],
        says: ["limits.clients", "many"]),
      Wrong(
        arguments: ["--redis", "127.0.0.1:1", "--config", "/nonexistent/holdfastd.yaml"],
        says: ["/nonexistent/holdfastd.yaml", "No such file"]),
      Wrong(
        arguments: ["--redis", "127.0.0.1:1", "--set", "redis.passwordFile=/nonexistent/secret"],
        says: ["redis.passwordFile", "/nonexistent/secret"]),
    ])
  func wrongSettings(row: Wrong) async throws {
    try await withFolder { folder in
      let check = row.arguments + ["--check-config"]
      for arguments in [check, row.arguments + ["--listen", "\(folder.path)/app.sock"]] {
        let run = try await runProgram(try Daemon.find(), arguments, in: folder)
        #expect(run.status == .exited(78))
        for text in row.says { #expect(run.output.contains(text), "\(run.output)") }
      }
    }
  }

  @Test("--check-config shows what is in force and where from; --version")
  func checkConfig() async throws {
    try await withFolder { folder in
      let file = try folder.write(
        "holdfastd.yaml", "redis:\n  address: 127.0.0.1:6379\npool:\n  shards: 2\n")
      let daemon = try Daemon.find()
      let check = try await runProgram(daemon, ["--config", file, "--check-config"], in: folder)
      #expect(check.status == .exited(0))
      #expect(check.output.contains("127.0.0.1:6379"))

      try folder.write("holdfastd.yaml", "redis:\n  address: 127.0.0.1:6379\npool:\n  shards: no\n")
      let wrong = try await runProgram(daemon, ["--config", file, "--check-config"], in: folder)
      #expect(wrong.status == .exited(78))
      #expect(wrong.output.contains("pool.shards") && wrong.output.contains(":4"))

      let version = try await runProgram(daemon, ["--version"], in: folder)
      #expect(version.status == .exited(0))
      #expect(version.output.hasPrefix("holdfastd 0."))
    }
  }

  private static func start(
    _ arguments: [String], _ folder: TestFolder, _ log: String, _ path: String
  ) async throws -> ChildProcess {
    let program = try Daemon.find()
    let child = try ChildProcess.start(
      program, arguments: [program] + arguments, logFile: "\(folder.path)/\(log)")
    do {
      try await eventually("answer at \(path)", holds: { try await answers(path) })
    } catch {
      await child.kill()
      throw error
    }
    return child
  }

  private static func answers(_ path: String) async throws -> Bool {
    try await LabClient.connect(.unix(path)).command("PING") == .simple("PONG")
  }

  private static func status(_ path: String) -> stat? {
    var result = stat()
    return lstat(path, &result) == 0 ? result : nil
  }

  /// A group that this process may give a file to, another than its own where it can.
  private static func anotherGroup() -> (name: String, id: gid_t)? {
    if geteuid() == 0, let entry = getgrnam("daemon") { return ("daemon", entry.pointee.gr_gid) }
    var groups = [gid_t](repeating: 0, count: 256)
    let count = getgroups(Int32(groups.count), &groups)
    let candidates = groups.prefix(max(0, Int(count))) + [getegid()]
    for id in candidates {
      if let entry = getgrgid(id) { return (String(cString: entry.pointee.gr_name), id) }
    }
    return nil
  }
}

@Suite("One fixed Redis")
struct FixedRedisTests {
  @Test("It restarts, with a gap and at once: requests wait and go on")
  func restart() async throws {
    try await withFixed {
      $0.appendOnly = true
    } _: { lab, daemon in
      let node = lab.initialMaster
      let history = try await Load.on(daemon) { load in
        try await node.restart()
        try await load.waitForProgress()
        await node.kill()
        let client = try await daemon.connect()
        try await client.send(["SET", "k", "waited"])
        await #expect(throws: LabError.self) {
          try await client.receive(timeoutMilliseconds: 1000)
        }
        try await node.restart()
        #expect(try await client.receive() == .simple("OK"))
      }
      history.expectWork()
      try await history.verify(at: node)
      #expect(history.longestWait > .milliseconds(900))
    }
  }

  @Test("It stays away: NOMASTER after the wait, nothing executed later")
  func staysAway() async throws {
    try await withFixed(arguments: setting("failover.waitMilliseconds=500")) { lab, daemon in
      let client = try await daemon.connect()
      #expect(try await client.command("INCR", "n") == .integer(1))
      await lab.initialMaster.kill()
      try await eventually("the loss is seen") {
        try await daemon.info()["holdfast_state"] == "waiting"
      }
      let start = ContinuousClock.now
      let reply = try await client.command("INCR", "n")
      #expect(reply.errorWord == "NOMASTER")
      #expect((.milliseconds(400)...(.seconds(3))).contains(ContinuousClock.now - start))
      try await lab.initialMaster.restart()
      try await daemon.waitUntilServing()
      #expect(try await client.command("INCR", "n") == .integer(1))
    }
  }
}
