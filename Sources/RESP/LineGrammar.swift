// SPDX-License-Identifier: Apache-2.0

// What RESP3 allows on the lines of its scalar types.

/// `t` or `f`.
func isBoolean(_ line: UnsafeRawBufferPointer) -> Bool {
  line.count == 1 && (line[0] == UInt8(ascii: "t") || line[0] == UInt8(ascii: "f"))
}

/// Digits with an optional sign.
func isBigNumber(_ line: UnsafeRawBufferPointer) -> Bool {
  var position = 0
  skipSign(line, &position)
  return skipDigits(line, &position) > 0 && position == line.count
}

/// `[sign] digits [. digits] [e [sign] digits]`, `inf` with an optional sign, or `nan`. Redis before
/// 7.2 can also write `-nan`.
func isDouble(_ line: UnsafeRawBufferPointer) -> Bool {
  var position = 0
  skipSign(line, &position)
  let unsigned = line[position...]
  if unsigned.elementsEqual("inf".utf8) || unsigned.elementsEqual("nan".utf8) { return true }
  var digits = skipDigits(line, &position)
  if position < line.count, line[position] == UInt8(ascii: ".") {
    position += 1
    digits += skipDigits(line, &position)
  }
  guard digits > 0 else { return false }
  if position < line.count, line[position] | 0x20 == UInt8(ascii: "e") {
    position += 1
    skipSign(line, &position)
    guard skipDigits(line, &position) > 0 else { return false }
  }
  return position == line.count
}

private func skipSign(_ line: UnsafeRawBufferPointer, _ position: inout Int) {
  if position < line.count, line[position] == ASCII.plus || line[position] == ASCII.minus {
    position += 1
  }
}

/// The number of digits that were skipped.
private func skipDigits(_ line: UnsafeRawBufferPointer, _ position: inout Int) -> Int {
  let start = position
  while position < line.count, ASCII.isDigit(line[position]) { position += 1 }
  return position - start
}
