// SPDX-License-Identifier: Apache-2.0

/// Bytes that are not RESP, or exceed a limit. The connection they came from cannot be used further.
public struct ProtocolError: Error, Equatable, Sendable {
  /// What was wrong, in Redis' own words where it has them. Holds at most one byte of the peer's data.
  public let message: String

  /// An error whose message is "Protocol error: " and `reason`.
  @inline(never)
  init(_ reason: String) {
    message = "Protocol error: " + reason
  }

  static func expected(_ expected: String, got byte: UInt8) -> ProtocolError {
    ProtocolError("expected '\(expected)', got '\(printable(byte))'")
  }

  static func unknownType(_ byte: UInt8) -> ProtocolError {
    ProtocolError("unknown reply type '\(printable(byte))'")
  }

  static var multibulkLength: ProtocolError { ProtocolError("invalid multibulk length") }
  static var bulkLength: ProtocolError { ProtocolError("invalid bulk length") }
  static var bulkEnd: ProtocolError { ProtocolError("expected CRLF after bulk") }
  static var inlineTooBig: ProtocolError { ProtocolError("too big inline request") }
  static var inlineQuotes: ProtocolError { ProtocolError("unbalanced quotes in request") }
  static var requestTooBig: ProtocolError { ProtocolError("too big request") }
  static var replyTooBig: ProtocolError { ProtocolError("too big reply") }
  static var lineTooBig: ProtocolError { ProtocolError("too big line") }
  static var lineEnd: ProtocolError { ProtocolError("expected LF after CR") }
  static var streamed: ProtocolError { ProtocolError("streamed replies are not supported") }
  static var integer: ProtocolError { ProtocolError("invalid integer") }
  static var bigNumber: ProtocolError { ProtocolError("invalid big number") }
  static var double: ProtocolError { ProtocolError("invalid double") }
  static var boolean: ProtocolError { ProtocolError("invalid boolean") }
  static var null: ProtocolError { ProtocolError("invalid null") }
  static var verbatim: ProtocolError { ProtocolError("invalid verbatim string") }
  static var depth: ProtocolError { ProtocolError("too deeply nested reply") }

  /// The byte as a log may show it.
  private static func printable(_ byte: UInt8) -> String {
    switch byte {
    case ASCII.carriageReturn: return "\\r"
    case ASCII.lineFeed: return "\\n"
    case 0x09: return "\\t"
    case 0x20..<0x7F: return String(UnicodeScalar(byte))
    case 0..<0x10: return "\\x0" + String(byte, radix: 16)
    default: return "\\x" + String(byte, radix: 16)
    }
  }
}
