// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import RESP

/// What the fuzzer starts from and what it once found, replayed.
@Suite struct CorpusTests {
  private static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fuzzing/Corpus")

  private static func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  @Test func isThere() throws {
    #expect(try Self.names().count >= 40)
  }

  @Test(arguments: try names())
  func splitsAgree(name: String) throws {
    let stream = [UInt8](try Data(contentsOf: Self.folder.appendingPathComponent(name)))
    let requests = RequestScanner(limits: ScanLimits())
    let replies = ReplyScanner(limits: ScanLimits())
    let wholeRequests = feed(stream, cuts: [], buffering: .grow, scanner: requests)
    let wholeReplies = feed(stream, cuts: [], buffering: .grow, scanner: replies)
    let splits = [Array(0..<stream.count)] + stream.indices.map { [$0] }
    for buffering in [Buffering.grow, .compact] {
      for cuts in splits {
        #expect(feed(stream, cuts: cuts, buffering: buffering, scanner: requests) == wholeRequests)
        #expect(feed(stream, cuts: cuts, buffering: buffering, scanner: replies) == wholeReplies)
      }
    }
    expectParserAgrees(stream)
  }
}
