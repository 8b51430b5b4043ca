// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

struct Sessions: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Sessions of a user, or one of them.",
    discussion: """
      A session's id is a secret: it is read from standard input, never from the command line, which \
      every user of the host can see. Users and handles are none.

        holdfast sessions list alice
        holdfast sessions kill alice 3f9a…
        holdfast sessions logout alice
        holdfast sessions show < id-file
      """,
    subcommands: [
      List.self, Show.self, Kill.self, Logout.self, Stats.self, Sweep.self,
    ])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "A user's sessions.")
    @OptionGroup var common: Common
    @OptionGroup var format: JSONFlag
    @Argument(help: "The user.") var user: String

    func run() throws {
      let connection = try common.connect()
      var rows: [RESPValue] = []
      var cursor = "0"
      repeat {
        let page = Fields(
          try connection.ask(["SESSION.LIST", user, "CURSOR", cursor, "COUNT", "100"]))
        rows += page["rows"].elements ?? []
        cursor = page.text("cursor")
      } while cursor != "0" && rows.count < 100_000
      if format.json { return put(RESPValue.array(rows).json() + "\n") }
      let table = rows.map { Fields($0) }.map { row in
        [
          row.text("handle"), EventLine.time(row.number("created")),
          EventLine.time(row.number("seen")), duration(milliseconds: row.number("ttl")),
          row.text("ip"), row.text("meta"),
        ]
      }
      put(
        Drawing.forOutput.table(
          [["handle", "created", "seen", "ends in", "ip", "meta"]] + table, indent: ""))
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "One session, whose id is read from standard input; its expiry does not move.")
    @OptionGroup var common: Common
    @OptionGroup var format: JSONFlag
    @Flag(help: "Print its data too.") var data = false

    func run() throws {
      let answer = try common.ask(["SESSION.GET", try readID(), "NOTOUCH"])
      guard answer != .null else { throw fail("there is no such session", 1) }
      let session = Fields(answer)
      let bytes: [UInt8]
      if case .bulk(let content) = session["data"] { bytes = content } else { bytes = [] }
      if format.json {
        let shown = ["version", "user", "ttl"].map { ($0, session[$0]) }
        let rest = data ? [("data", session["data"])] : [("bytes", RESPValue.count(bytes.count))]
        return put(RESPValue.fields(shown + rest).json() + "\n")
      }
      put("user     \(session.text("user"))\nversion  \(session.text("version"))\n")
      put("ends in  \(duration(milliseconds: session.number("ttl")))\n")
      put("data     \(size(bytes: Int64(bytes.count)))\n")
      if data { put(clean(String(decoding: bytes, as: UTF8.self)) + "\n") }
    }
  }

  struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Ends one session: by user and handle, or by the id on standard input.")
    @OptionGroup var common: Common
    @Argument(help: "The user.") var user: String?
    @Argument(help: "The handle, as `sessions list` shows it.") var handle: String?

    func run() throws {
      let words: [String]
      if let user, let handle {
        words = ["SESSION.KILL", user, handle]
      } else if user == nil {
        words = ["SESSION.DESTROY", try readID()]
      } else {
        throw ValidationError("give user and handle, or neither and the id on standard input")
      }
      try tellEnded(try common.ask(words))
    }
  }

  struct Logout: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Ends all sessions of a user.")
    @OptionGroup var common: Common
    @Argument(help: "The user.") var user: String

    func run() throws { try tellEnded(try common.ask(["SESSION.LOGOUTALL", user])) }
  }

  struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "How many sessions live, how long they last, who logged in.",
      discussion: "Without options: the active ones and a sample of their durations.")
    @OptionGroup var common: Common
    @OptionGroup var format: JSONFlag
    @Option(help: "Logins from this day on, as 2026-01-31.") var from: String?
    @Option(help: "Logins up to this day; the first by default.") var to: String?
    @Option(help: "Of this user.") var user: String?

    func run() throws {
      var answers: [(String, RESPValue)] = []
      func ask(_ words: String...) throws {
        let name = words[0].lowercased()
        answers.append((name, try common.ask(["SESSION.STATS"] + words, timeoutSeconds: 120)))
      }
      if let from {
        try ask("LOGINS", from, to ?? from)
      } else if let user {
        try ask("USER", user)
      } else {
        try ask("ACTIVE")
        try ask("DURATION")
      }
      // One form for people too: names and numbers.
      put(RESPValue.fields(answers).json() + "\n")
    }
  }

  struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Finds session keys without a time to live, and gives them one.",
      discussion: "Without an option nothing is changed: it only counts.")
    @OptionGroup var common: Common
    @Flag(help: "Give them the idle time.") var repair = false
    @Flag(help: "Delete them.") var remove = false
    @Option(help: "Keys of this pattern instead of sessions'.") var pattern: String?
    @Option(help: "Keys looked at in a second.") var rate: Int?

    func validate() throws {
      if repair, remove { throw ValidationError("give --repair or --remove, not both") }
    }

    func run() throws {
      var words = ["SESSION.SWEEP"]
      if remove { words.append("REMOVE") } else if !repair { words.append("DRYRUN") }
      if let pattern { words += ["PATTERN", pattern] }
      if let rate { words += ["RATE", "\(rate)"] }
      put(try common.ask(words, timeoutSeconds: 24 * 3600).json() + "\n")
    }
  }
}

