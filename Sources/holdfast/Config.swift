// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks a settings file, or shows what is in force.",
    subcommands: [Check.self, Show.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Checks a file without touching the daemon; every problem with line and key.",
      discussion: """
        The daemon's own program checks it, as it would at its start. Passwords' and certificates' \
        files must be readable for whoever checks. Exit status 78 where something is wrong.
        """)

    @Argument(help: "The file.")
    var file = "/etc/holdfast/holdfastd.yaml"

    func run() throws {
      let words = ["holdfastd", "--check-config", "--config", file]
      var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
      defer { for argument in arguments { free(argument) } }
      execv(Self.program, &arguments)
      execvp("holdfastd", &arguments)
      throw fail("holdfastd cannot be run: \(String(cString: strerror(errno)))", 2)
    }

    /// The daemon beside this program.
    private static var program: String {
      var path = [CChar](repeating: 0, count: Int(PATH_MAX))
      let count = readlink("/proc/self/exe", &path, path.count - 1)
      let text = String(
        decoding: path.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
      return text + "d"
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Every key as the daemon has it, and where its value comes from.",
      discussion: "Secrets are in files of their own: only their names are shown.")

    @OptionGroup var common: Common
    @OptionGroup var format: JSONFlag

    @Flag(help: "Leave out what is as it is by default.")
    var changed = false

    func run() throws {
      let answer = try common.ask(["HOLDFAST.CONFIG"])
      if format.json { return put(answer.json() + "\n") }
      let rows = (answer.elements ?? []).map { Fields($0) }
        .filter { !changed || $0.text("source") != "default" }
        .map { [$0.text("key"), $0.text("value"), $0.text("source")] }
      put(Drawing.forOutput.table([["key", "value", "from"]] + rows, indent: ""))
    }
  }
}
