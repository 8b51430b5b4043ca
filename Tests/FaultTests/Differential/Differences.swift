// SPDX-License-Identifier: Apache-2.0
import RESP

/// Where replies may differ from a plain Redis', and why. All else is equal, byte for byte.
enum Differences {
  static func allow(_ exchange: Exchange) -> Bool {
    exchange.plain == exchange.holdfast || rules.contains { $0.allows(exchange) }
  }

  private struct Rule: Sendable {
    let why: String
    var names: Set<String> = []
    let holds: @Sendable (Exchange) -> Bool

    func allows(_ exchange: Exchange) -> Bool {
      names.contains(exchange.request.name) && holds(exchange)
    }
  }

  private static let rules: [Rule] = [
    Rule(
      why: "refused, and the error names the alternative (README, \"What is refused\")",
      names: refused
    ) { $0.holdfast.count == 1 && $0.holdfast[0].starts(with: Array("-DENIED ".utf8)) },
    Rule(
      why: "what one process or connection knows of itself",
      names: ["CLIENT|ID", "CLIENT|INFO", "CLIENT|LIST", "INFO", "TIME"]
    ) { $0.plain.map(\.first) == $0.holdfast.map(\.first) },
    Rule(
      why: "from Holdfast's own table: its own commands are among them, and each has six fields",
      names: ["COMMAND|", "COMMAND|INFO", "COMMAND|LIST"]
    ) { $0.plain.map(\.first) == $0.holdfast.map(\.first) },
    Rule(
      why: "the connection's number; all around it is equal", names: ["HELLO"]
    ) { $0.plain.map(withoutID) == $0.holdfast.map(withoutID) },
    Rule(
      why: "Redis answers in the order of a hash table, which each process seeds by chance",
      names: [
        "KEYS", "SCAN", "SSCAN", "SMEMBERS", "SUNION", "SINTER", "SDIFF", "HGETALL", "HKEYS",
        "HVALS", "HSCAN", "PUBSUB|CHANNELS", "PUBSUB|SHARDCHANNELS", "ACL|CAT", "CONFIG|GET",
        "COMMAND|DOCS",
      ]
    ) { $0.plain.map(unordered) == $0.holdfast.map(unordered) },
    Rule(
      why: "the same for messages to several patterns, and where all subscriptions are ended",
      names: ["PUBLISH", "UNSUBSCRIBE", "SUNSUBSCRIBE"]
    ) { unordered($0.plain.flatMap { $0 }) == unordered($0.holdfast.flatMap { $0 }) },
    Rule(
      why: "what RESET has ended is gone from Redis a moment later",
      names: ["PUBSUB|NUMSUB", "PUBSUB|SHARDNUMSUB", "PUBSUB|NUMPAT"]
    ) { $0.plain.map(withoutDigits) == $0.holdfast.map(withoutDigits) },
    Rule(
      why:
        "a cursor that no SCAN gave is a place in a hash table, which each process seeds by chance",
      names: ["SCAN", "SSCAN", "HSCAN", "ZSCAN"]
    ) { exchange in
      let isBegin = exchange.request.word(0) == "SCAN" && exchange.request.word(1) == "0"
      return !isBegin && exchange.plain.map(\.first) == exchange.holdfast.map(\.first)
    },
    Rule(
      why: "whether a relative time is later than the present one may hang on a millisecond",
      names: ["EXPIRE", "PEXPIRE"]
    ) {
      ["GT", "LT"].contains($0.request.word(3)) && $0.holdfast.first?.first == UInt8(ascii: ":")
    },
    Rule(
      why: "keys whose time is over count until Redis finds them", names: ["DBSIZE"]
    ) { $0.plain.map(withoutDigits) == $0.holdfast.map(withoutDigits) },
    Rule(
      why: "a set's dump is in that order too", names: ["DUMP"]
    ) { $0.plain.map(\.count) == $0.holdfast.map(\.count) },
    Rule(
      why: "a relative time begins a moment later",
      names: ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]
    ) { isNear($0) },
  ]

  private static let refused: Set = [
    "ACL|GETUSER", "ACL|LIST", "ACL|USERS", "CLIENT|KILL", "CLIENT|PAUSE", "CLIENT|TRACKING",
    "CLIENT|UNBLOCK",
    "CONFIG|RESETSTAT",
    "CONFIG|SET", "DEBUG", "FAILOVER", "FLUSHALL", "FUNCTION|DELETE", "FUNCTION|KILL",
    "LATENCY|RESET", "MODULE|UNLOAD", "SCRIPT|KILL", "SLOWLOG|RESET",
  ]

  /// A `HELLO` without what follows `id`.
  private static func withoutID(_ frame: [UInt8]) -> [UInt8] {
    let key = Array("$2\r\nid\r\n:".utf8)
    guard
      let start = frame.indices.first(where: { frame[$0...].starts(with: key) }),
      let end = frame[(start + key.count)...].firstIndex(of: 0x0D)
    else { return frame }
    return Array(frame[..<start] + frame[end...])
  }

  /// A sum over a reply's lines: the same for the same lines in any order.
  private static func unordered(_ frame: [UInt8]) -> UInt64 {
    var sum: UInt64 = 0
    var line: UInt64 = 0
    for byte in frame {
      line = (line ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
      guard byte == 0x0A else { continue }
      sum &+= line ^ line >> 32
      line = 0
    }
    return sum
  }

  private static func withoutDigits(_ frame: [UInt8]) -> [UInt8] {
    frame.filter { !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0) }
  }

  /// Two integers, at most five seconds apart.
  private static func isNear(_ exchange: Exchange) -> Bool {
    guard let plain = exchange.plain.first.flatMap(integer),
      let holdfast = exchange.holdfast.first.flatMap(integer)
    else { return false }
    let unit: Int64 = exchange.request.word(0).hasPrefix("P") ? 1 : 1000
    return plain > 0 && holdfast > 0 && abs(plain - holdfast) * unit <= 5000
  }

  private static func integer(_ frame: [UInt8]) -> Int64? {
    guard frame.first == UInt8(ascii: ":") else { return nil }
    return Int64(String(decoding: frame.dropFirst().dropLast(2), as: UTF8.self))
  }
}
