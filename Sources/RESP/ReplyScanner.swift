// SPDX-License-Identifier: Apache-2.0

/// One reply's extent.
@frozen
public struct Frame: Sendable {
  /// The bytes that the reply takes from its start, with the attributes before it.
  public let byteCount: Int
  /// The first byte of the reply itself, behind any attribute.
  public let type: UInt8
  /// Where the reply itself begins, behind any attribute.
  public let replyOffset: Int

  /// It was pushed, and answers no request.
  @inlinable public var isPush: Bool { type == UInt8(ascii: ">") }
  /// It is a simple or a bulk error.
  @inlinable public var isError: Bool { type == UInt8(ascii: "-") || type == UInt8(ascii: "!") }
}

/// Finds replies of RESP2 and RESP3 in a stream of bytes.
///
/// One counter of elements still due stands for all nesting, so memory is constant, and no byte is
/// scanned twice however the stream is split (the few bytes of a double, boolean, null or big number
/// are checked once more when their line is whole). After an error the scanner is of no use until
/// `reset()`.
public struct ReplyScanner: Sendable {
  private let limits: ScanLimits
  private var state = State()

  private enum Phase {
    case type, length, count, integer, line, lineFeed, body
  }

  private struct State {
    var phase = Phase.type
    /// The type of the element that is being read.
    var type: UInt8 = 0
    /// The type of the reply itself, 0 as long as there were only attributes.
    var replyType: UInt8 = 0
    var replyOffset = 0
    /// The next byte to look at, from the reply's start.
    var offset = 0
    var elementsDue = 1
    var number = DecimalLine()
    /// Of a bulk's body.
    var bodyCount = 0
    /// Where the content of a line begins, from the reply's start.
    var lineOffset = 0
  }

  /// A scanner at the beginning of a stream.
  public init(limits: ScanLimits) {
    self.limits = limits.clamped
  }

  /// How many bytes the incomplete reply needs at least, from its start; 0 if that is not known.
  public var bytesNeeded: Int {
    state.phase == .body ? state.offset + state.bodyCount + 2 : 0
  }

  /// How many bytes of the incomplete reply need never be looked at again; tests rely on it.
  var scannedByteCount: Int { state.offset }

  /// Forget a reply that was begun.
  public mutating func reset() {
    state = State()
  }

  /// Continue the reply that begins at `start` of `bytes`, or begin the next one.
  ///
  /// Nil if it needs more bytes. Call again then with the same reply's beginning, wherever that is by
  /// now, and more bytes behind it.
  /// - Throws: `ProtocolError` if the bytes cannot become a reply, or one that exceeds a limit.
  public mutating func next(
    in bytes: UnsafeRawBufferPointer, from start: Int
  ) throws(ProtocolError) -> Frame? {
    precondition(start >= 0 && start <= bytes.count, "the reply starts outside of the bytes")
    var state = self.state
    var cursor = start &+ state.offset
    while try step(bytes, start, &cursor, &state) {
      if state.elementsDue == 0 {
        let byteCount = cursor &- start
        guard byteCount <= limits.frameBytesMax else { throw .replyTooBig }
        self.state = State()
        return Frame(
          byteCount: byteCount, type: state.replyType, replyOffset: state.replyOffset)
      }
    }
    state.offset = cursor &- start
    self.state = state
    return nil
  }

  /// Read one part of an element. False if there are too few bytes.
  @inline(__always)
  private func step(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ cursor: inout Int, _ state: inout State
  ) throws(ProtocolError) -> Bool {
    switch state.phase {
    case .type:
      guard cursor < bytes.count else { return false }
      try begin(bytes[cursor], at: cursor &- start, &state)
      cursor &+= 1
    case .length:
      guard try readNumber(bytes, &cursor, &state, orThrow: .bulkLength) else { return false }
      try takeLength(at: cursor &- start, &state)
    case .count:
      guard try readNumber(bytes, &cursor, &state, orThrow: .multibulkLength) else { return false }
      try takeCount(at: cursor &- start, &state)
    case .integer:
      guard try readNumber(bytes, &cursor, &state, orThrow: .integer) else { return false }
      guard state.number.value != nil else { throw .integer }
      state.number = DecimalLine()
      finishElement(&state)
    case .line:
      let content = start &+ state.lineOffset
      let found = bytes.firstIndex(of: ASCII.carriageReturn, from: cursor)
      cursor = found ?? Swift.max(cursor, bytes.count)
      guard cursor &- content <= limits.lineBytesMax else { throw .lineTooBig }
      guard found != nil else { return false }
      cursor &+= 1
      state.phase = .lineFeed
    case .lineFeed:
      guard cursor < bytes.count else { return false }
      guard bytes[cursor] == ASCII.lineFeed else { throw .lineEnd }
      try checkLine(bytes, start &+ state.lineOffset, cursor &- 1, type: state.type)
      cursor &+= 1
      finishElement(&state)
    case .body:
      let end = cursor &+ state.bodyCount
      guard end &+ 2 <= bytes.count else { return false }
      guard bytes[end] == ASCII.carriageReturn, bytes[end &+ 1] == ASCII.lineFeed
      else { throw .bulkEnd }
      if state.type == ReplyType.verbatim, bytes[cursor &+ 3] != ASCII.colon { throw .verbatim }
      cursor = end &+ 2
      finishElement(&state)
    }
    return true
  }

