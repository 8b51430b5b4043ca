// SPDX-License-Identifier: Apache-2.0
import Foundation
import RESP
import Testing

@testable import Proxy

private let table = CommandTable.standard

/// Calls `body` with a request of these words, as the scanner finds them.
private func withRequest<Result>(
  _ words: [String], _ body: (RequestArguments) throws -> Result
) throws -> Result {
  var bytes = Array("*\(words.count)\r\n".utf8)
  for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
  var scanner = RequestScanner(limits: ScanLimits())
  return try bytes.withUnsafeBytes { frame in
    let request = try scanner.next(in: frame, from: 0)
    try #require(request?.byteCount == bytes.count)
    return try scanner.arguments.withUnsafeBufferPointer {
      try body(RequestArguments(frame: frame, ranges: $0))
    }
  }
}

private func withLine<Result>(
  _ line: String, _ body: (CommandIndex, RequestArguments) throws -> Result
) throws -> Result {
  try withRequest(line.split(separator: " ").map { $0 == "''" ? "" : String($0) }) { request in
    let index = try #require(table.find(request), "\(line) is not known")
    return try body(index, request)
  }
}

private func find(_ name: String, _ subcommand: String? = nil) -> CommandIndex? {
  Array(name.utf8).withUnsafeBytes { name in
    guard let subcommand else { return table.find(name: name, subcommand: nil) }
    return Array(subcommand.utf8).withUnsafeBytes { table.find(name: name, subcommand: $0) }
  }
}

/// A generator with a seed, so that a failure can be had again.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

/// Refusals whose texts do not matter in a table of cases.
private let refused = Route.refused(alternative: "")
private let forbidden = Route.forbidden(reason: "")

@Suite struct CommandTableRows {
  @Test func everyRowIsSound() {
    var names = Set<String>()
    for (place, spec) in table.specs.enumerated() {
      #expect(names.insert(spec.name).inserted, "\(spec.name) is there twice")
      #expect(spec.name == spec.name.uppercased())
      #expect(spec.arity != 0)
      let words = spec.name.split(separator: "|")
      #expect(abs(Int(spec.arity)) >= words.count, "\(spec.name)")
      let index = find(String(words[0]), words.count > 1 ? String(words[1]) : nil)
      #expect(index == CommandIndex(rawValue: UInt16(place)), "\(spec.name)")
      let facts = table.facts(CommandIndex(rawValue: UInt16(place)))
      #expect(facts.route == spec.route && facts.replay == spec.replay)
      #expect(facts.arity == spec.arity && facts.isWrite == spec.isWrite)
      #expect(facts.keys == spec.keys)
      #expect(facts.isClassedByArguments == spec.isClassedByArguments)
    }
    #expect(table.count == table.specs.count)
  }

  @Test func keyPositionsFitTheArity() {
    for spec in table.specs {
      let least = abs(Int(spec.arity))
      // `SUNSUBSCRIBE` may come without any.
      #expect(Int(spec.keys.first) < least || spec.name == "SUNSUBSCRIBE", "\(spec.name)")
      #expect(Int(spec.keys.countAt) < least, "\(spec.name)")
      #expect((spec.keys.first == 0) == (spec.keys.step == 0), "\(spec.name)")
      #expect(spec.keys.last <= 0 || spec.keys.last >= spec.keys.first, "\(spec.name)")
    }
  }

  /// What changes data is no read, but for a cached count and for arguments that say so.
  @Test func writesAreNotReads() {
    for spec in table.specs where spec.isWrite && spec.name != "PFCOUNT" {
      #expect(spec.replay != .read, "\(spec.name)")
    }
  }

  /// No Redis command carries a token; what waits takes away, and is never sent twice.
  @Test func classesFitTheRoutes() {
    for spec in table.specs {
      #expect(spec.replay != .guarded, "\(spec.name)")
      switch spec.route {
      case .pinned, .pinnedOnly, .forbidden: #expect(spec.replay == .once, "\(spec.name)")
      case .local(.unknownSubcommand): #expect(!spec.isWrite, "\(spec.name)")
      case .local: #expect(spec.replay == .read && !spec.isWrite, "\(spec.name)")
      case .pass, .refused: break
      }
    }
  }

