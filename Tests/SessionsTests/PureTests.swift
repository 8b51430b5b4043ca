// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@testable import Sessions

@Suite struct IdentifierTests {
  @Test func idsAreMadeAndRecognised() throws {
    var random = SystemRandomNumberGenerator()
    let ids = (0..<100).map { _ in SessionID(random: &random) }
    #expect(Set(ids).count == 100)
    for id in ids { #expect(SessionID(id.text) == id) }
    let good = ids[0].text
    for bad in [
      [], Array(good.dropLast()), good + [0x30], bytes(text(good).uppercased()),
      [0] + good.dropFirst(), bytes("g") + good.dropFirst(),
    ]
    where bad != good {
      #expect(SessionID(bad) == nil)
    }
    #expect("\(ids[0]) \(String(reflecting: ids[0]))".contains(text(good)) == false)
    var dumped = ""
    dump(ids[0], to: &dumped)
    #expect(!dumped.contains(text(good)))
  }

  @Test func storedFormsAndHandles() throws {
    let id = try #require(SessionID([UInt8](repeating: UInt8(ascii: "0"), count: 64)))
    #expect(id.stored(as: .plain) == id.text)
    // printf '0%.0s' {1..64} | sha256sum
    #expect(
      text(id.stored(as: .hashed))
        == "60e05bd1b195af2f94112fa7197a5c88289058840ce7c6df9693756bc6250f55")
    let handle = IndexMember.handle(of: IndexMember.session(id.text))
    #expect(handle.count == 24)
    #expect(handle.utf8.allSatisfy(Hexadecimal.isDigit))
  }

  @Test func comparison() {
    #expect(isEqualInConstantTime(bytes("abc"), bytes("abc")))
    #expect(isEqualInConstantTime([], []))
    for (left, right) in [("abc", "abd"), ("abc", "ab"), ("", "a"), ("bbc", "abc")] {
      #expect(!isEqualInConstantTime(bytes(left), bytes(right)))
    }
  }

  @Test func keysNeverMeet() {
    let keys = SessionKeys(prefix: "p:")
    let users = ["a", "a:sessions", ":epoch", "a:epoch:sessions", "\0"].map { bytes($0) }
    var all = [keys.active, keys.session(bytes("h")), keys.lock(bytes("h")), keys.once(bytes("h"))]
    for user in users { all += [keys.index(ofUser: user), keys.epoch(ofUser: user)] }
    #expect(Set(all).count == all.count)
    #expect(all.allSatisfy { keys.isOwn($0) })
    #expect(!keys.isOwn(bytes("p:PHPREDIS_SESSION:1")))
    #expect(text(keys.lock(bytes("h"))) == "p:lock:session:h")
  }
}

@Suite struct SealTests {
  @Test func onlyTheOldIDOpens() throws {
    var random = SeededGenerator(seed: 3)
    let old = SessionID(random: &random)
    let new = SessionID(random: &random)
    let nonce = [UInt8](repeating: 5, count: 12)
    let sealed = try #require(Seal.seal(new, under: old, nonce: nonce))
    #expect(Seal.open(sealed, under: old) == new)
    #expect(Seal.open(sealed, under: new) == nil)
    for index in sealed.indices {
      var damaged = sealed
      damaged[index] ^= 1
      #expect(Seal.open(damaged, under: old) == nil)
    }
    for count in 0..<sealed.count {
      #expect(Seal.open(Array(sealed.prefix(count)), under: old) == nil)
    }
    #expect(Seal.seal(new, under: old, nonce: []) == nil)
  }
}

@Suite struct CompressionTests {
  @Test func everythingComesBack() throws {
    var random = SeededGenerator(seed: 11)
    for round in 0..<300 {
      let count = Int.random(in: 0...5000, using: &random)
      let letters = UInt8(round % 7 == 0 ? 255 : 3)
      let data = (0..<count).map { _ in UInt8.random(in: 0...letters, using: &random) }
      let stored = StoredData(packing: data, from: 1024)
      #expect(try stored.unpacked(atMost: 5000) == data)
      #expect(stored.bytes.count <= data.count)
      if count < 1024 { #expect(stored.expandedBytes == nil) }
      if let expanded = stored.expandedBytes {
        #expect(expanded == count && stored.bytes.count < count)
      } else {
        #expect(stored.bytes == data)
      }
    }
  }

  @Test func noiseStaysRaw() {
    var random = SeededGenerator(seed: 12)
    let noise = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &random) }
    #expect(StoredData(packing: noise, from: 1024).expandedBytes == nil)
  }

  @Test func damageAndBombsAreRefused() throws {
    let bomb = StoredData(packing: [UInt8](repeating: 0, count: 1 << 20), from: 0)
    #expect(throws: StoredData.Damage.tooBig) { try bomb.unpacked(atMost: 1000) }
    for lie in [0, -1, 1, 1000, 1 << 20 - 1, 1 << 20 + 1] {
      let claimed = StoredData(bytes: bomb.bytes, expandedBytes: lie)
      #expect(throws: StoredData.Damage.notZlib) { try claimed.unpacked(atMost: 2 << 20) }
    }
    for index in 0..<min(40, bomb.bytes.count) {
      var damaged = bomb
      damaged.bytes[index] ^= 0xFF
      #expect(throws: StoredData.Damage.self) { try damaged.unpacked(atMost: 2 << 20) }
    }
    #expect(throws: StoredData.Damage.notZlib) {
      try StoredData(bytes: [], expandedBytes: 10).unpacked(atMost: 100)
    }
  }
}

