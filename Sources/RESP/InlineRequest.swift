// SPDX-License-Identifier: Apache-2.0

/// The words of an inline request by Redis' quoting rules (`sdssplitargs`); nil if quotes are
/// unbalanced.
///
/// Within double quotes `\n \r \t \b \a \xHH` and `\` before any other byte are escapes, within
/// single quotes only `\'`. A closing quote is followed by a blank or the end.
func splitInline(_ line: UnsafeRawBufferPointer) -> [[UInt8]]? {
  var words: [[UInt8]] = []
  var position = 0
  while true {
    while position < line.count, isBlank(line[position]) { position += 1 }
    if position == line.count { return words }
    guard let word = nextWord(line, at: &position) else { return nil }
    words.append(word)
  }
}

private func nextWord(_ line: UnsafeRawBufferPointer, at position: inout Int) -> [UInt8]? {
  var word: [UInt8] = []
  while position < line.count {
    let byte = line[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      guard readQuoted(line, by: byte, at: &position, into: &word) else { return nil }
      return word
    case UInt8(ascii: " "), UInt8(ascii: "\t"), ASCII.carriageReturn, ASCII.lineFeed:
      return word
    default:
      word.append(byte)
    }
  }
  return word
}

/// Read up to the closing quote. False if there is none, or something adjoins it.
private func readQuoted(
  _ line: UnsafeRawBufferPointer, by quote: UInt8, at position: inout Int, into word: inout [UInt8]
) -> Bool {
  while position < line.count {
    let byte = line[position]
    position += 1
    if byte == quote {
      return position == line.count || isBlank(line[position])
    }
    if byte == UInt8(ascii: "\\"), position < line.count {
      if quote == UInt8(ascii: "\"") {
        word.append(readEscape(line, at: &position))
        continue
      }
      if line[position] == quote {
        word.append(quote)
        position += 1
        continue
      }
    }
    word.append(byte)
  }
  return false
}

/// The byte that stands behind a backslash in double quotes.
private func readEscape(_ line: UnsafeRawBufferPointer, at position: inout Int) -> UInt8 {
  let byte = line[position]
  position += 1
  switch byte {
  case UInt8(ascii: "n"): return 0x0A
  case UInt8(ascii: "r"): return 0x0D
  case UInt8(ascii: "t"): return 0x09
  case UInt8(ascii: "b"): return 0x08
  case UInt8(ascii: "a"): return 0x07
  case UInt8(ascii: "x"):
    guard position + 1 < line.count, let high = hexValue(line[position]),
      let low = hexValue(line[position + 1])
    else { return byte }
    position += 2
    return high << 4 | low
  default: return byte
  }
}

private func hexValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): return byte - UInt8(ascii: "A") + 10
  default: return nil
  }
}

/// As C's `isspace`.
private func isBlank(_ byte: UInt8) -> Bool {
  byte == UInt8(ascii: " ") || (0x09...0x0D).contains(byte)
}
