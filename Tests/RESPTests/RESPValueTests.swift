// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RESP

@Suite struct RESPValueTests {
  @Test(arguments: Samples.replies)
  func parsesEveryType(sample: Samples.Reply) throws {
    let parsed = try #require(try parse(bytes(sample.stream + "+next\r\n")))
    #expect(parsed.0 == sample.value)
    #expect(parsed.1 == sample.stream.utf8.count)
  }

  @Test(arguments: Samples.replies)
  func waitsForTheWholeReply(sample: Samples.Reply) throws {
    let stream = bytes(sample.stream)
    for count in 0..<stream.count {
      #expect(try parse(Array(stream[..<count])) == nil, "\(count) bytes")
    }
  }

  @Test(arguments: Samples.replies.map(\.stream) + Samples.malformedReplies.map(\.stream))
  func agreesWithTheScanner(stream: String) {
    expectParserAgrees(bytes(stream))
  }

  @Test func nan() throws {
    for text in [",nan\r\n", ",-nan\r\n"] {
      guard case .double(let value)? = try parse(text) else {
        Issue.record("\(text) is no double")
        continue
      }
      #expect(value.isNaN)
    }
  }

  @Test func nestingIsLimited() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "*1\r\n", count: depth) + ":1\r\n"
    }
    #expect(try parse(nested(32)) != nil)
    #expect(throws: ProtocolError.depth) { try parse(nested(33)) }
  }

  @Test func parsesFromTheMiddle() throws {
    let stream = bytes(":1\r\n:2\r\n")
    let parsed = try stream.withUnsafeBytes {
      try RESPValue.parse($0, from: 4, limits: ScanLimits())
    }
    #expect(parsed?.value == .integer(2))
    #expect(parsed?.byteCount == 4)
  }

  @Test func text() {
    #expect(RESPValue.simple("a").text == "a")
    #expect(RESPValue.bulk([0x61, 0xFF]).text == "a\u{FFFD}")
    #expect(RESPValue.verbatim("txt", bytes("v")).text == "v")
    for value in [RESPValue.error("ERR"), .integer(1), .null, .array([]), .bigNumber("1")] {
      #expect(value.text == nil)
    }
  }

  @Test func elements() {
    let one = RESPValue.integer(1)
    for value in [RESPValue.array([one]), .set([one]), .push([one])] {
      #expect(value.elements == [one])
    }
    #expect(RESPValue.map([.init(key: one, value: .null)]).elements == [one, .null])
    #expect(RESPValue.null.elements == nil)
  }

  @Test func integerValue() {
    #expect(RESPValue.integer(-1).integerValue == -1)
    #expect(RESPValue.bulk(bytes("42")).integerValue == 42)
    #expect(RESPValue.bulk(bytes("4x")).integerValue == nil)
    #expect(RESPValue.simple("42").integerValue == nil)
  }

  @Test func dictionary() throws {
    let expected: [String: RESPValue] = ["a": .integer(1), "b": .null]
    #expect(try parse("%2\r\n+a\r\n:1\r\n$1\r\nb\r\n_\r\n")?.dictionary == expected)
    #expect(try parse("*4\r\n+a\r\n:1\r\n$1\r\nb\r\n$-1\r\n")?.dictionary == expected)
    #expect(try parse("*2\r\n*2\r\n+a\r\n:1\r\n*2\r\n+b\r\n_\r\n")?.dictionary == expected)
    #expect(try parse("*0\r\n")?.dictionary == [:])
    #expect(try parse("*4\r\n+a\r\n:1\r\n+a\r\n:2\r\n")?.dictionary == ["a": .integer(2)])
    #expect(try parse("*3\r\n+a\r\n:1\r\n+b\r\n")?.dictionary == nil)
    #expect(try parse("%1\r\n:1\r\n:1\r\n")?.dictionary == nil)
    #expect(try parse(":1\r\n")?.dictionary == nil)
  }
}
