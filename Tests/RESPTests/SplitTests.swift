// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RESP

/// However a stream is split, and however its buffer moves, the frames and the error are the same.
@Suite struct SplitTests {
  private let requestScanner = RequestScanner(limits: ScanLimits())
  private let replyScanner = ReplyScanner(limits: ScanLimits())

  /// Inline requests are split into words when they are whole, so their bytes have to stay.
  private func bufferings(_ stream: [UInt8], inline: Bool) -> [Buffering] {
    inline ? [.grow, .compact] : Buffering.allCases
  }

  private func expectSame(
    _ stream: [UInt8], cuts: [[Int]], bufferings: [Buffering], scanner: some Scanning,
    _ note: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let whole = feed(stream, cuts: [], buffering: .grow, scanner: scanner)
    for buffering in bufferings {
      for cuts in cuts {
        let outcome = feed(stream, cuts: cuts, buffering: buffering, scanner: scanner)
        guard outcome != whole else { continue }
        Issue.record(
          "\(note()) cuts \(cuts) \(buffering): \(outcome) is not \(whole)",
          sourceLocation: sourceLocation)
        return
      }
    }
  }

  /// Every single cut, every pair of cuts in a short stream, and byte by byte.
  private func allCuts(_ count: Int) -> [[Int]] {
    var cuts = (0...count).map { [$0] }
    if count <= 64 {
      for first in 0..<count { cuts += (first...count).map { [first, $0] } }
    }
    return cuts + [Array(0..<count)]
  }

  @Test(arguments: Samples.requests + Samples.malformedRequests)
  func requests(sample: String) {
    let stream = bytes(sample + "*1\r\n$4\r\nPING\r\n")
    expectSame(
      stream, cuts: allCuts(stream.count),
      bufferings: bufferings(stream, inline: !sample.hasPrefix("*")), scanner: requestScanner)
  }

  @Test func manyRequests() {
    let stream = bytes(Samples.requests.joined())
    expectSame(
      stream, cuts: allCuts(stream.count), bufferings: [.grow, .compact], scanner: requestScanner)
  }

  @Test(arguments: Samples.replies.map(\.stream) + Samples.malformedReplies.map(\.stream))
  func replies(sample: String) {
    let stream = bytes(sample.prefix(200) + "+OK\r\n")
    expectSame(
      stream, cuts: allCuts(stream.count),
      bufferings: bufferings(stream, inline: hasCheckedLine(sample)), scanner: replyScanner)
  }

  /// These are checked when they are whole, so their bytes have to stay.
  private func hasCheckedLine(_ sample: String) -> Bool {
    sample.contains { "_,#(=".contains($0) }
  }

