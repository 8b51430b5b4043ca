// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Sessions

@Suite struct ParsingTests {
  private static let id = String(repeating: "a1", count: 32)

  private func parse(_ line: String) -> SessionReply? {
    var random = SeededGenerator(seed: 7)
    let arguments = line.split(separator: " ").map { word in
      bytes(word == "ID" ? Self.id : word == "''" ? "" : String(word))
    }
    switch SessionOperation.parse(
      arguments, SessionContext(SessionConfiguration()), random: &random)
    {
    case .operation: return nil
    case .refused(let reply): return reply
    }
  }

  @Test(arguments: [
    "session.create x", "SESSION.CREATE ''", "SESSION.CREATE x user u idle 1 absolute 315360000",
    "SESSION.CREATE x BIND 10.0.0.1 META {} IP ::1 LIMIT 1 reject USER u",
    "SESSION.CREATE x BIND ::/0 report IDLE 5", "SESSION.GET ID",
    "SESSION.GET ID notouch ip 1.2.3.4",
    "SESSION.SET ID x KEEPTTL TOKEN t VERSION 1", "SESSION.SET bad x", "SESSION.TOUCH ID",
    "SESSION.REGENERATE ID GRACE 0 USER u BIND 1.2.3.4/7 REPORT", "SESSION.DESTROY ID",
    "SESSION.BIND ID none", "SESSION.BIND ID 10.0.0.0/8 ENFORCE", "SESSION.LIST u CURSOR 0 COUNT 1",
    "SESSION.LIST u CURSOR 1764000000000-3", "SESSION.KILL u h", "SESSION.LOGOUTALL u EXCEPT ID",
    "SESSION.ATTACH u key", "SESSION.LOGIN u ok", "SESSION.STATS active", "SESSION.STATS DURATION",
    "SESSION.STATS USER u", "SESSION.STATS LOGINS 2026-02-28 2026-03-01", "SESSION.SWEEP",
    "SESSION.SWEEP RATE 1 DRYRUN PATTERN *", "SESSION.HELP", "SESSION.HELP session.get",
    "SESSION.HELP Lock",
  ])
  func accepted(line: String) { #expect(parse(line) == nil) }

  @Test(arguments: [
    ("SESSION.NOSUCH x", "unknown SESSION command"), ("SESSION.CREATE", "too few arguments"),
    ("SESSION.DESTROY ID x", "too many arguments"), ("SESSION.CREATE x SECRET 1", "allowed: USER"),
    ("SESSION.CREATE x USER", "USER needs a value"), ("SESSION.CREATE x USER ''", "1 to 256 bytes"),
    ("SESSION.CREATE x IDLE 0", "IDLE takes a whole number of seconds, 1 to 315360000"),
    ("SESSION.CREATE x IDLE -1", "IDLE takes"), ("SESSION.CREATE x IDLE 1.5", "IDLE takes"),
    ("SESSION.CREATE x IDLE SECRET", "IDLE takes"),
    ("SESSION.CREATE x ABSOLUTE 99999999999999999999", "ABSOLUTE takes"),
    ("SESSION.CREATE x IDLE 1 idle 2", "given twice"), ("SESSION.CREATE x IP SECRET", "IP takes"),
    ("SESSION.CREATE x BIND SECRET", "BIND takes"),
    ("SESSION.CREATE x BIND 1.2.3.4/33", "BIND takes"),
    ("SESSION.CREATE x LIMIT 1 EVICT", "give USER"),
    ("SESSION.CREATE x USER u LIMIT 1", "followed by EVICT or REJECT"),
    ("SESSION.CREATE x USER u LIMIT 0 EVICT", "LIMIT takes"),
    ("SESSION.GET ID IP", "IP needs a value"), ("SESSION.GET ID SECRET", "allowed: IP, NOTOUCH"),
    ("SESSION.TOUCH ID NOTOUCH", "allowed: IP"),
    ("SESSION.SET ID x VERSION 0", "VERSION takes"), ("SESSION.SET ID x TOKEN ''", "TOKEN takes"),
    ("SESSION.SET ID x KEEPTTL keepttl", "given twice"),
    ("SESSION.SET ID x EX", "allowed: VERSION"),
    ("SESSION.REGENERATE ID GRACE 3600001", "GRACE takes"),
    ("SESSION.REGENERATE ID SECRET 1", "allowed: GRACE, USER, BIND"),
    ("SESSION.BIND ID NONE REPORT", "NONE takes no mode"),
    ("SESSION.BIND ID 1.2.3.4 SECRET", "one too many"),
    ("SESSION.LIST u CURSOR SECRET", "CURSOR takes"), ("SESSION.LIST u COUNT 1001", "COUNT takes"),
    ("SESSION.LOGOUTALL u BUT ID", "allowed: EXCEPT"),
    ("SESSION.LOGOUTALL u EXCEPT", "EXCEPT needs"),
    ("SESSION.ATTACH u session:SECRET", "Holdfast's own"), ("SESSION.LOGIN u MAYBE", "OK or FAIL"),
    ("SESSION.STATS SECRET", "takes LOGINS"), ("SESSION.STATS USER", "needs a value"),
    ("SESSION.STATS ACTIVE now", "one too many"),
    ("SESSION.STATS LOGINS 2026-03-01 2026-02-28", "earlier one first"),
    ("SESSION.STATS LOGINS 2020-03-01 2026-02-28", "at most 366 days"),
    ("SESSION.SWEEP DRYRUN REMOVE", "not both"), ("SESSION.SWEEP RATE 0", "RATE takes"),
    ("SESSION.SWEEP ALL", "allowed: DRYRUN"), ("SESSION.HELP SECRET", "no such command"),
    ("SESSION.LOCK ID", "answered elsewhere"),
  ])
  func refused(line: String, reason: String) {
    guard case .error(let text)? = parse(line) else {
      Issue.record("accepted: \(line)")
      return
    }
    #expect(text.hasPrefix("ERR "))
    #expect(text.contains(reason), "\(text)")
    #expect(!text.contains("SECRET") && !text.contains(Self.id))
  }

  @Test func sizesOfUsersAndMeta() {
    var random = SeededGenerator(seed: 1)
    func isRefused(_ arguments: [[UInt8]]) -> Bool {
      switch SessionOperation.parse(
        arguments, SessionContext(SessionConfiguration()), random: &random)
      {
      case .operation: return false
      case .refused: return true
      }
    }
    let create = [bytes("SESSION.CREATE"), bytes("x")]
    for (size, refused) in [(1, false), (256, false), (257, true)] {
      #expect(
        isRefused(create + [bytes("USER"), [UInt8](repeating: 0xFF, count: size)]) == refused)
    }
    for (size, refused) in [(0, true), (1, false), (4096, false), (4097, true)] {
      #expect(isRefused(create + [bytes("META"), [UInt8](repeating: 0, count: size)]) == refused)
    }
  }

