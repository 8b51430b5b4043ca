// SPDX-License-Identifier: Apache-2.0

/// One request's extent.
@frozen
public struct Request: Sendable {
  /// The bytes that the request takes from its start.
  public let byteCount: Int
  /// It is an inline command; `RequestScanner.rewritten` has the equal array.
  public let isInline: Bool
  /// A blank line, or an array without elements: to be consumed, and answered with nothing.
  public let isEmpty: Bool
}

/// Where an argument's bytes are.
@frozen
public struct ArgumentRange: Equatable, Sendable {
  @usableFromInline let storedStart: UInt32
  @usableFromInline let storedCount: UInt32

  @inlinable
  init(start: Int, count: Int) {
    storedStart = UInt32(truncatingIfNeeded: start)
    storedCount = UInt32(truncatingIfNeeded: count)
  }

  /// The offset of the first byte.
  @inlinable public var start: Int { Int(storedStart) }
  /// The number of bytes.
  @inlinable public var count: Int { Int(storedCount) }
  /// The offset behind the last byte.
  @inlinable public var end: Int { start &+ count }
}

/// Finds requests in a stream of bytes: arrays of bulk strings, and inline commands.
///
/// Memory is constant but for the argument ranges, and no byte is scanned twice however the stream is
/// split (an inline command is split into arguments once its line is whole). After an error the
/// scanner is of no use until `reset()`.
public struct RequestScanner: Sendable {
  /// The arguments of the last request, as offsets from its start, or into `rewritten` if it was
  /// inline. Valid until the next call of `next`; the storage is used again.
  public private(set) var arguments: [ArgumentRange] = []
  /// The last request as an array of bulk strings, if it was inline. Valid as long as `arguments`.
  public private(set) var rewritten: [UInt8] = []

  private let limits: ScanLimits
  private var state = State()

  private enum Phase {
    case start, count, marker, length, body, inline
  }

  private struct State {
    var phase = Phase.start
    /// The next byte to look at, from the request's start.
    var offset = 0
    var number = DecimalLine()
    var argumentsDue = 0
    var bodyCount = 0
  }

  /// More of it is given back before the next request, so that one huge request does not cost its
  /// client that memory forever.
  private static let storageKept = 1024

  /// A scanner at the beginning of a stream.
  public init(limits: ScanLimits) {
    self.limits = limits.clamped
  }

  /// How many bytes the incomplete request needs at least, from its start; 0 if that is not known.
  ///
  /// A peer announces this number: it may never send as much.
  public var bytesNeeded: Int {
    state.phase == .body ? state.offset + state.bodyCount + 2 : 0
  }

  /// How many bytes of the incomplete request need never be looked at again; tests rely on it.
  var scannedByteCount: Int { state.offset }

  /// Forget a request that was begun.
  public mutating func reset() {
    state = State()
    arguments = []
    rewritten = []
  }

