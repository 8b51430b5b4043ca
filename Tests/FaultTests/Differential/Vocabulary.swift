// SPDX-License-Identifier: Apache-2.0

/// What the words of a ``CommandPattern`` stand for. Few values of each kind, so that commands meet
/// the same keys, members and ids again.
enum Vocabulary {
  static func value(_ word: String, _ random: inout SeededGenerator) -> [UInt8] {
    switch word {
    case "value": return someValue(&random)
    case "key": return key(&random)
    case "script": return Array(random.pick(Script.all).text.utf8)
    case "digest": return digest(&random)
    case "dumped": return random.pick(dumps)
    case let word:
      if let name = keys[word] {
        // Sometimes a key of another type.
        return random.oneIn(12)
          ? key(&random) : name + [UInt8(ascii: "1") + UInt8(random.number(in: 0..<3))]
      }
      guard let words = words[word] else { preconditionFailure("no word stands for \(word)") }
      return Array(random.pick(words).utf8)
    }
  }

  /// What arguments are replaced with to see the error.
  static func oddValue(_ random: inout SeededGenerator) -> [UInt8] { random.pick(oddValues) }

  private static let keys: [String: [UInt8]] = Dictionary(
    uniqueKeysWithValues: [
      "string", "number", "bits", "hll", "list", "set", "hash", "zset", "geo", "stream",
    ].map { ($0, Array("\($0):".utf8)) })

  private static let keyPrefixes = keys.values.sorted { $0.lexicographicallyPrecedes($1) }

  private static func key(_ random: inout SeededGenerator) -> [UInt8] {
    if random.oneIn(8) {
      return random.pick([[], [0, 1, 0x0D, 0x0A, 0xFF], Array("*3\r\n".utf8)])
    }
    return random.pick(keyPrefixes) + [UInt8(ascii: "1") + UInt8(random.number(in: 0..<3))]
  }

  private static func someValue(_ random: inout SeededGenerator) -> [UInt8] {
    switch random.number(in: 0..<100) {
    case 0: return []
    case 1..<10:
      return (0..<random.number(in: 1..<20)).map { _ in UInt8(random.number(in: 0..<256)) }
    case 10..<20: return Array("\(random.number(in: -1000..<1000))".utf8)
    case 20..<24:
      return [UInt8](repeating: UInt8(ascii: "x"), count: random.number(in: 60..<3000))
    case 24 where random.oneIn(3):
      return [UInt8](repeating: UInt8(ascii: "y"), count: random.number(in: 60_000..<200_000))
    default: return Array(random.pick(["one", "two words", "three\r\n", "ohmytext", "+OK"]).utf8)
    }
  }

  private static func digest(_ random: inout SeededGenerator) -> [UInt8] {
    let known = random.pick(Script.all).digest
    switch random.number(in: 0..<6) {
    case 0: return Array("ffffffffffffffffffffffffffffffffffffffff".utf8)
    case 1: return Array(known.uppercased().utf8)
    default: return Array(known.utf8)
    }
  }

  /// What `DUMP` of Redis 7.0 says of the string `v`, of a list of `a` and `b`, and a broken one.
  private static let dumps: [[UInt8]] = [
    [0, 1, 0x76, 0x0A, 0, 0x91, 8, 0xCE, 0xB2, 0x19, 0x38, 0x8A, 0xCE],
    [
      0x12, 1, 2, 0x0D, 0x0D, 0, 0, 0, 2, 0, 0x81, 0x61, 2, 0x81, 0x62, 2, 0xFF, 0x0A, 0, 0x68,
      0xEB,
      0x0A, 0x89, 0x13, 0x41, 0xBB, 0xB1,
    ],
    [0, 1, 0x76, 0x0A, 0, 0x91, 8, 0xCE, 0xB2, 0x19, 0x38, 0x8A, 0xCF],
    Array("no dump".utf8),
  ]

  private static let oddValues: [[UInt8]] = [
    [], Array("-1".utf8), Array("0".utf8), Array("9223372036854775807".utf8),
    Array("-9223372036854775808".utf8), Array("9223372036854775808".utf8), Array("1e400".utf8),
    Array("nan".utf8), Array("1.5".utf8), Array(" 1".utf8), Array("(1".utf8),
    [0xC3, 0x28, 0, 0x0A],
    Array("-1-1".utf8), Array("\r\n+OK\r\n".utf8), Array("'quo\"ted'".utf8),
    Array(String(repeating: "long", count: 60).utf8),
  ]

  private static let words: [String: [String]] = [
    "bit": ["0", "1", "2"],
    "consumer": ["alice", "bob"],
    "count": ["0", "1", "2", "3", "10", "-1"],
    "database": ["0", "0", "1", "15", "16", "-1"],
    "encoding": ["u8", "i8", "u4", "i64", "u63", "u64", "i65"],
    "field": ["f1", "f2", "f3", "f4"],
    "float": ["1", "0.1", "-2.5", "1e3", "inf", "3.14159265358979"],
    "group": ["g1", "g2"],
    "id": ["1-1", "1-2", "1-3", "2-1", "2", "3-0", "5-*", "0-0", "0-1"],
    "index": ["0", "1", "2", "-1", "-2", "5"],
    "integer": ["0", "1", "7", "-3", "100"],
    "last": ["+", "2", "2-1", "(2-1", "3"],
    "first": ["-", "0", "1", "1-2", "(1-1"],
    "latitude": ["38.115556", "37.502669", "0", "-85.05", "86"],
    "least": ["-", "[a", "(a", "[b"],
    "longitude": ["13.361389", "15.087269", "0", "180", "181"],
    "member": ["a", "b", "c", "d", "1", "2", "3"],
    "millis": ["100000", "1000000000", "0", "-1"],
    "moment": ["9999999999", "8888888888", "1", "0"],
    "moments": ["9999999999000", "8888888888123", "1"],
    "most": ["+", "[c", "(c", "[d"],
    "offset": ["0", "1", "7", "8", "100", "#1", "#2"],
    "pattern": ["*", "s*", "?:1", "[a-f]*", "f[12]", "none", "h*:?"],
    "radius": ["100", "200.5", "0", "100000", "-1"],
    "score": ["1", "2", "2.5", "-1", "inf", "-inf", "1e10", "0"],
    "high": ["2", "+inf", "(3", "1e10"],
    "low": ["-inf", "0", "(1", "1"],
    "seconds": ["100", "1000000", "0", "-1"],
    "size": ["0", "1", "3", "1000"],
    "subkey": ["f1->", "*", "#", "hash:*->f1", "string:*"],
    "type": ["string", "hash", "list", "nosuch", "ZSET"],
    "unit": ["m", "km", "ft", "mi", "parsec"],
    "channel": ["channel:news", "channel:chat", "channel:x"],
    "command": ["get", "SET", "mset", "eval", "nosuch", "xread", "zunionstore", "ping", "hello"],
    "glob": ["channel:*", "channel:n*", "channel:[cx]*", "channel:news-*"],
    "name": ["me", "you", "", "two words", "n\u{e4}me", "line\n"],
    "parameter": [
      "save", "appendonly", "timeout", "databases", "slave-read-only", "replica-read-only",
      "notify-keyspace-events", "maxmemory", "maxmemory-policy", "maxmemory-samples", "MAXMEMORY",
      "nosuch",
    ],
    "user": ["default", "nosuch", ""],
  ]
}