  @Test func tableOfCommands() {
    #expect(SessionCommand.all.count == 18)
    #expect(SessionCommand.named(bytes("session.get"))?.commandArity == -2)
    #expect(SessionCommand.named(bytes("SESSION.DESTROY"))?.commandArity == 2)
    #expect(SessionCommand.named(bytes("SESSION.LIST"))?.isWrite == false)
    #expect(SessionCommand.named(bytes("GET")) == nil)
    var random = SeededGenerator(seed: 1)
    guard
      case .operation(var help) = SessionOperation.parse(
        [bytes("SESSION.HELP")], SessionContext(SessionConfiguration()), random: &random),
      case .reply(.value(let text)) = help.start(nowMilliseconds: 0)
    else {
      Issue.record("no help")
      return
    }
    for command in SessionCommand.all { #expect(text.text?.contains(command.name) == true) }
  }

  /// Events that do not belong to the step give an error, not a crash.
  @Test(arguments: [
    "CREATE x", "GET ID", "SET ID x", "TOUCH ID", "REGENERATE ID", "DESTROY ID", "BIND ID NONE",
    "LIST u", "LOGOUTALL u", "ATTACH u k", "LOGIN u OK", "STATS ACTIVE", "STATS DURATION", "SWEEP",
    "HELP",
  ])
  func unexpectedEvents(line: String) {
    let words = ("SESSION." + line).split(separator: " ").map {
      bytes($0 == "ID" ? Self.id : String($0))
    }
    var random = SeededGenerator(seed: 1)
    guard
      case .operation(let operation) = SessionOperation.parse(
        words, SessionContext(SessionConfiguration()), random: &random)
    else {
      Issue.record("refused")
      return
    }
    for reply in [RESPValue.integer(1), .null, .array([]), .array([.text("LATER")]), .text("OK")] {
      var fresh = operation
      _ = fresh.start(nowMilliseconds: 0)
      #expect(fresh.received(reply, nowMilliseconds: 0) == .unexpected)
    }
    var fresh = operation
    _ = fresh.start(nowMilliseconds: 0)
    #expect(
      fresh.received(.error("OOM no. script: 12ab, on @user_script:3."), nowMilliseconds: 0)
        == .reply(.error("OOM no.")))
  }

  @Test func repliesInBothVersions() {
    func written(_ reply: SessionReply, _ version: RESPVersion) -> String {
      var out: [UInt8] = []
      reply.write(into: &out, version)
      return text(out)
    }
    let fields: [SessionReply.Field] = [.init("a", .integer(1)), .init("b", .null)]
    #expect(written(.fields(fields), .two) == "*2\r\n:1\r\n$-1\r\n")
    #expect(written(.fields(fields), .three) == "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n_\r\n")
    #expect(
      written(.rows(cursor: "0", [fields]), .two) == "*2\r\n$1\r\n0\r\n*1\r\n*2\r\n:1\r\n$-1\r\n")
    #expect(
      written(.rows(cursor: "0", []), .three)
        == "%2\r\n$6\r\ncursor\r\n$1\r\n0\r\n$4\r\nrows\r\n*0\r\n")
    #expect(written(.error("NOSESSION x"), .two) == "-NOSESSION x\r\n")
    #expect(written(.map([("k", .integer(2))]), .two) == "*2\r\n$1\r\nk\r\n:2\r\n")
    #expect(written(.value(.text("x")), .three) == "$1\r\nx\r\n")
  }
}
