// SPDX-License-Identifier: Apache-2.0
import RESP

extension RequestArguments {
  /// Whether an argument is `word`, a keyword in upper case, in any case; false where there is none.
  public func matches(_ index: Int, _ word: StaticString) -> Bool {
    guard let bytes = argument(index) else { return false }
    return bytes.isKeyword(word)
  }

  /// Whether two arguments are the same bytes; false where one is missing.
  public func areEqual(_ first: Int, _ second: Int) -> Bool {
    guard let first = argument(first), let second = argument(second) else { return false }
    return first.hasSameBytes(as: second)
  }

  /// An argument as a decimal integer, read as strictly as Redis does: no plus sign, no spaces, no
  /// leading zeros. Nil where there is none or it is out of range.
  public func integer(_ index: Int) -> Int64? {
    argument(index)?.decimalInteger
  }

  /// Calls `body` with every key at these positions, in order. Positions outside of the request are
  /// left out, so that a malformed request has fewer keys, not a trap.
  public func forEachKey(_ positions: KeyPositions, _ body: (UnsafeRawBufferPointer) -> Void) {
    if positions.first > 0, positions.step > 0 {
      let last = positions.last < 0 ? count + Int(positions.last) : Int(positions.last)
      for index in stride(
        from: Int(positions.first), through: min(last, count - 1), by: Int(positions.step))
      {
        body(self[index])
      }
    }
    if positions.countAt > 0, let keys = integer(Int(positions.countAt)), keys > 0 {
      let start = Int(positions.countAt) + 1
      // `keys` may be anything up to Int64.max: compare before adding.
      let end = keys < Int64(count - start) ? start + Int(keys) : count
      for index in start..<end { body(self[index]) }
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether these bytes are `word`, given in upper case, in any case.
  func isKeyword(_ word: StaticString) -> Bool {
    word.withUTF8Buffer { isKeyword(UnsafeRawBufferPointer($0)) }
  }

  /// Whether these bytes are exactly those of `text`.
  func isExactly(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { hasSameBytes(as: UnsafeRawBufferPointer($0)) }
  }

  /// Whether both are the same bytes.
  func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
    count == other.count && elementsEqual(other)
  }

  /// These bytes as a decimal integer, nil where they are not exactly one.
  var decimalInteger: Int64? {
    guard let first, count <= 20 else { return nil }
    let isNegative = first == UInt8(ascii: "-")
    let digits = UnsafeRawBufferPointer(rebasing: self[(isNegative ? 1 : 0)...])
    guard let leading = digits.first else { return nil }
    // "0" is the one number that starts with a zero; "-0" is none.
    if leading == UInt8(ascii: "0") { return count == 1 ? 0 : nil }
    var value: Int64 = 0
    for byte in digits {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      let digit = Int64(byte - UInt8(ascii: "0"))
      let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
      // Counted downwards for negatives, so that the least integer fits.
      let (sum, isTooFar) =
        isNegative
        ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
      if isTooLarge || isTooFar { return nil }
      value = sum
    }
    return value
  }
}