  /// Take an element's first byte, at `offset` from the reply's start.
  @inline(__always)
  private func begin(
    _ type: UInt8, at offset: Int, _ state: inout State
  ) throws(ProtocolError) {
    switch type {
    case ReplyType.bulk, ReplyType.bulkError, ReplyType.verbatim:
      state.phase = .length
    case ReplyType.array, ReplyType.map, ReplyType.set, ReplyType.push, ReplyType.attribute:
      state.phase = .count
    case ReplyType.integer:
      state.phase = .integer
    case ReplyType.simple, ReplyType.error, ReplyType.null, ReplyType.double, ReplyType.boolean,
      ReplyType.bigNumber:
      state.phase = .line
      state.lineOffset = offset &+ 1
    case ReplyType.chunk, ReplyType.streamEnd:
      throw .streamed
    default:
      throw .unknownType(type)
    }
    state.type = type
    // An attribute's own elements are due before the reply, so more than one is due within it.
    if state.replyType == 0, state.elementsDue == 1, type != ReplyType.attribute {
      state.replyType = type
      state.replyOffset = offset
    }
  }

  /// The number line behind a type byte. False if it is incomplete.
  @inline(__always)
  private func readNumber(
    _ bytes: UnsafeRawBufferPointer, _ cursor: inout Int, _ state: inout State,
    orThrow error: @autoclosure () -> ProtocolError
  ) throws(ProtocolError) -> Bool {
    switch state.number.read(bytes, at: &cursor) {
    case .incomplete: return false
    case .complete: return true
    case .invalid:
      let isStreamed = bytes[cursor &- 1] == ASCII.question && state.phase != .integer
      throw isStreamed ? .streamed : error()
    }
  }

  /// A bulk's length is read; its body begins at `offset`.
  @inline(__always)
  private func takeLength(at offset: Int, _ state: inout State) throws(ProtocolError) {
    guard let length = state.number.length, length <= limits.bulkBytesMax
    else { throw .bulkLength }
    state.number = DecimalLine()
    if length < 0 {
      guard length == -1, state.type == ReplyType.bulk else { throw .bulkLength }
      return finishElement(&state)
    }
    // "txt:" at least.
    if state.type == ReplyType.verbatim, length < 4 { throw .verbatim }
    guard offset &+ length &+ 2 <= limits.frameBytesMax else { throw .replyTooBig }
    state.bodyCount = length
    state.phase = .body
  }

  /// An aggregate's count is read; its elements begin at `offset`.
  @inline(__always)
  private func takeCount(at offset: Int, _ state: inout State) throws(ProtocolError) {
    guard let count = state.number.length, count <= limits.elementsMax
    else { throw .multibulkLength }
    guard offset <= limits.frameBytesMax else { throw .replyTooBig }
    state.number = DecimalLine()
    if count < 0 {
      guard count == -1, state.type == ReplyType.array else { throw .multibulkLength }
      return finishElement(&state)
    }
    let isPaired = state.type == ReplyType.map || state.type == ReplyType.attribute
    let elements = isPaired ? 2 &* count : count
    guard elements <= limits.elementsMax else { throw .multibulkLength }
    state.elementsDue &+= elements
    // An attribute is no element: what it describes still is due.
    if state.type == ReplyType.attribute {
      state.phase = .type
    } else {
      finishElement(&state)
    }
  }

  @inline(__always)
  private func finishElement(_ state: inout State) {
    state.elementsDue &-= 1
    state.phase = .type
  }

  /// Check what stands on a line of its own.
  @inline(__always)
  private func checkLine(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, type: UInt8
  ) throws(ProtocolError) {
    if type == ReplyType.simple || type == ReplyType.error { return }
    let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    switch type {
    case ReplyType.null: if !line.isEmpty { throw .null }
    case ReplyType.boolean: if !isBoolean(line) { throw .boolean }
    case ReplyType.bigNumber: if !isBigNumber(line) { throw .bigNumber }
    case ReplyType.double: if !isDouble(line) { throw .double }
    default: break
    }
  }
}