  /// Continue the request that begins at `start` of `bytes`, or begin the next one.
  ///
  /// Nil if it needs more bytes. Call again then with the same request's beginning, wherever that is
  /// by now, and more bytes behind it.
  /// - Throws: `ProtocolError` if the bytes cannot become a request, or one that exceeds a limit.
  public mutating func next(
    in bytes: UnsafeRawBufferPointer, from start: Int
  ) throws(ProtocolError) -> Request? {
    precondition(start >= 0 && start <= bytes.count, "the request starts outside of the bytes")
    if state.phase == .start { clearStorage() }
    var state = self.state
    var cursor = start &+ state.offset
    scanning: while true {
      switch state.phase {
      case .start:
        guard cursor < bytes.count else { break scanning }
        if bytes[cursor] == ReplyType.array {
          cursor &+= 1
          state.phase = .count
        } else {
          state.phase = .inline
        }
      case .count:
        guard try readCount(bytes, start, &cursor, &state) else { break scanning }
        if state.argumentsDue <= 0 {
          self.state = State()
          return Request(byteCount: cursor &- start, isInline: false, isEmpty: true)
        }
      case .marker:
        guard cursor < bytes.count else { break scanning }
        guard bytes[cursor] == ReplyType.bulk else {
          throw .expected("$", got: bytes[cursor])
        }
        cursor &+= 1
        state.phase = .length
      case .length:
        guard try readLength(bytes, start, &cursor, &state) else { break scanning }
      case .body:
        let bodyEnd = cursor &+ state.bodyCount
        guard bodyEnd &+ 2 <= bytes.count else { break scanning }
        guard bytes[bodyEnd] == ASCII.carriageReturn, bytes[bodyEnd &+ 1] == ASCII.lineFeed
        else { throw .bulkEnd }
        arguments.append(ArgumentRange(start: cursor &- start, count: state.bodyCount))
        cursor = bodyEnd &+ 2
        state.argumentsDue &-= 1
        if state.argumentsDue == 0 {
          self.state = State()
          return Request(byteCount: cursor &- start, isInline: false, isEmpty: false)
        }
        state.phase = .marker
      case .inline:
        guard let line = try readLine(bytes, start, &cursor) else { break scanning }
        let isEmpty = try rewrite(line)
        self.state = State()
        return Request(byteCount: cursor &- start, isInline: true, isEmpty: isEmpty)
      }
    }
    state.offset = cursor &- start
    self.state = state
    return nil
  }

  /// The line behind `*`. False if it is incomplete.
  @inline(__always)
  private func readCount(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ cursor: inout Int, _ state: inout State
  ) throws(ProtocolError) -> Bool {
    switch state.number.read(bytes, at: &cursor) {
    case .incomplete: return false
    case .invalid: throw .multibulkLength
    case .complete: break
    }
    guard let count = state.number.length, count <= limits.elementsMax
    else { throw .multibulkLength }
    guard cursor &- start <= limits.frameBytesMax else { throw .requestTooBig }
    state.number = DecimalLine()
    state.argumentsDue = count
    state.phase = .marker
    return true
  }

  /// The line behind `$`. False if it is incomplete.
  @inline(__always)
  private func readLength(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ cursor: inout Int, _ state: inout State
  ) throws(ProtocolError) -> Bool {
    switch state.number.read(bytes, at: &cursor) {
    case .incomplete: return false
    case .invalid: throw .bulkLength
    case .complete: break
    }
    guard let length = state.number.length, length >= 0, length <= limits.bulkBytesMax
    else { throw .bulkLength }
    guard cursor &- start &+ length &+ 2 <= limits.frameBytesMax else { throw .requestTooBig }
    state.number = DecimalLine()
    state.bodyCount = length
    state.phase = .body
    return true
  }

  /// The bytes of an inline request without its LF. Nil if it is incomplete.
  private func readLine(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ cursor: inout Int
  ) throws(ProtocolError) -> UnsafeRawBufferPointer? {
    let found = bytes.firstIndex(of: ASCII.lineFeed, from: cursor)
    let end = found ?? bytes.count
    guard end &- start <= limits.lineBytesMax else { throw .inlineTooBig }
    cursor = end
    guard found != nil else { return nil }
    cursor &+= 1
    guard cursor &- start <= limits.frameBytesMax else { throw .requestTooBig }
    return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
  }

  /// Write an inline request as an array. True if it is blank.
  private mutating func rewrite(_ line: UnsafeRawBufferPointer) throws(ProtocolError) -> Bool {
    guard let words = splitInline(line) else { throw .inlineQuotes }
    guard words.count <= limits.elementsMax else { throw .inlineTooBig }
    if words.isEmpty { return true }
    rewritten.writeArrayHeader(words.count)
    for word in words {
      rewritten.writeBulk(word)
      arguments.append(
        ArgumentRange(start: rewritten.count - word.count - 2, count: word.count))
    }
    return false
  }

  @inline(__always)
  private mutating func clearStorage() {
    if arguments.count > Self.storageKept {
      arguments = []
    } else {
      arguments.removeAll(keepingCapacity: true)
    }
    if !rewritten.isEmpty { rewritten = [] }
  }
}
