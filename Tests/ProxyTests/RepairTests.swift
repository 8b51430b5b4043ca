// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// What drivers get wrong and is made good. What the scripts do in Redis is tested on a real one.
@Suite struct RepairTests {
  private static func configure(_ configuration: inout ProxyConfiguration) {
    var repairs = Repairs()
    repairs.ttlPrefixes = [Array("sess:".utf8)]
    repairs.ttlSeconds = 60
    repairs.tombstonePrefixes = [Array("php:".utf8)]
    repairs.tombstoneSeconds = 5
    configuration.repairs = repairs
  }

  private static func script(_ source: [UInt8]) -> String {
    String(decoding: source, as: UTF8.self)
  }

  /// What arrives at Redis of a command; nil: the same.
  static let cases: [(String, String?)] = [
    ("SET sess:a 1", "SET sess:a 1 EX 60"), ("set sess:a 1", "set sess:a 1 EX 60"),
    ("SET sess:a 1 EX 5", nil), ("SET sess:a 1 px 5", nil), ("SET sess:a 1 EXAT 5", nil),
    ("SET sess:a 1 KEEPTTL", nil), ("SET sess:a 1 NX", nil), ("SET sess:a 1 XX", nil),
    ("SET sess:a 1 GET", nil), ("SET sess:a 1 NONSENSE", nil),
    ("SET other 1", nil), ("SETEX sess:a 5 1", nil), ("DEL sess:a", nil), ("GET php:a", nil),
    ("SET php:a 1", "EVAL \(script(Repairs.write)) 2 php:a holdfast:deleted:php:a OK SET 1"),
    (
      "SETEX php:a 5 1", "EVAL \(script(Repairs.write)) 2 php:a holdfast:deleted:php:a OK SETEX 5 1"
    ),
    ("HSET php:a f 1", "EVAL \(script(Repairs.write)) 2 php:a holdfast:deleted:php:a 0 HSET f 1"),
    ("SET php:a 1 NX", nil), ("HSET php:a", nil),
    ("DEL php:a", "EVAL \(script(Repairs.deletion)) 2 php:a holdfast:deleted:php:a DEL 1 5000"),
    (
      "unlink x php:a",
      "EVAL \(script(Repairs.deletion)) 3 x php:a holdfast:deleted:php:a UNLINK 2 5000"
    ),
    ("DEL x", nil), ("DEL", nil),
  ]

  @Test(arguments: cases)
  func travelsAsAnotherCommand(_ line: String, _ other: String?) {
    let master = FakeMaster()
    let rig = Rig.serving(master, Self.configure)
    rig.send(rig.connect(), line)
    #expect(master.log.last == other ?? line)
  }

  @Test func inATransactionToo() {
    let master = FakeMaster()
    let rig = Rig.serving(master, Self.configure)
    rig.send(rig.connect(), "MULTI", "SET sess:a 1", "DEL php:a", "EXEC")
    #expect(master.log.contains("SET sess:a 1 EX 60"))
    #expect(master.log.contains { $0.hasPrefix("EVAL") && $0.hasSuffix("DEL 1 5000") })
  }

  /// phpredis' lock of a session begins as the session does.
  @Test func besideLocksOfTheSamePrefix() {
    let master = FakeMaster()
    let rig = Rig.serving(master) {
      Self.configure(&$0)
      $0.driverLocks = DriverLocks(prefixes: [Array("php".utf8)])
    }
    rig.send(rig.connect(), "SET php:a_LOCK 1 NX PX 5", "DEL php:a", "SETEX php:a 5 1")
    #expect(
      master.log.suffix(3).map { $0.split(separator: " ").last } == ["5", "5000", "1"])
    #expect(master.log.filter { $0.hasPrefix("EVAL") }.count == 2)
    #expect(rig.endings.contains { if case .driverFreed = $0 { true } else { false } })
  }

  /// Both scripts repeat their effect, so that a failover is no error; any other script is not sent twice.
  @Test(arguments: [
    ("SET php:a 1", "+OK"), ("DEL php:a", "+OK"), ("EVAL return 0", "-UNCERTAIN"),
  ])
  func areSentAgain(_ line: String, _ answer: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master, Self.configure)
    let client = rig.connect()
    rig.push(client, line)
    rig.endTurn()
    rig.cut(master)
    rig.advance(200)
    #expect(client.replies().first?.hasPrefix(answer) == true)
    rig.expectNothingHeld()
  }

  @Test func nothingIsRepairedByDefault() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    rig.send(rig.connect(), "SET sess:a 1", "DEL php:a")
    #expect(master.log.suffix(2) == ["SET sess:a 1", "DEL php:a"])
  }
}
