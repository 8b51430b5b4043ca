// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import Synchronization

/// One Redis or Sentinel process of a topology.
public final class Node: Sendable, CustomStringConvertible {
  /// `redis0`, `sentinel2`…
  public let name: String
  /// The port that everyone else knows: the relay's where there is one.
  public let port: Int
  /// The port that the process itself listens on.
  public let serverPort: Int
  /// Output of all its lives.
  public let logFile: String
  /// What stands in front of it, in a topology with ``TopologyOptions/relayed``.
  public let relay: Relay?
  /// The address that its own connections come from, where it has a relay.
  public let source: String?
  /// Whether it is a Sentinel.
  public let isSentinel: Bool

  private struct State {
    var process: ChildProcess?
    var isFrozen = false
  }
  private let state = Mutex(State())
  private let server: RedisServer
  private let folder: String
  private let configuration: String
  private let password: String?
  private var configurationFile: String { "\(folder).conf" }

  /// `configuration` without port and folder; the file belongs to the process once it started, which
  /// rewrites it as roles change.
  init(
    name: String, isSentinel: Bool, serverPort: Int, relay: Relay?, source: String?, folder: Folder,
    server: RedisServer, password: String?, configuration: [String]
  ) throws {
    self.name = name
    self.isSentinel = isSentinel
    self.serverPort = serverPort
    self.relay = relay
    self.source = relay == nil ? nil : source
    self.server = server
    self.password = password
    port = relay?.port ?? serverPort
    self.folder = "\(folder.path)/\(name)"
    logFile = "\(folder.path)/\(name).log"
    guard mkdir(self.folder, 0o700) == 0 else { throw LabError.last("mkdir \(self.folder)") }
    let common = ["bind 127.0.0.1", "port \(serverPort)", "dir \(self.folder)", "daemonize no"]
    // Relays tell the nodes apart by it (Redis 7.0 on).
    let own = self.source.map { ["bind-source-addr \($0)"] } ?? []
    self.configuration = (common + own + configuration).joined(separator: "\n") + "\n"
    try writeFile(configurationFile, self.configuration)
  }

  /// Name and port.
  public var description: String { "\(name):\(port)" }
  /// Where clients find it.
  public var endpoint: Endpoint { .tcp("127.0.0.1", port) }
  /// The process id; nil while it is down.
  public var pid: pid_t? { state.withLock { $0.process.flatMap { $0.isRunning ? $0.pid : nil } } }
  /// Whether the process lives; a frozen one does.
  public var isRunning: Bool { pid != nil }
  /// Whether it can answer.
  public var isAnswering: Bool { isRunning && state.withLock { !$0.isFrozen } }

  /// SIGKILL; returns when the process is gone.
  public func kill() async { await end(SIGKILL) }

  /// SIGTERM (Redis saves what it is configured to save); returns when the process is gone.
  public func terminate() async { await end(SIGTERM) }

  /// SIGKILL at once, from any thread, without waiting.
  public func killNow() { _ = state.withLock { $0.process?.signal(SIGKILL) } }

  /// SIGSTOP: connections stay open, nothing is answered.
  public func freeze() {
    state.withLock { state in
      if state.process?.signal(SIGSTOP) == true { state.isFrozen = true }
    }
  }

  /// SIGCONT: it goes on where it stopped, with all it had not read.
  public func thaw() {
    state.withLock { state in
      state.process?.signal(SIGCONT)
      state.isFrozen = false
    }
  }

  /// Starts the process (again); returns when it answers.
  ///
  /// Redis comes back in the role it had last, as its rewritten configuration says; data comes back
  /// as far as it was persisted (``TopologyOptions/appendOnly``, or `SAVE`).
  /// - Parameter empty: as after a lost disk: no data.
  public func restart(empty: Bool = false) async throws {
    await kill()
    if empty {
      _ = try ChildProcess.run("/bin/rm", ["rm", "-rf", "--", folder])
      guard mkdir(folder, 0o700) == 0 else { throw LabError.last("mkdir \(folder)") }
    }
    try await start()
  }

