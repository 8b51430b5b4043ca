// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// How a process ended.
public enum ExitStatus: Equatable, Sendable {
  /// It returned this code.
  case exited(Int32)
  /// This signal ended it.
  case signalled(Int32)
}

/// One child of this process, in a process group of its own (Ctrl-C at a terminal does not reach it).
///
/// `posix_spawn` rather than a scoped subprocess API: these children outlive the call that starts
/// them, are stopped and continued, and are waited for from plain threads as well.
public final class ChildProcess: Sendable {
  /// The process id; stays reserved until the child was waited for.
  public let pid: pid_t
  private let status = Mutex<ExitStatus?>(nil)

  private init(pid: pid_t) { self.pid = pid }

  /// Starts `executable` with `arguments` (the first is its name); output is appended to `logFile`.
  ///
  /// The child inherits no descriptor but the given `input` (or /dev/null) and the log.
  /// - Throws: `LabError.system` where it cannot be started.
  public static func start(
    _ executable: String, arguments: [String], environment: [String: String] = [:],
    logFile: String = "/dev/null", input: Int32? = nil, watched: Bool = true
  ) throws -> ChildProcess {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, logFile, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Ours are closed on exec; this is for what our own parent left open.
    for descriptor in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Signals start out as for any program, whatever this process ignores or blocks.
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
    posix_spawnattr_setflags(&attributes, Int16(flags))

    var pid: pid_t = 0
    let result = withCStrings(arguments) { argv in
      withCStrings(merged(environment)) { envp in
        posix_spawn(&pid, executable, &actions, &attributes, argv, envp)
      }
    }
    guard result == 0 else {
      throw LabError.system(call: "start \(executable)", errno: result)
    }
    if watched { Reaper.shared?.watch(pid) }
    return ChildProcess(pid: pid)
  }

  /// Runs a short command to its end and returns how it ended.
  @discardableResult
  static func run(_ executable: String, _ arguments: [String]) throws -> ExitStatus {
    let child = try start(executable, arguments: arguments)
    while true {
      if let status = child.exitStatus { return status }
      usleep(1000)
    }
  }

  /// How it ended; nil while it runs. Collects the zombie, so this never blocks.
  public var exitStatus: ExitStatus? {
    status.withLock { status in
      if status != nil { return status }
      var raw: Int32 = 0
      guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
      Reaper.shared?.forget(pid)
      let signal = raw & 0x7f
      status = signal == 0 ? .exited((raw >> 8) & 0xff) : .signalled(signal)
      return status
    }
  }

  /// Whether it still runs (a stopped process does).
  public var isRunning: Bool { exitStatus == nil }

  /// Sends a signal, never to another process that got the same id; false where it had ended.
  @discardableResult
  public func signal(_ signal: Int32) -> Bool {
    guard isRunning else { return false }
    return status.withLock { status in status == nil && Glibc.kill(pid, signal) == 0 }
  }

  /// Waits for the end.
  /// - Throws: `LabError.timeout` after `timeoutMilliseconds`.
  public func wait(timeoutMilliseconds: Int = 20_000) async throws -> ExitStatus {
    try await eventually("end of process \(pid)", within: timeoutMilliseconds, every: 2) {
      self.exitStatus
    }
  }

  /// SIGKILL, and waits until it is gone; works on stopped processes too.
  public func kill() async {
    signal(SIGKILL)
    _ = await Task.detached { try? await self.wait() }.value
  }
}

/// This process' environment with `changes` over it, as `NAME=value`.
private func merged(_ changes: [String: String]) -> [String] {
  var lines: [String] = []
  var entry = environ
  while let text = entry.pointee {
    let line = String(cString: text)
    let name = line.prefix { $0 != "=" }
    if changes[String(name)] == nil { lines.append(line) }
    entry += 1
  }
  return lines + changes.map { "\($0.key)=\($0.value)" }
}

/// A null-terminated array of C strings for the time of the call.
private func withCStrings<R>(
  _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R
) -> R {
  let copies = strings.map { strdup($0) }
  defer { for copy in copies { free(copy) } }
  return body(copies + [nil])
}