  /// The texts go into an error line.
  @Test func refusalsAreOneLineOfText() {
    for spec in table.specs {
      let text: StaticString
      switch spec.route {
      case .refused(let alternative): text = alternative
      case .forbidden(let reason): text = reason
      case .pass, .local, .pinned, .pinnedOnly: continue
      }
      let line = text.withUTF8Buffer { Array($0) }
      #expect(line.count > 10 && line.count < 100, "\(spec.name)")
      #expect(line.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "\(spec.name)")
    }
  }

  @Test func everyLocalCommandHasARow() {
    // The daemon's own command is found elsewhere; the others must have a way in.
    for command in LocalCommand.allCases where command != .holdfastPing {
      #expect(table.specs.contains { $0.route == .local(command) }, "\(command)")
    }
  }

  @Test func redisAgrees() throws {
    // Redis 7.2 gave these an option; the table takes both forms and leaves the error to Redis.
    let widened: Set = ["ZRANK", "ZREVRANK"]
    let lines = try fixture("redis-7.0-commands.txt")
    try #require(lines.count == 366)
    for line in lines {
      let fields = line.split(separator: " ").map(String.init)
      try #require(fields.count == 6)
      let words = fields[0].split(separator: "|").map(String.init)
      let index = try #require(find(words[0], words.count > 1 ? words[1] : nil), "\(fields[0])")
      let spec = table[index]
      #expect(spec.name == fields[0])
      let arity = try #require(Int16(fields[1]))
      #expect(spec.arity == (widened.contains(spec.name) ? -arity : arity), "\(spec.name)")
      // What is answered here is marked by nobody.
      #expect(spec.isWrite == (fields[2] != "-"), "\(spec.name)")
      let keys = [spec.keys.first, spec.keys.last, spec.keys.step].map(String.init)
      #expect(keys == Array(fields[3...]), "\(spec.name)")
    }
  }

  @Test func onlyLaterVersionsAddToIt() throws {
    let known = Set(
      try fixture("redis-7.0-commands.txt").compactMap {
        $0.split(separator: " ").first.map(String.init)
      })
    let added = Set(table.specs.map(\.name)).subtracting(known)
    #expect(
      added == [
        "SESSION.EXTEND", "SESSION.LOCK", "SESSION.UNLOCK", "SESSION.ATTACH", "SESSION.BIND",
        "SESSION.CREATE", "SESSION.DESTROY", "SESSION.GET",
        "SESSION.HELP", "SESSION.KILL", "SESSION.LIST", "SESSION.LOGIN", "SESSION.LOGOUTALL",
        "SESSION.REGENERATE", "SESSION.SET", "SESSION.STATS", "SESSION.SWEEP", "SESSION.TOUCH",
        "HOLDFAST.LOCKS", "HOLDFAST.CLIENTS", "HOLDFAST.CONFIG", "HOLDFAST.DOCTOR",
        "HOLDFAST.DRILL", "HOLDFAST.EVENTS", "HOLDFAST.METRICS", "HOLDFAST.RELOAD",
        "HOLDFAST.STATUS", "HOLDFAST.TOP", "HOLDFAST.WATCH", "HOLDFAST.PING", "HOLDFAST.FAILOVERS",
        "HOLDFAST.DURABILITY",
        "CLIENT|NO-TOUCH",
        "CLIENT|SETINFO",
        "CLUSTER|MYSHARDID", "WAITAOF",
        "HEXPIRE", "HEXPIREAT", "HEXPIRETIME", "HPERSIST", "HPEXPIRE", "HPEXPIREAT",
        "HPEXPIRETIME", "HPTTL", "HTTL",
      ])
  }

  private func fixture(_ name: String) throws -> [String] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let text = try String(contentsOfFile: "/\(folder)/Fixtures/\(name)", encoding: .utf8)
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
  }
}

@Suite struct CommandTableLookup {
  @Test(arguments: ["get", "GET", "Get", "gEt"])
  func anyCase(_ name: String) throws {
    #expect(table[try #require(find(name))].name == "GET")
  }

  @Test func anyCaseOfEveryName() throws {
    for spec in table.specs {
      let words = spec.name.split(separator: "|").map(String.init)
      let subcommand = words.count > 1 ? words[1] : nil
      let lower = try #require(find(words[0].lowercased(), subcommand?.lowercased()))
      #expect(table[lower].name == spec.name)
      var isUpper = false
      func mixed(_ word: String) -> String {
        word.map { letter -> String in
          isUpper.toggle()
          return isUpper ? letter.uppercased() : letter.lowercased()
        }.joined()
      }
      let other = try #require(find(mixed(words[0]), subcommand.map(mixed)))
      #expect(table[other].name == spec.name)
    }
  }

