// SPDX-License-Identifier: Apache-2.0

/// A decimal number up to its CR LF, read as its bytes arrive: what is read is never read again.
///
/// As in Redis, a leading zero and "-0" are refused, since a number has one spelling.
struct DecimalLine {
  enum Progress {
    case incomplete
    case complete
    /// The byte before the cursor cannot be there.
    case invalid
  }

  private(set) var sign: UInt8 = 0
  private var magnitude: UInt64 = 0
  private var digits: UInt8 = 0
  private var returned = false

  /// Read on from `cursor`, which is left behind the last byte that was read.
  @inline(__always)
  mutating func read(_ bytes: UnsafeRawBufferPointer, at cursor: inout Int) -> Progress {
    while cursor < bytes.count {
      let byte = bytes[cursor]
      cursor &+= 1
      if returned { return byte == ASCII.lineFeed ? .complete : .invalid }
      let digit = byte &- ASCII.zero
      if digit < 10 {
        // 19 digits fit 64 bits, and no valid number has more.
        if magnitude == 0 ? digits != 0 : digits == 19 { return .invalid }
        magnitude = magnitude &* 10 &+ UInt64(digit)
        digits &+= 1
      } else if byte == ASCII.carriageReturn {
        if digits == 0 || (magnitude == 0 && sign == ASCII.minus) { return .invalid }
        returned = true
      } else if (byte == ASCII.minus || byte == ASCII.plus) && digits == 0 && sign == 0 {
        sign = byte
      } else {
        return .invalid
      }
    }
    return .incomplete
  }

  /// The number, if 64 bits hold it.
  var value: Int64? {
    if sign != ASCII.minus { return Int64(exactly: magnitude) }
    return magnitude <= Int64.min.magnitude ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
  }

  /// The number as a length or count, which has no plus sign.
  var length: Int? {
    sign == ASCII.plus ? nil : value.map { Int($0) }
  }
}
