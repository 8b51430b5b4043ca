// SPDX-License-Identifier: Apache-2.0

/// A reply as a value, for the control plane and tests. The data path passes replies on as bytes.
public enum RESPValue: Equatable, Sendable {
  /// A key of a map and what it stands for.
  public struct Pair: Equatable, Sendable {
    /// The key.
    public var key: RESPValue
    /// The value.
    public var value: RESPValue

    /// A pair of these.
    public init(key: RESPValue, value: RESPValue) {
      self.key = key
      self.value = value
    }
  }

  /// A simple string.
  case simple(String)
  /// A simple or bulk error; its text begins with its code.
  case error(String)
  /// An integer.
  case integer(Int64)
  /// A bulk string, of any bytes.
  case bulk([UInt8])
  /// RESP3's null, or RESP2's null bulk string or null array.
  case null
  /// An array.
  case array([RESPValue])
  /// A map, in the order of the reply.
  case map([Pair])
  /// A set, in the order of the reply.
  case set([RESPValue])
  /// A double.
  case double(Double)
  /// A boolean.
  case boolean(Bool)
  /// An integer of any size, in decimal digits.
  case bigNumber(String)
  /// A text and its format in three letters, `txt` or `mkd`.
  case verbatim(String, [UInt8])
  /// What was pushed.
  case push([RESPValue])
}

extension RESPValue {
  /// A bulk string of this text.
  public static func text(_ text: String) -> RESPValue { .bulk(Array(text.utf8)) }

  /// An integer that counts something.
  public static func count(_ value: Int) -> RESPValue { .integer(Int64(value)) }

  /// A map with these names, in this order.
  public static func fields(_ fields: [(String, RESPValue)]) -> RESPValue {
    .map(fields.map { Pair(key: .text($0.0), value: $0.1) })
  }

  /// The text of a simple, bulk or verbatim string; what is not UTF-8 in it is repaired.
  public var text: String? {
    switch self {
    case .simple(let text): return text
    case .bulk(let bytes), .verbatim(_, let bytes): return String(decoding: bytes, as: UTF8.self)
    case .error, .integer, .null, .array, .map, .set, .double, .boolean, .bigNumber, .push:
      return nil
    }
  }

  /// The elements of an array, set or push, or a map's keys and values by turns.
  public var elements: [RESPValue]? {
    switch self {
    case .array(let elements), .set(let elements), .push(let elements): return elements
    case .map(let pairs): return pairs.flatMap { [$0.key, $0.value] }
    case .simple, .error, .integer, .bulk, .null, .double, .boolean, .bigNumber, .verbatim:
      return nil
    }
  }

  /// An integer, or a bulk string that spells one.
  public var integerValue: Int64? {
    switch self {
    case .integer(let value): return value
    case .bulk(let bytes): return Int64(String(decoding: bytes, as: UTF8.self))
    case .simple, .error, .null, .array, .map, .set, .double, .boolean, .bigNumber, .verbatim,
      .push:
      return nil
    }
  }

  /// A map by the text of its keys; also from an array of keys and values by turns, as RESP2 writes
  /// a map, or of arrays of two. Of equal keys the last counts; nil if a key is no text.
  public var dictionary: [String: RESPValue]? {
    switch self {
    case .map(let pairs):
      return Self.dictionary(of: pairs)
    case .array(let elements):
      return Self.dictionary(of: Self.pairs(byTurns: elements))
        ?? Self.dictionary(of: Self.pairs(ofArrays: elements))
    case .simple, .error, .integer, .bulk, .null, .set, .double, .boolean, .bigNumber, .verbatim,
      .push:
      return nil
    }
  }

  private static func pairs(byTurns elements: [RESPValue]) -> [Pair]? {
    guard elements.count.isMultiple(of: 2) else { return nil }
    return stride(from: 0, to: elements.count, by: 2).map {
      Pair(key: elements[$0], value: elements[$0 + 1])
    }
  }

  private static func pairs(ofArrays elements: [RESPValue]) -> [Pair]? {
    var pairs: [Pair] = []
    for case .array(let pair) in elements where pair.count == 2 {
      pairs.append(Pair(key: pair[0], value: pair[1]))
    }
    return pairs.count == elements.count ? pairs : nil
  }

  private static func dictionary(of pairs: [Pair]?) -> [String: RESPValue]? {
    guard let pairs else { return nil }
    var dictionary: [String: RESPValue] = [:]
    for pair in pairs {
      guard let key = pair.key.text else { return nil }
      dictionary[key] = pair.value
    }
    return dictionary
  }
}
