// SPDX-License-Identifier: Apache-2.0

extension [UInt8] {
  /// Writes any value; what RESP2 does not have is written as RESP2 writes its like.
  public mutating func write(_ value: RESPValue, _ version: RESPVersion) {
    switch value {
    case .simple(let text): writeSimple(text)
    case .error(let text): writeError(text)
    case .integer(let number): writeInteger(number)
    case .bulk(let bytes): writeBulk(bytes)
    case .null: writeNull(version)
    case .double(let number): writeDouble(number, version)
    case .boolean(let isTrue): writeBoolean(isTrue, version)
    case .bigNumber(let digits): writeBulk(digits)
    case .verbatim(let format, let bytes):
      guard version == .three else { return writeBulk(bytes) }
      append(contentsOf: "=\(bytes.count + 4)\r\n\(format):".utf8)
      append(contentsOf: bytes)
      append(contentsOf: "\r\n".utf8)
    case .array(let elements):
      writeArrayHeader(elements.count)
      for element in elements { write(element, version) }
    case .set(let elements):
      writeSetHeader(elements.count, version)
      for element in elements { write(element, version) }
    case .push(let elements):
      writePushHeader(elements.count, version)
      for element in elements { write(element, version) }
    case .map(let pairs):
      writeMapHeader(pairs.count, version)
      for pair in pairs {
        write(pair.key, version)
        write(pair.value, version)
      }
    }
  }
}
