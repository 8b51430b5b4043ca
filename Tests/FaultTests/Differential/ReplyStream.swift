// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab

/// A connection whose replies are taken one by one, as the bytes that came.
final class ReplyStream {
  private let client: BlockingClient
  // Errors may quote what a client has sent.
  private var scanner = ReplyScanner(limits: ScanLimits(lineBytesMax: 4 << 20))
  private var bytes: [UInt8] = []
  private var start = 0
  /// What a server says of tracked keys. It stands between replies wherever it happens to.
  private(set) var invalidations: [[UInt8]] = []

  init(_ endpoint: Endpoint) throws { client = try BlockingClient(endpoint) }

  /// Writes all, in several pieces where `cuts` says so. A connection that the other side has
  /// closed takes nothing: its end is read later.
  func write(_ bytes: [UInt8], cuts: [Int] = []) throws {
    do {
      var start = 0
      for cut in cuts.sorted() where cut > start && cut < bytes.count {
        try client.write(Array(bytes[start..<cut]))
        // Now and then the piece arrives alone.
        if cut.isMultiple(of: 3) { usleep(60) }
        start = cut
      }
      try client.write(start == 0 ? bytes : Array(bytes[start...]))
    } catch LabError.closed {}
  }

  /// The next reply or message; nil at the end of the stream.
  /// - Throws: `LabError.timeout`, or RESP's `ProtocolError`.
  func next(timeoutMilliseconds: Int = 5000) throws -> [UInt8]? {
    while true {
      while let frame = try scan() {
        guard frame.starts(with: Self.invalidation) else { return frame }
        invalidations.append(frame)
      }
      let more = try client.read(timeoutMilliseconds: timeoutMilliseconds)
      guard !more.isEmpty else { return nil }
      bytes += more
    }
  }

  /// All that is left, up to the end of the stream.
  func rest(timeoutMilliseconds: Int = 5000) throws -> [[UInt8]] {
    var frames: [[UInt8]] = []
    while let frame = try next(timeoutMilliseconds: timeoutMilliseconds) { frames.append(frame) }
    return frames
  }

  private static let invalidation = Array(">2\r\n$10\r\ninvalidate\r\n".utf8)

  private func scan() throws -> [UInt8]? {
    guard start < bytes.count else { return nil }
    let frame = try bytes.withUnsafeBytes { try scanner.next(in: $0, from: start) }
    guard let frame else { return nil }
    defer {
      start += frame.byteCount
      if start == bytes.count {
        bytes.removeAll(keepingCapacity: true)
        start = 0
      }
    }
    return Array(bytes[start..<start + frame.byteCount])
  }
}
