// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Testing

/// Runs the body with a daemon and stops it, whatever happens.
func withDaemon<R: Sendable>(
  _ daemon: Daemon, _ body: @Sendable (Daemon) async throws -> R
) async throws -> R {
  let result: Result<R, any Error>
  do {
    result = .success(try await body(daemon))
  } catch {
    result = .failure(error)
  }
  await daemon.stop()
  return try result.get()
}

/// A topology and a daemon that follows it.
func withLab(
  _ options: TopologyOptions = TopologyOptions(), arguments: [String] = [],
  _ body: @Sendable (Topology, Daemon) async throws -> Void
) async throws {
  try await Topology.with(options) { lab in
    try await withDaemon(try await Daemon.start(for: lab, arguments: arguments)) { daemon in
      try await body(lab, daemon)
    }
  }
}

/// One Redis and a daemon with `redis.address`.
func withFixed(
  _ change: @Sendable (inout TopologyOptions) -> Void = { _ in }, arguments: [String] = [],
  _ body: @Sendable (Topology, Daemon) async throws -> Void
) async throws {
  var options = TopologyOptions()
  options.replicas = 0
  options.sentinels = 0
  change(&options)
  try await Topology.with(options) { lab in
    let daemon = try await Daemon.start(
      arguments: ["--redis", "\(lab.initialMaster.endpoint)"] + arguments)
    try await withDaemon(daemon) { try await body(lab, $0) }
  }
}

/// `--set` for each, as `key=value`.
func setting(_ assignments: String...) -> [String] { assignments.flatMap { ["--set", $0] } }

extension RESPValue {
  /// The first word of an error; nil for all else.
  var errorWord: String? {
    guard case .error(let text) = self else { return nil }
    return text.split(separator: " ").first.map(String.init)
  }

}

extension Daemon {
  /// The fields of its own `INFO`.
  func info() async throws -> [String: String] {
    let client = try await connect()
    let text = try await client.command(["INFO"], timeoutMilliseconds: 5000).text ?? ""
    var fields: [String: String] = [:]
    for line in text.split(separator: "\r\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
    }
    return fields
  }

  /// Waits until requests are served by the given node, or by any other than the given one.
  func waitUntilServing(_ node: Node? = nil, insteadOf old: Node? = nil) async throws {
    try await eventually("daemon serving \(node.map { "\($0)" } ?? "another node")", every: 5) {
      let fields = try await self.info()
      guard fields["holdfast_state"] == "serving", let master = fields["holdfast_master"] else {
        return false
      }
      if let node { return master == "\(node.endpoint)" }
      return old.map { master != "\($0.endpoint)" } ?? true
    }
  }

  /// Waits until so many clients are connected, the one that asks included.
  func waitForClients(_ count: Int) async throws {
    try await eventually("\(count) connected clients", every: 10) {
      try await self.info()["connected_clients"] == "\(count)"
    }
  }

  /// Waits for a text in the log.
  func waitForLog(_ text: String) async throws {
    do {
      try await eventually("'\(text)' in the log", every: 50, holds: { self.log.contains(text) })
    } catch {
      throw LabError.failed("\(error); the log is:\n\(log.suffix(4000))")
    }
  }
}

/// Whether tests that take many minutes run too (`Tests/run --long`).
let isLongRun = getenv("HOLDFAST_LONG").map { String(cString: $0) } == "1"

extension Topology {
  /// `SENTINEL FAILOVER`, again while the last failover's end makes sentinels refuse it.
  func commandFailoverWhenAllowed(by sentinel: Node? = nil) async throws {
    try await eventually("SENTINEL FAILOVER accepted", within: 30_000, every: 100) {
      try await self.commandFailover(by: sentinel)
      return true
    }
  }

  /// Sentinels look every second instead of every ten, and take a promotion that is not theirs back
  /// after two instead of eight.
  func hastenSentinels() async throws {
    for sentinel in sentinels {
      let reply = try await sentinel.query([
        "SENTINEL", "DEBUG", "info-period", "1000", "publish-period", "500",
      ])
      guard reply == .simple("OK") else {
        throw LabError.failed("\(sentinel): SENTINEL DEBUG: \(reply)")
      }
    }
  }

  /// The master that the daemon uses, once a majority of the sentinels names it too: it may know of
  /// a promotion before they say so.
  func masterAgreed(with daemon: Daemon) async throws -> Node {
    try await eventually("sentinels and daemon agreeing on the master") {
      let master = try await self.currentMaster()
      return try await daemon.info()["holdfast_master"] == "\(master.endpoint)" ? master : nil
    }
  }
}

/// A folder of a test's own.
struct TestFolder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/holdfast-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Writes a file as an editor would: the new one takes the old one's place at once.
  @discardableResult
  func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
    let target = "\(path)/\(name)"
    let file = open("\(target).new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    try #require(file >= 0)
    defer { close(file) }
    let bytes = Array(text.utf8)
    try #require(Glibc.write(file, bytes, bytes.count) == bytes.count)
    try #require(rename("\(target).new", target) == 0)
    return target
  }

  func read(_ name: String) -> String {
    guard let file = fopen("\(path)/\(name)", "r") else { return "" }
    defer { fclose(file) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = fread(&chunk, 1, chunk.count, file)
      guard count > 0 else { break }
      content += chunk[..<count]
    }
    return String(decoding: content, as: UTF8.self)
  }

  func remove() async {
    let child = try? ChildProcess.start("/bin/rm", arguments: ["rm", "-rf", "--", path])
    _ = try? await child?.wait()
  }
}

/// Runs the body with a folder that is gone afterwards.
func withFolder(_ body: @Sendable (TestFolder) async throws -> Void) async throws {
  let folder = try TestFolder()
  do {
    try await body(folder)
  } catch {
    await folder.remove()
    throw error
  }
  await folder.remove()
}

/// The run of a program to its end: how it ended, and all it wrote.
func runProgram(
  _ program: String, _ arguments: [String], in folder: TestFolder,
  environment: [String: String] = [:]
) async throws -> (status: RedisLab.ExitStatus, output: String) {
  let name = "run-\(UInt32.random(in: 0...UInt32.max)).log"
  let child = try ChildProcess.start(
    program, arguments: [program] + arguments, environment: environment,
    logFile: "\(folder.path)/\(name)")
  do {
    let status = try await child.wait()
    return (status, folder.read(name))
  } catch {
    await child.kill()
    throw error
  }
}