  @Test(
    arguments: [
      "", " ", "GE", "GETT", "GET ", " GET", "GET\0", "\0GET", "G\0T", "SENTINEL", "JSON.GET",
      "CLIENT|ID", "ENCODING", "SETNAME", "GETRANG\u{65}\u{301}", "G\u{C5}\u{94}",
      // Neighbours of letters in ASCII: folding must not take one for the other.
      "EVAL\u{7F}RO", "EVAL?RO", "@ET", "`ET", "HE{{O", "RESTORE\rASKING",
      "GEORADIUSBYMEMBER_ROXXXX", "GEORADIUSBYMEMBER_ROXXXXX",
      String(repeating: "A", count: 5000),
    ])
  func unknownNames(_ name: String) {
    #expect(find(name) == nil)
    #expect(find(name, "ID") == nil)
  }

  /// A container answers for a subcommand that is not known, a plain command for any argument.
  @Test(
    arguments: [
      ("CLIENT", "NONSENSE", "CLIENT"), ("client", "", "CLIENT"), ("CONFIG", "GETT", "CONFIG"),
      ("XGROUP", "ENCODING", "XGROUP"), ("OBJECT", "encoding", "OBJECT|ENCODING"),
      ("config", "gEt", "CONFIG|GET"), ("GET", "ENCODING", "GET"),
      ("COMMAND", "Docs", "COMMAND|DOCS"),
      ("CLIENT", "SETNAME\0", "CLIENT"), ("CLIENT", "CLIENT", "CLIENT"),
      ("CLUSTER", "count-failure-reports", "CLUSTER|COUNT-FAILURE-REPORTS"),
      ("MEMORY", "malloc-stats", "MEMORY|MALLOC-STATS"),
    ])
  func subcommands(_ name: String, _ subcommand: String, _ found: String) throws {
    #expect(table[try #require(find(name, subcommand))].name == found)
  }

  @Test func containersAlone() throws {
    for name in ["CLIENT", "CONFIG", "OBJECT", "XINFO", "FUNCTION", "COMMAND", "ACL"] {
      #expect(table[try #require(find(name))].name == name)
    }
  }

  @Test func noArgumentsAtAll() {
    let nothing = RequestArguments(
      frame: UnsafeRawBufferPointer(start: nil, count: 0),
      ranges: UnsafeBufferPointer<ArgumentRange>(start: nil, count: 0))
    #expect(table.find(nothing) == nil)
    #expect(nothing.argument(0) == nil)
  }

  /// Random bytes are compared with a plain search by string.
  @Test func randomNames() {
    var random = SeededGenerator(state: 7)
    let names = Set(table.specs.map(\.name).filter { !$0.contains("|") })
    let alphabet = Array("acegstxzACEGSTXZ_-\0\u{7F}@[`{".utf8) + [0x80, 0xE1, 0xFF]
    for _ in 0..<100_000 {
      let length = Int.random(in: 0...30, using: &random)
      let name = (0..<length).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      let upper = name.map { $0 >= 0x61 && $0 <= 0x7A ? $0 - 0x20 : $0 }
      let found = name.withUnsafeBytes { table.find(name: $0, subcommand: $0) }
      #expect((found != nil) == names.contains(String(decoding: upper, as: UTF8.self)))
    }
  }
}

@Suite struct CommandTableArguments {
  /// A line, its class, its route.
  static let cases: [(String, ReplayClass, Route)] = classCases + routeCases

  @Test(arguments: cases.indices)
  func classAndRoute(_ place: Int) throws {
    let (line, replay, route) = Self.cases[place]
    try withLine(line) { index, request in
      #expect(table.replayClass(of: index, arguments: request) == replay, "\(line)")
      #expect(table.route(of: index, arguments: request) == route, "\(line)")
    }
  }

  @Test func thereAreManyCases() {
    #expect(Self.cases.count >= 150)
  }

