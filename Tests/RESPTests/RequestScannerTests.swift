// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RESP

@Suite struct RequestScannerTests {
  /// The first request's arguments, as texts.
  private func scan(_ stream: [UInt8], limits: ScanLimits = ScanLimits()) throws -> (
    request: Request, arguments: [String]
  )? {
    var scanner = RequestScanner(limits: limits)
    return try stream.withUnsafeBytes { bytes in
      guard let request = try scanner.next(in: bytes, from: 0) else { return nil }
      let arguments = scanner.arguments.map { argument in
        let range = argument.start..<argument.end
        return request.isInline
          ? String(decoding: scanner.rewritten[range], as: UTF8.self)
          : String(decoding: bytes[range], as: UTF8.self)
      }
      return (request, arguments)
    }
  }

  private func failure(_ stream: String, limits: ScanLimits = ScanLimits()) -> String? {
    feed(
      bytes(stream), cuts: [], buffering: .grow, scanner: RequestScanner(limits: limits)
    ).error?.message
  }

  @Test func findsArguments() throws {
    let stream = "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$0\r\n\r\n"
    let found = try #require(try scan(bytes(stream + "*1\r\n")))
    #expect(found.request.byteCount == stream.utf8.count)
    #expect(!found.request.isInline && !found.request.isEmpty)
    #expect(found.arguments == ["SET", "key:1", ""])
  }

  @Test func bodiesMayHoldAnything() throws {
    let body = (0...255).map { UInt8($0) } + bytes("\r\n$1\r\n")
    var stream: [UInt8] = []
    stream.writeCommand([body, bytes("\r\n")])
    var scanner = RequestScanner(limits: ScanLimits())
    let request = try #require(try stream.withUnsafeBytes { try scanner.next(in: $0, from: 0) })
    #expect(request.byteCount == stream.count)
    #expect(Array(stream[scanner.arguments[0].start..<scanner.arguments[0].end]) == body)
  }

  @Test(arguments: ["*0\r\n", "*-1\r\n", "*-5\r\n", "\r\n", "\n", "  \t \r\n"])
  func emptyRequestsAreConsumed(stream: String) throws {
    let found = try #require(try scan(bytes(stream + "PING\r\n")))
    #expect(found.request.isEmpty)
    #expect(found.request.byteCount == stream.utf8.count)
    #expect(found.arguments.isEmpty)
  }

