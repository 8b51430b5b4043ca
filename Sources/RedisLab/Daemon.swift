// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import Synchronization

/// A `holdfastd` process of the lab's own.
public final class Daemon: Sendable {
  /// Its Unix-domain socket.
  public let socketPath: String
  /// Where its stderr and stdout go.
  public let logFile: String
  private let process: ChildProcess
  private let folder: Folder

  private init(process: ChildProcess, socketPath: String, logFile: String, folder: Folder) {
    self.process = process
    self.socketPath = socketPath
    self.logFile = logFile
    self.folder = folder
  }

  /// Starts the daemon for a topology's sentinels (or its only Redis) and waits until its socket
  /// answers `PING`.
  /// - Parameters:
  ///   - configuration: the text of a configuration file, given with `--config`.
  ///   - arguments: more arguments, after those made here.
  ///   - executable: the program; by default found as ``find()`` says.
  public static func start(
    for topology: Topology, configuration: String? = nil, arguments: [String] = [],
    environment: [String: String] = [:], executable: String? = nil
  ) async throws -> Daemon {
    var target: [String] = []
    if !topology.sentinels.isEmpty {
      target = ["--sentinels", topology.sentinelList, "--master", topology.options.masterName]
    }
    return try await start(
      arguments: target + arguments, configuration: configuration, environment: environment,
      executable: executable)
  }

  /// Starts the daemon with these arguments; `--listen` with a socket of its own, and `--config` where
  /// `configuration` is given, are put before them.
  /// - Throws: `LabError.failed` with the end of its log where it exits, `LabError.timeout` where its
  ///   socket does not answer `PING` in time.
  public static func start(
    arguments: [String], configuration: String? = nil, environment: [String: String] = [:],
    executable: String? = nil, readyTimeoutMilliseconds: Int = 20_000
  ) async throws -> Daemon {
    let program = try executable ?? find()
    let folder = try Folder("daemon")
    do {
      let socketPath = "\(folder.path)/holdfast.sock"
      let logFile = "\(folder.path)/holdfastd.log"
      var all = [program, "--listen", socketPath]
      if let configuration {
        try writeFile("\(folder.path)/holdfastd.yaml", configuration)
        all += ["--config", "\(folder.path)/holdfastd.yaml"]
      }
      let process = try ChildProcess.start(
        program, arguments: all + arguments, environment: environment, logFile: logFile)
      let daemon = Daemon(
        process: process, socketPath: socketPath, logFile: logFile, folder: folder)
      do {
        try await daemon.waitUntilReady(timeoutMilliseconds: readyTimeoutMilliseconds)
        return daemon
      } catch {
        await process.kill()
        throw error
      }
    } catch {
      folder.remove()
      throw error
    }
  }

  /// The program: `HOLDFAST_DAEMON`, else as ``Program/find(_:)``.
  /// - Throws: `LabError.failed`, which says how to build it.
  public static func find() throws -> String {
    if let path = environmentValue("HOLDFAST_DAEMON") { return path }
    return try Program.find("holdfastd")
  }

  /// The process id.
  public var pid: pid_t { process.pid }
  /// Whether it lives.
  public var isRunning: Bool { process.isRunning }
  /// How it ended; nil while it runs.
  public var exitStatus: ExitStatus? { process.exitStatus }
  /// All that it has written so far (at most 1 MiB).
  public var log: String { readFile(logFile) ?? "" }
  /// Where clients connect.
  public var endpoint: Endpoint { .unix(socketPath) }

  /// A new connection to its socket.
  public func connect() async throws -> LabClient { try await .connect(endpoint) }

  /// SIGKILL; returns when it is gone.
  public func kill() async { await process.kill() }
  /// SIGTERM, without waiting; see ``wait(timeoutMilliseconds:)``.
  public func terminate() { process.signal(SIGTERM) }
  /// SIGSTOP.
  public func freeze() { process.signal(SIGSTOP) }
  /// SIGCONT.
  public func thaw() { process.signal(SIGCONT) }
  /// Sends any signal.
  public func signal(_ signal: Int32) { process.signal(signal) }
  /// Waits for its end.
  /// - Throws: `LabError.timeout`.
  public func wait(timeoutMilliseconds: Int = 20_000) async throws -> ExitStatus {
    try await process.wait(timeoutMilliseconds: timeoutMilliseconds)
  }

  /// Kills it where it still runs and removes its folder. May be called twice.
  public func stop() async {
    await kill()
    folder.remove()
  }

  /// Memory that is resident, in KiB; nil once it ended.
  public var rssKiB: Int? {
    let line = readFile("/proc/\(pid)/status")?.split(separator: "\n")
      .first { $0.hasPrefix("VmRSS:") }
    return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
      .flatMap { Int($0) }
  }

  /// How many descriptors it has open; nil once it ended.
  public var openDescriptors: Int? {
    guard let folder = opendir("/proc/\(pid)/fd") else { return nil }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    return count - 2  // . and ..
  }

  /// CPU time of all its threads in milliseconds, in steps of 10; nil once it ended.
  public var cpuMilliseconds: Int? {
    // The command's name, in brackets, may hold anything: count from its end.
    guard let stat = readFile("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else {
      return nil
    }
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]) else {
      return nil
    }
    return (user + system) * 1000 / sysconf(Int32(_SC_CLK_TCK))
  }

  private func waitUntilReady(timeoutMilliseconds: Int) async throws {
    try await eventually("PING at holdfastd", within: timeoutMilliseconds) {
      guard self.isRunning else { return true }
      let client = try await self.connect()
      let reply = try await client.command(["PING"], timeoutMilliseconds: 1000)
      // It may ask for a password.
      if case .error(let text) = reply { return text.hasPrefix("NOAUTH") }
      return reply == .simple("PONG")
    }
    if let status = exitStatus {
      let tail = log.split(separator: "\n").suffix(10).joined(separator: "\n")
      throw LabError.failed("holdfastd ended at once (\(status)); its log ends:\n\(tail)")
    }
  }
}