  /// Arguments that make no sense must not trap, whatever the rule.
  @Test func randomArgumentsAreHarmless() throws {
    var random = SeededGenerator(state: 11)
    let words = [
      "STORE", "NX", "GET", "BLOCK", "STREAMS", "COUNT", "KEYS", "REPLACE", "9223372036854775807",
      "-9223372036854775808", "-1", "0", "3", "", "a", "b", "ON", "OFF", "FIELDS", "BY", "LIMIT",
      "AUTH2", "GROUP", "CH",
    ]
    for spec in table.specs {
      for _ in 0..<40 {
        let count = Int.random(in: 0...8, using: &random)
        let arguments = (0..<count).map { _ in
          words[Int.random(in: 0..<words.count, using: &random)]
        }
        let name = spec.name.split(separator: "|").map(String.init)
        try withRequest(name + arguments) { request in
          let index = try #require(table.find(request))
          let replay = table.replayClass(of: index, arguments: request)
          #expect(spec.isClassedByArguments || replay == table[index].replay)
          let route = table.route(of: index, arguments: request)
          if !table.facts(index).isRoutedByArguments {
            #expect(route == table[index].route)
          }
          var keyCount = 0
          table.forEachKey(of: index, arguments: request) { _ in keyCount += 1 }
          #expect(keyCount <= request.count + 1)
        }
      }
    }
  }

  @Test(
    arguments: [
      ("GET a", "a"), ("get", ""), ("MGET a b c", "a b c"), ("MSET a 1 b 2", "a b"),
      ("MSET a 1 b", "a b"), ("RENAME a b", "a b"), ("DEL a a", "a a"), ("PING", ""),
      ("BLPOP a b 0", "a b"), ("BLPOP 0", ""), ("BITOP AND d a b", "d a b"),
      ("OBJECT ENCODING a", "a"), ("XGROUP CREATE s g $", "s"), ("MEMORY USAGE a SAMPLES 5", "a"),
      ("EVAL x 2 a b c", "a b"), ("EVAL x 0 a", ""), ("EVAL x 9 a b", "a b"), ("EVAL x -1 a", ""),
      ("EVAL x 2x a b", ""), ("EVAL x 9223372036854775807 a", "a"), ("EVAL x", ""),
      ("FCALL f 1 a b", "a"), ("ZUNION 2 a b WITHSCORES", "a b"), ("LMPOP 1 a LEFT", "a"),
      ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b"), ("BLMPOP 0 2 a b LEFT", "a b"),
      ("XREAD COUNT 1 BLOCK 5 STREAMS a b 0 0", "a b"), ("XREAD STREAMS a 0", "a"),
      ("XREADGROUP GROUP STREAMS c STREAMS a >", "a"), ("XREAD STREAMS", ""), ("XREAD COUNT", ""),
      ("XREAD STREAMS a b 0", "a"), ("SORT a", "a"), ("SORT a GET STORE BY x STORE d", "a d"),
      ("SORT a LIMIT 0 1 store d", "a d"), ("GEORADIUS k 1 2 3 m STORE d", "k d"),
      ("GEORADIUSBYMEMBER k STORE 3 m COUNT 2 STOREDIST d", "k d"),
      ("MIGRATE h 1 k 0 5", "k"), ("MIGRATE h 1 '' 0 5 AUTH KEYS KEYS a b", " a b"),
      ("MIGRATE h 1 '' 0 5 COPY AUTH2 KEYS KEYS keys a", " a"), ("SCAN 0", ""),
      ("SPUBLISH c m", "c"), ("WATCH a b", "a b"), ("SINTERCARD 2 a b LIMIT 1", "a b"),
    ])
  func keys(_ line: String, _ expected: String) throws {
    try withLine(line) { index, request in
      var keys: [String] = []
      table.forEachKey(of: index, arguments: request) {
        keys.append(String(decoding: $0, as: UTF8.self))
      }
      #expect(keys.joined(separator: " ") == expected)
    }
  }

  @Test(
    arguments: [
      ("GET", true), ("XREAD", true), ("MSET", true), ("ZUNION", true), ("EVAL", false),
      ("EVAL_RO", false), ("SORT", false), ("SORT_RO", false), ("SCAN", false), ("DBSIZE", false),
      ("RANDOMKEY", false), ("FLUSHALL", false), ("MIGRATE", true), ("SWAPDB", false),
    ])
  func namesItsKeys(_ name: String, _ expected: Bool) throws {
    #expect(table.facts(try #require(find(name))).namesItsKeys == expected)
  }

  @Test(
    arguments: [
      ("FLUSHALL", Route.pass), ("MONITOR", .pinned(.subscription)),
      ("CLIENT LIST", .local(.clientList)),
      ("CONFIG SET a b", .pass), ("SYNC", forbidden), ("GET a", .pass), ("PING", .local(.ping)),
      ("PUBLISH __sentinel__:hello x", forbidden), ("CLIENT PAUSE 1", forbidden),
    ])
  func openedRoute(_ line: String, _ expected: Route) throws {
    try withLine(line) { index, request in
      #expect(table.openedRoute(of: index, arguments: request) == expected)
    }
  }