  /// One command on a connection of its own, as the configured user.
  /// - Throws: `LabError`; an error reply is a value.
  @discardableResult
  public func query(
    _ arguments: [String], timeoutMilliseconds: Int = 2000
  ) async throws -> RESPValue {
    try await LabThread.run {
      try self.queryBlocking(arguments, timeoutMilliseconds: timeoutMilliseconds)
    }
  }

  /// ``query(_:timeoutMilliseconds:)`` for threads.
  public func queryBlocking(
    _ arguments: [String], timeoutMilliseconds: Int = 2000
  ) throws -> RESPValue {
    // Straight to the process: what a relay does to others must not blind the lab.
    let client = try connectBlocking(timeoutMilliseconds: timeoutMilliseconds)
    return try client.command(arguments, timeoutMilliseconds: timeoutMilliseconds)
  }

  /// A connection straight to the process, authenticated.
  public func connectBlocking(timeoutMilliseconds: Int = 2000) throws -> BlockingClient {
    let client = try BlockingClient(
      .tcp("127.0.0.1", serverPort), timeoutMilliseconds: timeoutMilliseconds)
    if let password {
      let reply = try client.command(["AUTH", password], timeoutMilliseconds: timeoutMilliseconds)
      if case .error(let text) = reply { throw LabError.failed("\(name): AUTH: \(text)") }
    }
    return client
  }

  /// The fields of one section of `INFO`.
  public func info(_ section: String) async throws -> [String: String] {
    guard let text = try await query(["INFO", section]).text else {
      throw LabError.failed("\(name): INFO \(section) gave no text")
    }
    var fields: [String: String] = [:]
    for line in text.split(separator: "\r\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
    }
    return fields
  }

  /// `CLIENT PAUSE`: clients' commands (or writes alone) wait for that long.
  public func pauseClients(milliseconds: Int, writesOnly: Bool = false) async throws {
    let mode = writesOnly ? "WRITE" : "ALL"
    let reply = try await query(["CLIENT", "PAUSE", "\(milliseconds)", mode])
    guard reply == .simple("OK") else { throw LabError.failed("\(name): CLIENT PAUSE: \(reply)") }
  }

  /// Restarts it with the configuration that an operator once wrote, and nothing that it learned since:
  /// a sentinel begins with epoch 0, a new identity, the first master and nobody else.
  public func restartForgetful() async throws {
    await kill()
    let learned = ["sentinel myid ", "sentinel known-"]
    let lines = configuration.split(separator: "\n").filter { line in
      !learned.contains { line.hasPrefix($0) }
    }
    try writeFile(configurationFile, lines.joined(separator: "\n") + "\n")
    try await start()
  }

  func start() async throws {
    let arguments = [server.name, configurationFile] + (isSentinel ? ["--sentinel"] : [])
    let process = try ChildProcess.start(
      server.executable, arguments: arguments, logFile: logFile)
    state.withLock { $0 = State(process: process) }
    try await eventually("answer of \(self)", within: 15_000) {
      guard process.isRunning else { return true }
      // Ours, and no other process that took the port.
      return try await self.info("server")["process_id"] == "\(process.pid)"
    }
    guard process.isRunning else {
      let tail = (readFile(logFile) ?? "").split(separator: "\n").suffix(5).joined(separator: "\n")
      throw LabError.failed("\(self) ended at once; its log ends:\n\(tail)")
    }
  }

  func stop() async {
    await kill()
    relay?.stop()
    Ports.release(serverPort)
  }

  private func end(_ signal: Int32) async {
    let process = state.withLock { state in
      state.isFrozen = false
      return state.process
    }
    guard let process else { return }
    process.signal(signal)
    process.signal(SIGCONT)
    // Not cut short by a cancelled task: what was started here must be gone afterwards.
    await Task.detached {
      if (try? await process.wait(timeoutMilliseconds: 10_000)) == nil { await process.kill() }
    }.value
  }
}