/// A session's id, from standard input; typed at a terminal it is not shown.
private func readID() throws -> String {
  var former = termios()
  let isTerminal = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &former) == 0
  if isTerminal {
    put("id: ")
    var silent = former
    silent.c_lflag &= ~tcflag_t(ECHO)
    tcsetattr(STDIN_FILENO, TCSANOW, &silent)
  }
  defer {
    if isTerminal {
      tcsetattr(STDIN_FILENO, TCSANOW, &former)
      put("\n")
    }
  }
  guard let line = readLine(), !line.isEmpty else { throw fail("no id on standard input", 64) }
  return line
}

private func tellEnded(_ answer: RESPValue) throws {
  let count = answer.elements?.first?.integerValue ?? Fields(answer).number("count")
  let isConfirmed = answer.json().contains("confirmed")
  put(
    "\(count) ended, \(isConfirmed ? "confirmed by a replica" : "not confirmed by a replica yet")\n"
  )
  if count == 0 { throw ExitCode(1) }
}

struct Locks: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Locks that this host holds or waits for.")
  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  func run() throws {
    let answer = try common.ask(["HOLDFAST.LOCKS"])
    if format.json { return put(answer.json() + "\n") }
    let rows = (answer.elements ?? []).map { Fields($0) }.map { row in
      [
        row.text("lock"), row.isNull("pid") ? "another host" : row.text("pid"), row.text("uid"),
        duration(milliseconds: row.number("ttl")), row.text("waiters"),
      ]
    }
    put(Drawing.forOutput.table([["lock", "pid", "uid", "ends in", "waiters"]] + rows, indent: ""))
  }
}

struct Clients: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Processes that are connected, and what they do.")
  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  func run() throws {
    let answer = try common.ask(["HOLDFAST.CLIENTS"])
    if format.json { return put(answer.json() + "\n") }
    put(ClientTable(drawing: .forOutput).text((answer.elements ?? []).map { Fields($0) }))
  }
}

/// Processes with their connections.
struct ClientTable {
  var drawing = Drawing()
  var name: (Int64) -> String = Self.processName

  func text(_ rows: [Fields]) -> String {
    drawing.table(
      [["pid", "uid", "process", "connections", "commands", "in flight", "waiting", "idle"]]
        + rows.map { row in
          [
            row.text("pid"), row.text("uid"), name(row.number("pid")), row.text("connections"),
            row.text("commands"), row.text("outstanding"), row.text("waiting"),
            duration(milliseconds: row.number("idle-ms")),
          ]
        }, indent: "")
  }

  /// The daemon's sandbox hides others' processes from it, not from us.
  static func processName(_ pid: Int64) -> String {
    guard let file = fopen("/proc/\(pid)/comm", "r") else { return "-" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 64)
    guard fgets(&line, 64, file) != nil else { return "-" }
    let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return clean(String(decoding: bytes, as: UTF8.self)).split(separator: " ").joined(
      separator: " ")
  }
}