  @Test(
    arguments: [
      ("0", Int64(0)), ("7", 7), ("-7", -7), ("9223372036854775807", .max),
      ("-9223372036854775808", .min), ("9223372036854775808", nil), ("-9223372036854775809", nil),
      ("99999999999999999999", nil), ("999999999999999999999", nil), ("", nil), ("-", nil),
      ("-0", nil), ("00", nil), ("01", nil), ("+1", nil), (" 1", nil), ("1 ", nil), ("1x", nil),
      ("1.0", nil), ("0x1", nil),
    ])
  func integers(_ text: String, _ expected: Int64?) throws {
    try withRequest(["GET", text]) { #expect($0.integer(1) == expected) }
  }

  @Test func keywordsInAnyCase() throws {
    try withRequest(["set", "NX", "nx", "nX", "n", "nxx", ".X", "\u{4E}\u{18}"]) { request in
      #expect((1...3).allSatisfy { request.matches($0, "NX") })
      #expect(!(4...8).contains { request.matches($0, "NX") })
      #expect(!request.matches(-1, "NX"))
      #expect(request.integer(8) == nil && !request.areEqual(1, 8))
      #expect(request.areEqual(1, 1) && !request.areEqual(1, 2))
    }
  }
}

private let classCases: [(String, ReplayClass, Route)] = [
  // Strings
  ("GET k", .read, .pass), ("MGET k l", .read, .pass), ("STRLEN k", .read, .pass),
  ("SET k v", .absolute, .pass), ("set k v ex 10", .absolute, .pass),
  ("SET k v PX 10", .absolute, .pass), ("SET k v EXAT 10", .absolute, .pass),
  ("SET k v PXAT 10", .absolute, .pass), ("SET k v KEEPTTL", .settling, .pass),
  ("SET k v NX", .once, .pass), ("SET k v XX", .once, .pass), ("SET k v GET", .once, .pass),
  ("SET k v EX 10 NX", .once, .pass), ("SET k v nx px 10", .once, .pass),
  ("SET k v KEEPTTL GET", .once, .pass), ("SET k v IFEQ x", .once, .pass),
  ("SET NX GET", .absolute, .pass), ("SET k v EX NX", .absolute, .pass),
  ("SETEX k 10 v", .absolute, .pass), ("PSETEX k 10 v", .absolute, .pass),
  ("MSET k v", .absolute, .pass), ("MSETNX k v", .once, .pass), ("SETNX k v", .once, .pass),
  ("SETRANGE k 1 v", .settling, .pass), ("APPEND k v", .once, .pass), ("INCR k", .once, .pass),
  ("DECRBY k 2", .once, .pass), ("INCRBYFLOAT k 2", .once, .pass), ("GETDEL k", .once, .pass),
  ("GETEX k EX 10", .once, .pass), ("GETSET k v", .once, .pass), ("LCS a b", .read, .pass),
  // Bits and counts
  ("GETBIT k 1", .read, .pass), ("SETBIT k 1 1", .settling, .pass),
  ("BITFIELD k GET u8 0", .read, .pass), ("BITFIELD k get u8 0 GET u8 1", .read, .pass),
  ("BITFIELD k", .read, .pass), ("BITFIELD k GET u8 0 SET u8 0 1", .once, .pass),
  ("BITFIELD k INCRBY u8 0 1", .once, .pass), ("BITFIELD k OVERFLOW SAT", .once, .pass),
  ("BITFIELD_RO k GET u8 0", .read, .pass), ("BITOP AND d a b", .settling, .pass),
  ("BITOP XOR d a d", .once, .pass), ("PFADD k a", .settling, .pass),
  ("PFCOUNT k", .read, .pass), ("PFMERGE k k l", .settling, .pass),
  ("PFDEBUG GETREG k", .once, forbidden), ("PFSELFTEST", .once, forbidden),
  // Keys
  ("EXISTS k", .read, .pass), ("TTL k", .read, .pass), ("TYPE k", .read, .pass),
  ("TOUCH k", .read, .pass), ("SCAN 0", .read, .pass), ("OBJECT FREQ k", .read, .pass),
  ("OBJECT NONSENSE k", .once, .pass), ("DEL k", .settling, .pass),
  ("UNLINK k l", .settling, .pass), ("PERSIST k", .settling, .pass),
  ("EXPIRE k 10", .settling, .pass), ("EXPIRE k 10 NX", .once, .pass),
  ("PEXPIRE k 10 gt", .once, .pass), ("EXPIREAT k 10", .settling, .pass),
  ("PEXPIREAT k 10 LT", .once, .pass), ("PEXPIREAT k 10", .settling, .pass),
  ("DUMP k", .read, .pass), ("RESTORE k 0 x", .once, .pass),
  ("RESTORE k 0 x REPLACE", .settling, .pass),
  ("RESTORE k 0 x ABSTTL replace FREQ 1", .settling, .pass),
  ("RESTORE REPLACE 0 REPLACE", .once, .pass), ("RESTORE k 0 x FREQ REPLACE", .once, .pass),
  ("RESTORE k 0 x REPLACE NEWER", .once, .pass), ("SORT k", .read, .pass),
  ("SORT k BY STORE GET STORE", .read, .pass), ("SORT k DESC ALPHA STORE d", .settling, .pass),
  ("SORT k LIMIT 1 2 STORE k", .once, .pass), ("SORT k NEWER", .once, .pass),
  ("SORT k STORE", .once, .pass), ("SORT_RO k LIMIT 0 1", .read, .pass),
  ("RENAME a b", .once, .pass), ("RENAMENX a b", .once, .pass), ("COPY a b", .once, .pass),
  ("MOVE k 1", .once, .pass),
  // Lists, sets, hashes
  ("LRANGE k 0 -1", .read, .pass), ("LSET k 0 v", .settling, .pass), ("RPUSH k v", .once, .pass),
  ("LPOP k", .once, .pass), ("LREM k 1 v", .once, .pass), ("LTRIM k 0 1", .once, .pass),
  ("LINSERT k BEFORE a b", .once, .pass), ("LMOVE a b LEFT LEFT", .once, .pass),
  ("SADD k a", .settling, .pass), ("SREM k a", .settling, .pass), ("SPOP k", .once, .pass),
  ("SMOVE a b c", .once, .pass), ("SRANDMEMBER k", .read, .pass),
  ("SUNIONSTORE d a b", .settling, .pass), ("SDIFFSTORE d a d", .once, .pass),
  ("SINTERSTORE D d", .settling, .pass), ("SSCAN k 0", .read, .pass),
  ("HGETALL k", .read, .pass), ("HSET k f v", .settling, .pass), ("HMSET k f v", .absolute, .pass),
  ("HDEL k f", .settling, .pass), ("HSETNX k f v", .once, .pass),
  ("HINCRBY k f 1", .once, .pass), ("HEXPIRE k 10 FIELDS 1 f", .settling, .pass),
  ("HEXPIRE k 10 NX FIELDS 1 f", .once, .pass), ("HTTL k FIELDS 1 f", .read, .pass),
  // Sorted sets
  ("ZRANGE k 0 -1", .read, .pass), ("ZADD k 1 a", .settling, .pass),
  ("ZADD k CH 1 a", .settling, .pass), ("ZADD k NX 1 a", .once, .pass),
  ("ZADD k ch xx 1 a", .once, .pass), ("ZADD k GT CH 1 a", .once, .pass),
  ("ZADD k LT 1 a", .once, .pass), ("ZADD k INCR 1 a", .once, .pass),
  ("ZADD NX 1 NX", .settling, .pass), ("ZREM k a", .settling, .pass),
  ("ZREMRANGEBYSCORE k 0 1", .settling, .pass), ("ZREMRANGEBYLEX k - +", .settling, .pass),
  ("ZREMRANGEBYRANK k 0 1", .once, .pass), ("ZINCRBY k 1 a", .once, .pass),
  ("ZPOPMIN k", .once, .pass), ("ZMPOP 1 k MIN", .once, .pass),
  ("ZUNIONSTORE d 2 a b", .settling, .pass), ("ZUNIONSTORE d 2 a d", .once, .pass),
  ("ZINTERSTORE d 1 a WEIGHTS d", .settling, .pass), ("ZDIFFSTORE d 1 d", .once, .pass),
  ("ZRANGESTORE d s 0 1", .settling, .pass), ("ZRANGESTORE s s 0 1", .once, .pass),
  ("GEOADD k 1 2 a", .settling, .pass), ("GEOADD k CH NX 1 2 a", .once, .pass),
  ("GEORADIUS k 1 2 3 m", .read, .pass), ("GEORADIUS k 1 2 3 m WITHDIST COUNT 1 ANY", .read, .pass),
  ("GEORADIUS k 1 2 3 m STORE d", .settling, .pass), ("GEORADIUS k 1 2 3 m STORE k", .once, .pass),
  ("GEORADIUSBYMEMBER k STORE 3 m", .read, .pass),
  ("GEORADIUSBYMEMBER k a 3 m storedist d", .settling, .pass),
  ("GEORADIUSBYMEMBER k a 3 m NEWER", .once, .pass), ("GEORADIUS_RO k 1 2 3 m", .read, .pass),
  ("GEOSEARCHSTORE d s FROMMEMBER a BYRADIUS 1 m", .settling, .pass),
  // Streams
  ("XRANGE k - +", .read, .pass), ("XADD k * a b", .once, .pass), ("XACK k g 1", .settling, .pass),
  ("XDEL k 1", .settling, .pass), ("XTRIM k MAXLEN 5", .settling, .pass),
  ("XCLAIM k g c 0 1", .once, .pass), ("XAUTOCLAIM k g c 0 0", .once, .pass),
  ("XGROUP CREATE k g $", .once, .pass), ("XGROUP SETID k g 0", .settling, .pass),
  ("XGROUP DESTROY k g", .settling, .pass), ("XINFO STREAM k", .read, .pass),
  // Scripts
  ("EVAL x 0", .once, .pass), ("EVALSHA x 0", .once, .pass), ("FCALL f 0", .once, .pass),
  ("EVAL_RO x 0", .read, .pass), ("FCALL_RO f 0", .read, .pass),
  ("SCRIPT LOAD x", .absolute, .pass), ("SCRIPT EXISTS x", .read, .pass),
  ("FUNCTION LOAD x", .once, .pass), ("FUNCTION LOAD replace x", .settling, .pass),
  ("FUNCTION LIST", .read, .pass), ("PUBLISH c m", .once, .pass),
  ("SPUBLISH c m", .once, .pass), ("PUBSUB CHANNELS", .read, .pass),
]

private let routeCases: [(String, ReplayClass, Route)] = [
  // Waits
  ("BLPOP k 0", .once, .pinned(.blocking)), ("BRPOPLPUSH a b 0", .once, .pinned(.blocking)),
  ("blmove a b LEFT LEFT 0", .once, .pinned(.blocking)),
  ("BLMPOP 0 1 k LEFT", .once, .pinned(.blocking)), ("BZPOPMAX k 0", .once, .pinned(.blocking)),
  ("BZMPOP 0 1 k MIN", .once, .pinned(.blocking)),
  ("XREAD STREAMS k 0", .read, .pass), ("XREAD COUNT 5 STREAMS BLOCK 0", .read, .pass),
  ("XREAD BLOCK 0 STREAMS k 0", .read, .pinned(.blocking)),
  ("xread count 5 block 10 streams k 0", .read, .pinned(.blocking)),
  ("XREAD NEWER STREAMS k 0", .read, .pinned(.blocking)),
  ("XREADGROUP GROUP BLOCK BLOCK STREAMS k >", .once, .pass),
  ("XREADGROUP GROUP g c NOACK BLOCK 5 STREAMS k >", .once, .pinned(.blocking)),
  ("WAIT 1 0", .read, .local(.wait)), ("WAITAOF 1 1 0", .read, .local(.waitAOF)),
  // A connection's state
  ("MULTI", .once, .pinned(.transaction)), ("EXEC", .once, .pinnedOnly),
  ("DISCARD", .once, .pinnedOnly), ("WATCH k", .once, .pinned(.watch)),
  ("UNWATCH", .once, .pinnedOnly), ("SUBSCRIBE c", .once, .pinned(.subscription)),
  ("PSUBSCRIBE c", .once, .pinned(.subscription)), ("UNSUBSCRIBE", .once, .pinnedOnly),
  ("PUNSUBSCRIBE c", .once, .pinnedOnly), ("SSUBSCRIBE c", .once, .pinned(.subscription)),
  ("SUNSUBSCRIBE", .once, .pinnedOnly), ("CLIENT TRACKING ON", .once, .pinned(.tracking)),
  ("client tracking on BCAST", .once, .pinned(.tracking)),
  ("CLIENT TRACKING off", .once, .pinnedOnly), ("CLIENT CACHING YES", .once, .pinnedOnly),
  ("CLIENT TRACKINGINFO", .once, .pinnedOnly), ("CLIENT GETREDIR", .once, .pinnedOnly),
  // Answered here
  ("PING", .read, .local(.ping)), ("hello 3", .read, .local(.hello)),
  ("AUTH p", .read, .local(.auth)), ("SELECT 1", .read, .local(.select)),
  ("RESET", .read, .local(.reset)), ("QUIT", .read, .local(.quit)),
  ("ECHO a", .read, .local(.echo)), ("INFO", .read, .local(.info)),
  ("INFO server", .read, .local(.info)), ("ROLE", .read, .local(.role)),
  ("TIME", .read, .local(.time)), ("KEYS *", .read, .local(.keys)),
  ("COMMAND", .read, .local(.command)), ("command docs get", .read, .pass),
  ("COMMAND GETKEYS get a", .read, .pass), ("COMMAND LIST", .read, .local(.commandList)),
  ("COMMAND LIST FILTERBY MODULE a", .read, .pass),
  ("COMMAND COUNT", .read, .local(.commandCount)), ("COMMAND NONSENSE", .read, .pass),
  ("CONFIG GET save", .read, .local(.configGet)),
  ("config get Notify-Keyspace-Events", .read, .pass), ("CLIENT ID", .read, .local(.clientID)),
  ("CLIENT SETNAME a", .read, .local(.clientSetName)),
  ("client setinfo LIB-NAME a", .read, .local(.clientSetInfo)),
  ("CLIENT REPLY OFF", .read, .local(.clientReply)),
  ("CLIENT NO-EVICT on", .read, .local(.clientNoEvict)), ("READONLY", .read, .local(.noCluster)),
  ("ASKING", .read, .local(.noCluster)), ("CLUSTER INFO", .read, .local(.noCluster)),
  ("CLUSTER NONSENSE", .once, .local(.unknownSubcommand)),
  ("CONFIG NONSENSE", .once, .local(.unknownSubcommand)),
  ("CLIENT NONSENSE", .once, .local(.unknownSubcommand)),
  // Refused
  ("FLUSHALL", .settling, refused), ("flushdb ASYNC", .settling, refused),
  ("CONFIG SET a b", .settling, refused), ("CONFIG REWRITE", .once, refused),
  ("SHUTDOWN", .once, refused),
  ("REPLICAOF NO ONE", .once, refused), ("SLAVEOF a 1", .once, refused),
  ("FAILOVER", .once, refused), ("DEBUG SLEEP 1", .once, refused), ("MONITOR", .once, refused),
  ("BGSAVE", .once, refused), ("SAVE", .once, refused), ("SWAPDB 0 1", .once, refused),
  ("MODULE LOAD x", .once, refused), ("MODULE LIST", .read, .pass),
  ("ACL SETUSER a", .once, refused), ("ACL WHOAMI", .read, .pass), ("ACL LIST", .read, refused),
  ("SCRIPT FLUSH", .settling, refused), ("SCRIPT KILL", .once, refused),
  ("FUNCTION FLUSH", .settling, refused), ("MIGRATE h 1 k 0 5", .once, refused),
  ("CLIENT LIST", .read, .local(.clientList)), ("SLOWLOG RESET", .once, refused),
  ("SLOWLOG GET", .read, .pass), ("LATENCY RESET", .once, refused),
  ("LATENCY LATEST", .read, .pass), ("MEMORY USAGE k", .read, .pass),
  ("DBSIZE", .read, .pass), ("LOLWUT", .read, .pass),
  // Never
  ("SYNC", .once, forbidden), ("PSYNC ? -1", .once, forbidden),
  ("REPLCONF ACK 1", .once, forbidden),
  ("CLIENT TRACKING ON REDIRECT 5", .once, forbidden),
  ("CLIENT TRACKING ON PREFIX REDIRECT", .once, .pinned(.tracking)),
  ("RESTORE-ASKING k 0 x", .once, forbidden), ("CLIENT KILL ID 1", .once, forbidden),
  ("CLIENT PAUSE 5", .once, forbidden), ("CLIENT UNBLOCK 5", .once, forbidden),
  ("SCRIPT DEBUG YES", .once, forbidden), ("PUBLISH __holdfast__:gap x", .once, forbidden),
  ("PUBLISH __sentinel__:hello x", .once, forbidden),
  ("spublish __sentinel__:hello x", .once, forbidden),
  ("PUBLISH __SENTINEL__:hello x", .once, .pass), ("PUBLISH __sentinel__:hello2 x", .once, .pass),
]
