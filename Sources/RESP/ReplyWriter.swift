// SPDX-License-Identifier: Apache-2.0

/// Replies and requests, appended to a buffer. Where RESP2 has no such type, its customary substitute
/// is written.
extension Array where Element == UInt8 {
  /// A simple string, without CR or LF.
  @inlinable
  public mutating func writeSimple(_ text: StaticString) {
    append(UInt8(ascii: "+"))
    text.withUTF8Buffer { append(contentsOf: $0) }
    writeLineEnd()
  }

  /// A simple string; CR and LF become spaces.
  @_disfavoredOverload
  public mutating func writeSimple(_ text: String) {
    writeLine(UInt8(ascii: "+"), text)
  }

  /// An error, whose text begins with its code; CR and LF become spaces.
  public mutating func writeError(_ text: String) {
    writeLine(UInt8(ascii: "-"), text)
  }

  /// An integer.
  public mutating func writeInteger(_ value: Int64) {
    writeNumberLine(UInt8(ascii: ":"), value)
  }

  /// A bulk string of a text in UTF-8.
  public mutating func writeBulk(_ text: String) {
    var text = text
    text.withUTF8 { writeBulk(UnsafeRawBufferPointer($0)) }
  }

  /// A bulk string of these bytes.
  public mutating func writeBulk(_ bytes: UnsafeRawBufferPointer) {
    writeNumberLine(UInt8(ascii: "$"), Int64(bytes.count))
    append(contentsOf: bytes)
    writeLineEnd()
  }

  /// A bulk string of these bytes.
  public mutating func writeBulk(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { writeBulk($0) }
  }

  /// No value: `_`, or RESP2's `$-1`.
  public mutating func writeNull(_ version: RESPVersion) {
    switch version {
    case .two: append(contentsOf: "$-1\r\n".utf8)
    case .three: append(contentsOf: "_\r\n".utf8)
    }
  }

  /// No array: `_`, or RESP2's `*-1`.
  public mutating func writeNullArray(_ version: RESPVersion) {
    switch version {
    case .two: append(contentsOf: "*-1\r\n".utf8)
    case .three: append(contentsOf: "_\r\n".utf8)
    }
  }

  /// The head of an array; `count` elements follow.
  public mutating func writeArrayHeader(_ count: Int) {
    writeNumberLine(UInt8(ascii: "*"), Int64(count))
  }

  /// The head of a map; as many pairs follow. In RESP2 an array of twice as many elements.
  public mutating func writeMapHeader(_ pairs: Int, _ version: RESPVersion) {
    switch version {
    case .two: writeArrayHeader(2 * pairs)
    case .three: writeNumberLine(UInt8(ascii: "%"), Int64(pairs))
    }
  }

  /// The head of a set; `count` elements follow. In RESP2 an array.
  public mutating func writeSetHeader(_ count: Int, _ version: RESPVersion) {
    switch version {
    case .two: writeArrayHeader(count)
    case .three: writeNumberLine(UInt8(ascii: "~"), Int64(count))
    }
  }

  /// The head of a push; `count` elements follow. In RESP2 an array.
  public mutating func writePushHeader(_ count: Int, _ version: RESPVersion) {
    switch version {
    case .two: writeArrayHeader(count)
    case .three: writeNumberLine(UInt8(ascii: ">"), Int64(count))
    }
  }

  /// A double in the fewest digits that give it back. In RESP2 a bulk string of them.
  public mutating func writeDouble(_ value: Double, _ version: RESPVersion) {
    var text = value.isNaN ? "nan" : value.description
    if text.hasSuffix(".0") { text.removeLast(2) }
    switch version {
    case .two: writeBulk(text)
    case .three: writeLine(UInt8(ascii: ","), text)
    }
  }

  /// A boolean. In RESP2 the integer 1 or 0.
  public mutating func writeBoolean(_ value: Bool, _ version: RESPVersion) {
    switch version {
    case .two: writeInteger(value ? 1 : 0)
    case .three: append(contentsOf: value ? "#t\r\n".utf8 : "#f\r\n".utf8)
    }
  }

  /// A text for people to read. In RESP2 a bulk string.
  public mutating func writeVerbatim(_ text: String, _ version: RESPVersion) {
    switch version {
    case .two: writeBulk(text)
    case .three:
      writeNumberLine(UInt8(ascii: "="), Int64(text.utf8.count + 4))
      append(contentsOf: "txt:".utf8)
      append(contentsOf: text.utf8)
      writeLineEnd()
    }
  }

  /// A request of these arguments.
  public mutating func writeCommand(_ arguments: [String]) {
    writeArrayHeader(arguments.count)
    for argument in arguments { writeBulk(argument) }
  }

  /// A request of these arguments.
  public mutating func writeCommand(_ arguments: [[UInt8]]) {
    writeArrayHeader(arguments.count)
    for argument in arguments { writeBulk(argument) }
  }

  @inlinable
  mutating func writeLineEnd() {
    append(0x0D)
    append(0x0A)
  }

  private mutating func writeLine(_ type: UInt8, _ text: String) {
    append(type)
    for byte in text.utf8 {
      append(byte == ASCII.carriageReturn || byte == ASCII.lineFeed ? 0x20 : byte)
    }
    writeLineEnd()
  }

  private mutating func writeNumberLine(_ type: UInt8, _ value: Int64) {
    withUnsafeTemporaryAllocation(byteCount: numberLineBytesMax, alignment: 8) { line in
      let start = putNumberLine(type, value, in: line, endingAt: line.count)
      append(contentsOf: UnsafeRawBufferPointer(rebasing: line[start...]))
    }
  }
}

/// A type, a sign, 19 digits, and the line's end.
let numberLineBytesMax = 24

/// Writes a line with a number from its end on; returns where it begins.
func putNumberLine(
  _ type: UInt8, _ value: Int64, in buffer: UnsafeMutableRawBufferPointer, endingAt end: Int
) -> Int {
  var start = end - 2
  buffer[start] = ASCII.carriageReturn
  buffer[start + 1] = ASCII.lineFeed
  var rest = value.magnitude
  repeat {
    start -= 1
    buffer[start] = ASCII.zero + UInt8(truncatingIfNeeded: rest % 10)
    rest /= 10
  } while rest != 0
  if value < 0 {
    start -= 1
    buffer[start] = ASCII.minus
  }
  start -= 1
  buffer[start] = type
  return start
}
