// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import RESP

struct Ping: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "For health checks: live and ready.",
    discussion: """
      Prints READY where a verified master is used, WAITING where requests wait for one. Exit status \
      0 for READY (with --live also for WAITING), 1 else, 2 where the daemon does not answer.
      """)

  @OptionGroup var common: Common

  @Flag(help: "Be content with a daemon that answers.")
  var live = false

  func run() throws {
    let answer = try common.ask(["HOLDFAST.PING"], timeoutSeconds: 5).text ?? ""
    put("\(answer)\n")
    if answer != "READY", !live { throw ExitCode(1) }
  }
}

struct Reload: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Reads the settings again, and waits for the outcome.",
    discussion: """
      A file with an error changes nothing: it is said here and in the journal, with file, line and \
      key, and the exit status is 1. Keys that only a restart changes are named.
      """)

  @OptionGroup var common: Common

  func run() throws {
    let answer = Fields(try common.ask(["HOLDFAST.RELOAD"], timeoutSeconds: 30))
    func names(_ name: String) -> [String] { answer[name].elements?.compactMap(\.text) ?? [] }
    let changed = names("changed")
    put(changed.isEmpty ? "nothing changed\n" : "changed: \(changed.joined(separator: ", "))\n")
    let restart = names("needs-restart")
    if !restart.isEmpty {
      put("needs a restart (systemctl restart holdfastd): \(restart.joined(separator: ", "))\n")
    }
  }
}
