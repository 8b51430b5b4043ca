// SPDX-License-Identifier: Apache-2.0
import RESP

/// Frame boundaries in buffers of about 64 KiB, which is what one read from a socket brings.
enum ScannerBenchmarks {
  private static let readBytes = 64 << 10

  static func all() -> [Benchmark] {
    let sizes = [("small", 0), ("300 B", 300), ("2 KB", 2 << 10), ("64 KB", 64 << 10)]
    return sizes.map { requests($0.0, bodyBytes: $0.1) }
      + sizes.map { replies($0.0, bodyBytes: $0.1) }
      + [mixedReplies()]
  }

  /// `GET`, or `SETEX` with a body.
  private static func requests(_ size: String, bodyBytes: Int) -> Benchmark {
    let frame = bodyBytes == 0 ? Sample.get : Sample.setEx(bodyBytes: bodyBytes)
    let buffer = Sample.filled(with: frame, upTo: readBytes)
    let count = buffer.count / frame.count
    return Benchmark(
      name: "requests, \(size)", batch: Work(count: count, byteCount: buffer.count)
    ) {
      var scanner = RequestScanner(limits: ScanLimits())
      try expect(count) {
        try buffer.withUnsafeBytes { bytes in
          var offset = 0
          var found = 0
          while let request = try scanner.next(in: bytes, from: offset) {
            offset += request.byteCount
            found += 1
          }
          return found
        }
      }
    }
  }

  /// `+OK`, or a bulk string.
  private static func replies(_ size: String, bodyBytes: Int) -> Benchmark {
    let frame = bodyBytes == 0 ? Sample.ok : Sample.bulk(bodyBytes: bodyBytes)
    return replies("replies, \(size)", frame)
  }

  /// What `HGETALL` of a session answers: many short elements.
  private static func mixedReplies() -> Benchmark {
    var frame: [UInt8] = []
    frame.writeArrayHeader(20)
    for field in 0..<10 {
      frame.writeBulk("field\(field)")
      frame.writeBulk("a short value")
    }
    return replies("replies, hash of 10 fields", frame)
  }

  private static func replies(_ name: String, _ frame: [UInt8]) -> Benchmark {
    let buffer = Sample.filled(with: frame, upTo: readBytes)
    let count = buffer.count / frame.count
    return Benchmark(name: name, batch: Work(count: count, byteCount: buffer.count)) {
      var scanner = ReplyScanner(limits: ScanLimits())
      try expect(count) {
        try buffer.withUnsafeBytes { bytes in
          var offset = 0
          var found = 0
          while let reply = try scanner.next(in: bytes, from: offset) {
            offset += reply.byteCount
            found += 1
          }
          return found
        }
      }
    }
  }

  private static func expect(_ count: Int, _ scan: () throws -> Int) throws {
    let found = try scan()
    guard found == count else {
      throw BenchmarkError(description: "\(found) frames found instead of \(count)")
    }
  }
}

/// Requests and replies of session traffic.
enum Sample {
  static let key = "session:7f83b1657ff1fc53b92dc18148a1d65d"
  static let get = command(["GET", key])
  static let ok = Array("+OK\r\n".utf8)

  static let sessionGet = command(["SESSION.GET", String(repeating: "7f83b1657ff1fc53", count: 4)])

  static func setEx(bodyBytes: Int) -> [UInt8] {
    command(["SETEX", key, "7200", String(repeating: "x", count: bodyBytes)])
  }

  static func bulk(bodyBytes: Int) -> [UInt8] {
    var frame: [UInt8] = []
    frame.writeBulk([UInt8](repeating: UInt8(ascii: "x"), count: bodyBytes))
    return frame
  }

  /// What Redis answers to the usual `SESSION.GET`: data, version, no user, ttl, and no new id.
  static func session(bodyBytes: Int) -> [UInt8] {
    var frame: [UInt8] = []
    frame.writeArrayHeader(5)
    frame += bulk(bodyBytes: bodyBytes)
    frame.writeInteger(1)
    frame.writeNull(.two)
    frame.writeInteger(7_200_000)
    frame.writeNull(.two)
    return frame
  }

  /// As many whole frames as fit, at least one.
  static func filled(with frame: [UInt8], upTo bytesMax: Int) -> [UInt8] {
    repeated(frame, max(1, bytesMax / frame.count))
  }

  static func repeated(_ frame: [UInt8], _ count: Int) -> [UInt8] {
    Array([[UInt8]](repeating: frame, count: count).joined())
  }

  private static func command(_ arguments: [String]) -> [UInt8] {
    var frame: [UInt8] = []
    frame.writeCommand(arguments)
    return frame
  }
}