  @Test(arguments: [
    ("PING\r\n", ["PING"]), ("PING\n", ["PING"]), ("  get  a\tb \r\n", ["get", "a", "b"]),
    (#"set k "a b""# + "\r\n", ["set", "k", "a b"]),
    (#"set k "\x41\n\r\t\b\a\"\\\q""# + "\n", ["set", "k", "A\n\r\t\u{8}\u{7}\"\\q"]),
    (#"set k "\xZZ\x4""# + "\n", ["set", "k", "xZZx4"]),
    (#"set k 'a "b" \n \' \\ '"# + "\n", ["set", "k", #"a "b" \n ' \\ "#]),
    (#"set k """# + "\n", ["set", "k", ""]), (#"a"b c""# + "\n", ["ab c"]),
    (#"back\slash"# + "\n", [#"back\slash"#]), ("a\u{b}b\n", ["a\u{b}b"]),
    ("\u{b}\u{c}a\n", ["a"]), ("$5\r\n", ["$5"]), ("ключ\n", ["ключ"]),
  ])
  func inlineRequestsAreSplitAsRedisDoes(line: String, words: [String]) throws {
    let found = try #require(try scan(bytes(line)))
    #expect(found.request.isInline && !found.request.isEmpty)
    #expect(found.request.byteCount == line.utf8.count)
    #expect(found.arguments == words)
  }

  @Test func inlineRequestIsRewrittenAsArray() throws {
    var scanner = RequestScanner(limits: ScanLimits())
    let line = bytes("set key \"a b\"\r\n")
    _ = try line.withUnsafeBytes { try scanner.next(in: $0, from: 0) }
    #expect(scanner.rewritten == bytes("*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$3\r\na b\r\n"))
  }

  @Test(arguments: [
    ("*a\r\n", "invalid multibulk length"), ("*\r\n", "invalid multibulk length"),
    ("*01\r\n", "invalid multibulk length"), ("*-0\r\n", "invalid multibulk length"),
    ("*+1\r\n", "invalid multibulk length"), ("*1 \r\n", "invalid multibulk length"),
    ("*1\n", "invalid multibulk length"), ("*1\rx", "invalid multibulk length"),
    ("*1048577\r\n", "invalid multibulk length"),
    ("*9223372036854775808\r\n", "invalid multibulk length"),
    ("*99999999999999999999\r\n", "invalid multibulk length"),
    ("*1\r\n:1\r\n", "expected '$', got ':'"), ("*1\r\n\r\n", "expected '$', got '\\r'"),
    ("*1\r\n\u{0}", "expected '$', got '\\x00'"), ("*1\r\n\u{7f}", "expected '$', got '\\x7f'"),
    ("*2\r\n$1\r\na\r\nPING", "expected '$', got 'P'"),
    ("*1\r\n$\r\n", "invalid bulk length"), ("*1\r\n$-1\r\n", "invalid bulk length"),
    ("*1\r\n$x", "invalid bulk length"), ("*1\r\n$536870913\r\n", "invalid bulk length"),
    ("*1\r\n$18446744073709551616\r\n", "invalid bulk length"),
    ("*1\r\n$536870912\r\n", "too big request"),
    ("*1\r\n$1\r\nab\r\n", "expected CRLF after bulk"),
    ("*1\r\n$1\r\na\rb", "expected CRLF after bulk"),
    ("get \"a\r\n", "unbalanced quotes in request"), ("get 'a\r\n", "unbalanced quotes in request"),
    ("get \"a\"b\r\n", "unbalanced quotes in request"),
    (#"get '\\'"# + "\r\n", "unbalanced quotes in request"),
    ("get 'a'b\r\n", "unbalanced quotes in request"),
    ("get \"a\\\"\r\n", "unbalanced quotes in request"),
  ])
  func malformedRequestsAreRefused(stream: String, reason: String) {
    #expect(failure(stream) == "Protocol error: " + reason)
  }

  @Test func everyLengthIsLimited() {
    let limits = ScanLimits(bulkBytesMax: 4, elementsMax: 2, frameBytesMax: 24, lineBytesMax: 8)
    #expect(failure("*2\r\n$4\r\nabcd\r\n$4\r\nabcd\r\n", limits: limits) == nil)
    #expect(failure("*3\r\n", limits: limits) == "Protocol error: invalid multibulk length")
    #expect(failure("*1\r\n$5\r\n", limits: limits) == "Protocol error: invalid bulk length")
    #expect(failure("12345678\n", limits: limits) == nil)
    #expect(failure("123456789", limits: limits) == "Protocol error: too big inline request")
    #expect(failure("123456789\n", limits: limits) == "Protocol error: too big inline request")
    #expect(failure("a b c\n", limits: limits) == "Protocol error: too big inline request")
    let small = ScanLimits(frameBytesMax: 23)
    #expect(
      failure("*2\r\n$4\r\nabcd\r\n$4\r\nabcd\r\n", limits: small)
        == "Protocol error: too big request")
  }

  @Test func extremeLimitsDoNotOverflow() {
    let all = ScanLimits(
      bulkBytesMax: .max, elementsMax: .max, frameBytesMax: .max, lineBytesMax: .max)
    #expect(failure("*9223372036854775807\r\n", limits: all) != nil)
    #expect(failure("*1\r\n$9223372036854775807\r\n", limits: all) != nil)
    #expect(failure("*1\r\n$4294967295\r\n", limits: all) == "Protocol error: too big request")
    let none = ScanLimits(
      bulkBytesMax: .min, elementsMax: .min, frameBytesMax: .min, lineBytesMax: .min)
    #expect(failure("*1\r\n", limits: none) != nil)
    #expect(failure("PING\r\n", limits: none) != nil)
  }

  @Test func tellsWhatItNeeds() throws {
    var scanner = RequestScanner(limits: ScanLimits())
    func needed(_ text: String) throws -> Int {
      #expect(try bytes(text).withUnsafeBytes { try scanner.next(in: $0, from: 0) } == nil)
      return scanner.bytesNeeded
    }
    #expect(try needed("") == 0)
    #expect(try needed("*2\r\n$3\r") == 0)
    #expect(try needed("*2\r\n$3\r\n") == 13)
    #expect(try needed("*2\r\n$3\r\nGET\r") == 13)
    #expect(try needed("*2\r\n$3\r\nGET\r\n$1000\r\n") == 13 + 7 + 1002)
    scanner.reset()
    #expect(try needed("*2\r\n") == 0)
  }

  @Test func resetForgetsAnError() throws {
    var scanner = RequestScanner(limits: ScanLimits())
    #expect(throws: ProtocolError.self) {
      try bytes("*1\r\nx").withUnsafeBytes { try scanner.next(in: $0, from: 0) }
    }
    scanner.reset()
    let request = try bytes("*1\r\n$4\r\nPING\r\n").withUnsafeBytes {
      try scanner.next(in: $0, from: 0)
    }
    #expect(request?.byteCount == 14)
    #expect(scanner.arguments == [ArgumentRange(start: 8, count: 4)])
  }

  @Test func storageIsReusedAndAHugeRequestsGivenBack() throws {
    var scanner = RequestScanner(limits: ScanLimits())
    func scan(_ words: Int) throws {
      var stream: [UInt8] = []
      stream.writeCommand(Array(repeating: "x", count: words))
      _ = try stream.withUnsafeBytes { try scanner.next(in: $0, from: 0) }
      #expect(scanner.arguments.count == words)
    }
    func storage() -> UnsafeRawPointer? {
      scanner.arguments.withUnsafeBytes { $0.baseAddress }
    }
    try scan(100)
    let first = storage()
    try scan(50)
    #expect(storage() == first)
    try scan(100_000)
    try scan(1)
    #expect(scanner.arguments.capacity < 1000)
  }
}
