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
    switch type {
    case ReplyType.simple: return .simple(readLine())
    case ReplyType.error: return .error(readLine())
    case ReplyType.integer: return .integer(readNumber())
    case ReplyType.boolean: return .boolean(readLine() == "t")
    case ReplyType.double: return .double(Double(readLine()) ?? .nan)
    case ReplyType.bigNumber: return .bigNumber(readLine())
    case ReplyType.bulk: return readBody().map { .bulk($0) } ?? .null
    case ReplyType.bulkError:
      return readBody().map { .error(String(decoding: $0, as: UTF8.self)) }
    case ReplyType.verbatim:
      return readBody().map {
        .verbatim(String(decoding: $0.prefix(3), as: UTF8.self), Array($0.dropFirst(4)))
      }
    case ReplyType.null:
      _ = readLine()
      return .null
    default: return try openAggregate(type, count: Int(readNumber()))
    }
  }

  private mutating func openAggregate(
    _ type: UInt8, count: Int
  ) throws(ProtocolError) -> RESPValue? {
    if count < 0 { return .null }
    guard open.count < RESPValue.depthMax else { throw .depth }
    let isPaired = type == ReplyType.map || type == ReplyType.attribute
    var aggregate = Aggregate(type: type, elementsDue: isPaired ? 2 * count : count)
    aggregate.elements.reserveCapacity(min(aggregate.elementsDue, 16))
    open.append(aggregate)
    return nil
  }

  private mutating func readLine() -> String {
    let end = bytes.firstIndex(of: ASCII.carriageReturn, from: position) ?? bytes.count
    let line = String(decoding: bytes[position..<end], as: UTF8.self)
    position = min(end + 2, bytes.count)
    return line
  }

  /// The scanner has seen that it is one: a sign, then digits.
  private mutating func readNumber() -> Int64 {
    let isNegative = bytes[position] == ASCII.minus
    if isNegative || bytes[position] == UInt8(ascii: "+") { position += 1 }
    // Counted downwards, so that the least of all numbers fits.
    var number: Int64 = 0
    while bytes[position] != ASCII.carriageReturn {
      number = number &* 10 &- Int64(bytes[position] &- ASCII.zero)
      position += 1
    }
    position = min(position + 2, bytes.count)
    return isNegative ? number : 0 &- number
  }

  /// Nil if the length is -1.
  private mutating func readBody() -> [UInt8]? {
    let count = Int(readNumber())
    guard count >= 0 else { return nil }
    let body = Array(bytes[position..<(position + count)])
    position += count + 2
    return body
  }
}
