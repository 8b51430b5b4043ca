// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

/// The operator's command line: asks the daemon on its socket, and draws what it says.
@main
struct Holdfast: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "holdfast",
    abstract:
      "Looks after holdfastd, the daemon that keeps web sessions reachable while Redis moves.",
    discussion: """
      At 2 a.m. begin with `holdfast status`: one screen that says which master is used and why, who \
      waits, and what the last failovers cost. `holdfast doctor` says what in the deployment would \
      make the next one worse. Administration is for root, the daemon's user and the group \
      holdfast-admin.

      Exit status: 0 all is well, 1 it is not, 2 the daemon cannot be asked, 64 wrong usage.
      """,
    version: "holdfast \(version)",
    groupedSubcommands: [
      CommandGroup(
        name: "Look", subcommands: [Status.self, Top.self, Events.self, Failovers.self, Ping.self]),
      CommandGroup(
        name: "Sessions", subcommands: [Sessions.self, Locks.self, Clients.self]),
      CommandGroup(
        name: "Check and change",
        subcommands: [Doctor.self, Drill.self, Reload.self, Config.self]),
    ])
}

/// What every subcommand takes.
struct Common: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The daemon's socket; else the variable HOLDFAST_SOCKET, else \(Common.defaultSocket).",
      valueName: "path"))
  var socket: String?

  @Option(
    help: ArgumentHelp(
      """
      A file with the password that the daemon asks its clients for (listen.passwordFile); else the \
      variable HOLDFAST_PASSWORD_FILE. Administration needs none, sessions do.
      """, valueName: "path"))
  var passwordFile: String?

  static let defaultSocket = "/run/holdfast/holdfast.sock"

  var path: String {
    socket ?? getenv("HOLDFAST_SOCKET").map { String(cString: $0) } ?? Self.defaultSocket
  }

  /// The first line of the file, if there is one.
  private func password() throws -> String? {
    let named = getenv("HOLDFAST_PASSWORD_FILE").map { String(cString: $0) }
    guard let file = passwordFile ?? named else { return nil }
    guard let handle = fopen(file, "re") else {
      throw fail("\(file): \(String(cString: strerror(errno)))", 2)
    }
    defer { fclose(handle) }
    var line = [CChar](repeating: 0, count: 4096)
    guard fgets(&line, Int32(line.count), handle) != nil else { throw fail("\(file): is empty", 2) }
    let bytes = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }

  func connect(timeoutSeconds: Int = 10) throws -> DaemonConnection {
    let password = try password()
    do {
      return try DaemonConnection(path: path, password: password, timeoutSeconds: timeoutSeconds)
    } catch {
      throw fail("\(error)", 2)
    }
  }

  /// One command's answer; an error of the daemon's ends the program with status 1.
  func ask(_ words: [String], timeoutSeconds: Int = 10) throws -> RESPValue {
    try connect(timeoutSeconds: timeoutSeconds).ask(words)
  }
}

/// `--json` instead of a drawing.
struct JSONFlag: ParsableArguments {
  @Flag(help: "Print JSON, for programs.")
  var json = false
}

extension DaemonConnection {
  func ask(_ words: [String]) throws -> RESPValue {
    let answer: RESPValue
    do { answer = try command(words) } catch { throw fail("\(error)", 2) }
    if case .error(let text) = answer { throw fail(text, 1) }
    return answer
  }
}

/// Says why on standard error; the error to throw.
func fail(_ reason: String, _ status: Int32) -> ExitCode {
  let bytes = Array("holdfast: \(reason)\n".utf8)
  _ = write(STDERR_FILENO, bytes, bytes.count)
  return ExitCode(status)
}

/// Writes a text to standard output as it is.
func put(_ text: String) {
  var bytes = Array(text.utf8)[...]
  while !bytes.isEmpty {
    let count = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    guard count > 0 else { return }
    bytes = bytes.dropFirst(count)
  }
}
