// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionReply {
  /// Appends the reply as a connection of this version reads it.
  public func write(into bytes: inout [UInt8], _ version: RESPVersion) {
    switch self {
    case .value(let value): bytes.write(value, version)
    case .fields(let fields): Self.write(fields, &bytes, version)
    case .error(let text): bytes.writeError(text)
    case .rows(let cursor, let rows):
      switch version {
      case .two: bytes.writeArrayHeader(2)
      case .three:
        bytes.writeMapHeader(2, version)
        bytes.writeBulk("cursor")
      }
      bytes.writeBulk(cursor)
      if version == .three { bytes.writeBulk("rows") }
      bytes.writeArrayHeader(rows.count)
      for row in rows { Self.write(row, &bytes, version) }
    }
  }

  private static func write(_ fields: [Field], _ bytes: inout [UInt8], _ version: RESPVersion) {
    switch version {
    case .two: bytes.writeArrayHeader(fields.count)
    case .three: bytes.writeMapHeader(fields.count, version)
    }
    for field in fields {
      if version == .three { bytes.writeBulk(field.name) }
      bytes.write(field.value, version)
    }
  }
}
