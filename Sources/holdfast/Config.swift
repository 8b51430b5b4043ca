// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP
import Settings

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks a settings file, or shows what is in force.",
    subcommands: [Check.self, Show.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Checks a file without touching the daemon; every problem with line and key.",
      discussion: "Passwords' and certificates' files must be readable for whoever checks.")

    @Argument(help: "The file.")
    var file = Settings.defaultFile

    func run() throws {
      do {
        _ = try Settings.load(file: file, environment: [:], flags: [])
        put("\(file): no problem found\n")
      } catch {
        throw fail("\(error)", 1)
      }
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