@Suite struct BindingTests {
  /// Network, address, whether it fits; the text that the network is kept as.
  static let table: [(String, String, Bool, String)] = [
    ("10.0.0.0/8", "10.255.0.1", true, "10.0.0.0/8"),
    ("10.1.2.3/8", "10.0.0.1", true, "10.0.0.0/8"),
    ("10.0.0.0/8", "11.0.0.1", false, "10.0.0.0/8"), ("1.2.3.4", "1.2.3.4", true, "1.2.3.4/32"),
    ("1.2.3.4", "1.2.3.5", false, "1.2.3.4/32"), ("0.0.0.0/0", "255.1.1.1", true, "0.0.0.0/0"),
    ("0.0.0.0/0", "::1", false, "0.0.0.0/0"), ("::/0", "1.2.3.4", false, "::/0"),
    ("192.168.4.0/22", "192.168.7.255", true, "192.168.4.0/22"),
    ("192.168.4.0/22", "192.168.8.0", false, "192.168.4.0/22"),
    ("192.168.4.0/23", "192.168.6.0", false, "192.168.4.0/23"),
    ("128.0.0.0/1", "127.255.255.255", false, "128.0.0.0/1"),
    ("128.0.0.0/1", "200.0.0.1", true, "128.0.0.0/1"),
    ("1.2.3.4/31", "1.2.3.5", true, "1.2.3.4/31"), ("1.2.3.4/31", "1.2.3.6", false, "1.2.3.4/31"),
    ("2001:db8::/33", "2001:db8:7fff::1", true, "2001:db8::/33"),
    ("2001:db8::/33", "2001:db8:8000::1", false, "2001:db8::/33"),
    ("2001:DB8::1", "2001:db8:0:0:0:0:0:1", true, "2001:db8::1/128"),
    ("::ffff:10.0.0.0/104", "10.9.9.9", true, "10.0.0.0/8"),
    ("::ffff:10.0.0.1", "10.0.0.1", true, "10.0.0.1/32"),
    ("10.0.0.1", "::ffff:a00:1", true, "10.0.0.1/32"),
  ]

  @Test(arguments: table)
  func fits(network: String, address: String, fits: Bool, text: String) throws {
    let network = try #require(Network(bytes(network)))
    #expect(network.contains(try #require(Address(bytes(address)))) == fits)
    #expect(network.text == text)
  }

  @Test(arguments: [
    "", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8",
    "::/129",
    "10.0.0", "010.0.0.1", "10.0.0.1\0", "fe80::1%eth0", "localhost", "::ffff:10.0.0.1/95",
    "10.0.0.0/0008", "1.2.3.4 ", String(repeating: "1", count: 100),
  ])
  func isNone(text: String) { #expect(Network(bytes(text)) == nil) }

  /// The script decides as the table does, and as the code here on random networks.
  @Test func scriptsAgree() async throws {
    let script = Script(
      "bound",
      Fragment.bound + "return bound({network = ARGV[1], bits = ARGV[2]}, ARGV[3]) and 1 or 0")
    var random = SeededGenerator(seed: 5)
    var cases = Self.table.map { ($0.0, $0.1) }
    for _ in 0..<1000 {
      func octet() -> UInt8 { [0, 1, 127, 128, 255].randomElement(using: &random) ?? 0 }
      let address = "\(octet()).\(octet()).\(octet()).\(octet())"
      cases.append(
        ("\(octet()).\(octet()).\(octet()).0/\(Int.random(in: 0...32, using: &random))", address))
    }
    try await withSessions { [cases] _, runner in
      for (network, address) in cases {
        let network = try #require(Network(bytes(network)))
        let address = try #require(Address(bytes(address)))
        let reply = try runner.send(
          RedisCall(
            .script(
              script, keys: [],
              arguments: [network.address.hexadecimal, bytes(network.bits), address.hexadecimal]),
            replay: .read, isWrite: false))
        #expect(reply == .integer(network.contains(address) ? 1 : 0))
      }
    }
  }
}

@Suite struct RedisCallTests {
  @Test("What was put into a call is what its frame says", arguments: [0, 1, 9, 10, 300])
  func roundTrip(keyCount: Int) {
    let keys = (0..<keyCount).map { bytes("key \($0)") }
    let body = RedisCall.Body.script(
      SessionScript.get, keys: keys,
      arguments: [[], [0, 13, 10], [UInt8](repeating: 1, count: 70_000)])
    let call = RedisCall(body, replay: .guarded, isWrite: true)
    #expect(call.body == body && call.script == SessionScript.get)
    let plain = RedisCall.Body.command([bytes("SCAN"), bytes("0")] + keys)
    #expect(RedisCall(plain, replay: .read, isWrite: false).body == plain)
  }

  @Test("There is room for the longest arguments of a read")
  func longest() throws {
    var configuration = SessionConfiguration()
    configuration.prefix = String(repeating: "p", count: 64)
    configuration.slidingPercent = 100
    configuration.idStorage = .plain
    let address = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"
    let words = ["SESSION.GET", String(repeating: "a", count: 64), "IP", address].map { bytes($0) }
    var random = SeededGenerator(seed: 1)
    guard
      case .operation(var operation) = SessionOperation.parse(
        words, SessionContext(configuration), random: &random),
      case .call(let call) = operation.start(nowMilliseconds: 0),
      case .script(_, let keys, let arguments) = call.body
    else {
      Issue.record("no call")
      return
    }
    #expect(keys.count == 1 && arguments.count == 7)
    #expect(arguments[2] == bytes(String(repeating: "f", count: 32)))
  }
}
