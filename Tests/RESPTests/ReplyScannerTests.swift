// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RESP

@Suite struct ReplyScannerTests {
  private func scan(_ stream: String, limits: ScanLimits = ScanLimits()) -> Outcome {
    feed(bytes(stream), cuts: [], buffering: .grow, scanner: ReplyScanner(limits: limits))
  }

  @Test(arguments: Samples.replies)
  func findsEveryType(sample: Samples.Reply) throws {
    // The byte behind belongs to the next reply.
    let outcome = scan(sample.stream + "+")
    #expect(outcome.error == nil)
    #expect(
      outcome.extents == [
        Extent(byteCount: sample.stream.utf8.count, offset: sample.offset, type: sample.type)
      ])
  }

  @Test(arguments: Samples.replies)
  func knowsPushesAndErrors(sample: Samples.Reply) throws {
    var scanner = ReplyScanner(limits: ScanLimits())
    let frame = try #require(
      try bytes(sample.stream).withUnsafeBytes { try scanner.next(in: $0, from: 0) })
    #expect(frame.isPush == (sample.type == UInt8(ascii: ">")))
    #expect(frame.isError == "-!".utf8.contains(sample.type))
  }

  @Test(arguments: Samples.malformedReplies)
  func malformedRepliesAreRefused(sample: Samples.Malformed) {
    #expect(scan(sample.stream).error?.message == "Protocol error: " + sample.reason)
  }

  @Test func everyLengthIsLimited() {
    let limits = ScanLimits(bulkBytesMax: 4, elementsMax: 2, frameBytesMax: 16, lineBytesMax: 8)
    #expect(scan("$4\r\nabcd\r\n*2\r\n:1\r\n:2\r\n%1\r\n+a\r\n+b\r\n", limits: limits).error == nil)
    #expect(scan("+12345678\r\n", limits: limits).extents.count == 1)
    #expect(scan("$5\r\n", limits: limits).error == .bulkLength)
    #expect(scan("*3\r\n", limits: limits).error == .multibulkLength)
    #expect(scan("%2\r\n", limits: limits).error == .multibulkLength)
    #expect(scan("+123456789", limits: limits).error == .lineTooBig)
    #expect(scan("+123456789\r\n", limits: limits).error == .lineTooBig)
    #expect(scan("*2\r\n$4\r\nabcd\r\n$4\r\n", limits: limits).error == .replyTooBig)
    #expect(scan("*2\r\n+1234567\r\n+1234567\r\n", limits: limits).error == .replyTooBig)
    #expect(scan("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", limits: limits).error == .replyTooBig)
    let all = ScanLimits(
      bulkBytesMax: .max, elementsMax: .max, frameBytesMax: .max, lineBytesMax: .max)
    #expect(scan("$9223372036854775807\r\n", limits: all).error == .bulkLength)
    #expect(scan("%4294967295\r\n", limits: all).error == .multibulkLength)
  }

  @Test func nestingCostsNothing() throws {
    let depth = 100_000
    let stream = bytes(String(repeating: "*1\r\n", count: depth) + ":1\r\n")
    let outcome = feed(
      stream, cuts: [], buffering: .grow, scanner: ReplyScanner(limits: ScanLimits()))
    #expect(outcome.extents.map(\.byteCount) == [stream.count])
    #expect(MemoryLayout<ReplyScanner>.size <= 160)
  }

  @Test func tellsWhatItNeeds() throws {
    var scanner = ReplyScanner(limits: ScanLimits())
    _ = try bytes("*2\r\n$1000\r\n").withUnsafeBytes { try scanner.next(in: $0, from: 0) }
    #expect(scanner.bytesNeeded == 4 + 7 + 1002)
    scanner.reset()
    #expect(scanner.bytesNeeded == 0)
  }
}
