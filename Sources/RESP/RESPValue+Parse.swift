// SPDX-License-Identifier: Apache-2.0

extension RESPValue {
  /// How many aggregates may stand within each other.
  static let depthMax = 32

  /// The reply that begins at `start` of `bytes`, without its attributes, and how many bytes it takes
  /// with them. Nil if it is incomplete.
  /// - Throws: `ProtocolError` as `ReplyScanner`, and for replies nested deeper than 32 levels.
  public static func parse(
    _ bytes: UnsafeRawBufferPointer, from start: Int, limits: ScanLimits
  ) throws(ProtocolError) -> (value: RESPValue, byteCount: Int)? {
    // The scanner knows what is valid; building then is about meaning alone.
    var scanner = ReplyScanner(limits: limits)
    guard let frame = try scanner.next(in: bytes, from: start) else { return nil }
    let reply = bytes[(start + frame.replyOffset)..<(start + frame.byteCount)]
    var builder = ValueBuilder(bytes: UnsafeRawBufferPointer(rebasing: reply))
    return (try builder.build(), frame.byteCount)
  }
}

/// Builds a value from a reply that is valid and whole.
private struct ValueBuilder {
  let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var open: [Aggregate] = []

  /// An aggregate some of whose elements are still to come.
  private struct Aggregate {
    let type: UInt8
    var elementsDue: Int
    var elements: [RESPValue] = []

    /// Nil for an attribute, which is no element of what it stands in.
    var value: RESPValue? {
      switch type {
      case ReplyType.attribute: return nil
      case ReplyType.set: return .set(elements)
      case ReplyType.push: return .push(elements)
      case ReplyType.map:
        return .map(
          stride(from: 0, to: elements.count, by: 2).map {
            RESPValue.Pair(key: elements[$0], value: elements[$0 + 1])
          })
      default: return .array(elements)
      }
    }
  }

  init(bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  mutating func build() throws(ProtocolError) -> RESPValue {
    while position < bytes.count {
      if let value = try readElement(), let reply = close(value) { return reply }
      while let last = open.last, last.elementsDue == 0 {
        open.removeLast()
        if let value = last.value, let reply = close(value) { return reply }
      }
    }
    throw .replyTooBig  // Not reached: the frame is whole.
  }

  /// Hand a value to the aggregate it stands in. Returns it if there is none: it is the reply.
  private mutating func close(_ value: RESPValue) -> RESPValue? {
    guard let last = open.indices.last else { return value }
    open[last].elements.append(value)
    open[last].elementsDue -= 1
    return nil
  }

  /// Nil for an aggregate, which is open then.
  private mutating func readElement() throws(ProtocolError) -> RESPValue? {
    let type = bytes[position]
    position += 1
    let line = readLine()
    switch type {
    case ReplyType.simple: return .simple(line)
    case ReplyType.error: return .error(line)
    case ReplyType.integer: return .integer(Int64(line) ?? 0)
    case ReplyType.null: return .null
    case ReplyType.boolean: return .boolean(line == "t")
    case ReplyType.double: return .double(Double(line) ?? .nan)
    case ReplyType.bigNumber: return .bigNumber(line)
    case ReplyType.bulk: return readBody(line).map { .bulk($0) } ?? .null
    case ReplyType.bulkError:
      return readBody(line).map { .error(String(decoding: $0, as: UTF8.self)) }
    case ReplyType.verbatim:
      return readBody(line).map {
        .verbatim(String(decoding: $0.prefix(3), as: UTF8.self), Array($0.dropFirst(4)))
      }
    default: return try openAggregate(type, count: Int(line) ?? 0)
    }
  }

  private mutating func openAggregate(
    _ type: UInt8, count: Int
  ) throws(ProtocolError) -> RESPValue? {
    if count < 0 { return .null }
    guard open.count < RESPValue.depthMax else { throw .depth }
    let isPaired = type == ReplyType.map || type == ReplyType.attribute
    open.append(Aggregate(type: type, elementsDue: isPaired ? 2 * count : count))
    return nil
  }

  private mutating func readLine() -> String {
    let end = bytes.firstIndex(of: ASCII.carriageReturn, from: position) ?? bytes.count
    let line = String(decoding: bytes[position..<end], as: UTF8.self)
    position = min(end + 2, bytes.count)
    return line
  }

  /// Nil if the length is -1.
  private mutating func readBody(_ length: String) -> [UInt8]? {
    guard let count = Int(length), count >= 0 else { return nil }
    let body = Array(bytes[position..<(position + count)])
    position += count + 2
    return body
  }
}