  @Test func manyReplies() {
    let stream = bytes(Samples.replies.map(\.stream).joined())
    expectSame(
      stream, cuts: allCuts(stream.count), bufferings: [.grow, .compact], scanner: replyScanner)
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func randomStreams(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var requests: [UInt8] = []
    var replies: [UInt8] = []
    for _ in 0..<20 {
      requests += bytes(Samples.requests.randomElement(using: &generator) ?? "")
      replies += randomReply(depth: 0, using: &generator)
    }
    // Every other stream is damaged somewhere.
    if seed % 2 == 1 {
      requests[Int.random(in: 0..<requests.count, using: &generator)] = .random(
        in: 0...127, using: &generator)
      replies[Int.random(in: 0..<replies.count, using: &generator)] = .random(
        in: 0...127, using: &generator)
    }
    let styles: [Buffering] = [.grow, .compact]
    expectSame(
      requests, cuts: randomCuts(requests.count, using: &generator), bufferings: styles,
      scanner: requestScanner, "seed \(seed), requests:")
    expectSame(
      replies, cuts: randomCuts(replies.count, using: &generator), bufferings: styles,
      scanner: replyScanner, "seed \(seed), replies:")
    expectParserAgrees(replies, "seed \(seed)")
  }

  private func randomCuts(_ count: Int, using generator: inout SeededGenerator) -> [[Int]] {
    (0..<20).map { _ in
      (0..<Int.random(in: 1...30, using: &generator)).map { _ in
        Int.random(in: 0...count, using: &generator)
      }.sorted()
    }
  }

  private func randomReply(depth: Int, using generator: inout SeededGenerator) -> [UInt8] {
    var reply: [UInt8] = []
    let number =
      Int64(truncatingIfNeeded: generator.next())
      >> Int64.random(
        in: 0...60, using: &generator)
    let body = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
      UInt8.random(in: 0...255, using: &generator)
    }
    let version = Bool.random(using: &generator) ? RESPVersion.two : .three
    let size = Int.random(in: 0...3, using: &generator)
    var elements = 0
    switch Int.random(in: 0..<(depth < 5 ? 15 : 9), using: &generator) {
    case 0: reply.writeSimple("OK")
    case 1: reply.writeError("ERR \(number)")
    case 2: reply.writeInteger(number)
    case 3, 4: reply.writeBulk(body)
    case 5: reply.writeNull(version)
    case 6: reply.writeDouble(Double(number) / 3, version)
    case 7: reply.writeBoolean(number < 0, version)
    case 8: reply.writeVerbatim("text \(number)", version)
    case 9:
      reply.writeMapHeader(size, version)
      elements = 2 * size
    case 10:
      reply.writeSetHeader(size, version)
      elements = size
    case 11:
      reply.writePushHeader(size, version)
      elements = size
    case 12:
      reply += bytes("|\(size)\r\n")
      elements = 2 * size + 1
    default:
      reply.writeArrayHeader(size)
      elements = size
    }
    for _ in 0..<elements { reply += randomReply(depth: depth + 1, using: &generator) }
    return reply
  }

  @Test func longBulkByteByByteIsScannedOnce() throws {
    let size = 1 << 20
    var stream: [UInt8] = []
    stream.writeCommand([bytes("SET"), bytes("k"), [UInt8](repeating: 0x0D, count: size)])
    var scanner = requestScanner
    var found: Request?
    let header = stream.count - size - 2
    try stream.withUnsafeBytes { bytes in
      for count in 0...bytes.count {
        #expect(found == nil)
        found = try scanner.next(in: UnsafeRawBufferPointer(rebasing: bytes[..<count]), from: 0)
        // Within the body the scanner stays where it begins: it waits for the end.
        if count >= header, found == nil { try #require(scanner.scannedByteCount == header) }
      }
    }
    #expect(found?.byteCount == stream.count)
  }

  @Test func longLineByteByByteIsScannedOnce() throws {
    let stream = bytes("+" + String(repeating: "x", count: 65_536) + "\r\n")
    var scanner = replyScanner
    try stream.withUnsafeBytes { bytes in
      for count in 0..<bytes.count {
        let part = UnsafeRawBufferPointer(rebasing: bytes[..<count])
        #expect(try scanner.next(in: part, from: 0) == nil)
        try #require(scanner.scannedByteCount == count)
      }
      #expect(try scanner.next(in: bytes, from: 0)?.byteCount == bytes.count)
    }
  }
}

/// The parser finds the extents that the scanner finds, and its error, but for its limit on nesting.
func expectParserAgrees(
  _ stream: [UInt8], _ note: String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  let scanned = feed(
    stream, cuts: [], buffering: .grow, scanner: ReplyScanner(limits: ScanLimits()))
  var sizes: [Int] = []
  var failure: ProtocolError?
  var start = 0
  do {
    while let (_, byteCount) = try stream.withUnsafeBytes({
      try RESPValue.parse($0, from: start, limits: ScanLimits())
    }) {
      sizes.append(byteCount)
      start += byteCount
    }
  } catch {
    failure = error as? ProtocolError
  }
  if failure == .depth { return }
  #expect(sizes == scanned.extents.map(\.byteCount), "\(note)", sourceLocation: sourceLocation)
  #expect(failure == scanned.error, "\(note)", sourceLocation: sourceLocation)
}
