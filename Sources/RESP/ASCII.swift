// SPDX-License-Identifier: Apache-2.0

/// The bytes that the protocol is made of.
enum ASCII {
  static let carriageReturn = UInt8(ascii: "\r")
  static let lineFeed = UInt8(ascii: "\n")
  static let zero = UInt8(ascii: "0")
  static let plus = UInt8(ascii: "+")
  static let minus = UInt8(ascii: "-")
  static let question = UInt8(ascii: "?")
  static let colon = UInt8(ascii: ":")

  static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }
}

/// The first element type byte of every kind of reply.
enum ReplyType {
  static let simple = UInt8(ascii: "+")
  static let error = UInt8(ascii: "-")
  static let integer = UInt8(ascii: ":")
  static let bulk = UInt8(ascii: "$")
  static let array = UInt8(ascii: "*")
  static let null = UInt8(ascii: "_")
  static let double = UInt8(ascii: ",")
  static let boolean = UInt8(ascii: "#")
  static let bulkError = UInt8(ascii: "!")
  static let verbatim = UInt8(ascii: "=")
  static let bigNumber = UInt8(ascii: "(")
  static let map = UInt8(ascii: "%")
  static let set = UInt8(ascii: "~")
  static let push = UInt8(ascii: ">")
  static let attribute = UInt8(ascii: "|")
  static let chunk = UInt8(ascii: ";")
  static let streamEnd = UInt8(ascii: ".")
}

extension UnsafeRawBufferPointer {
  /// Whether these bytes are `word`, given in upper case, in any case.
  @inlinable
  public func isKeyword(_ word: UnsafeRawBufferPointer) -> Bool {
    guard count == word.count else { return false }
    for index in 0..<count {
      let byte = self[index]
      let isLower = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
      if (isLower ? byte & 0xDF : byte) != word[index] { return false }
    }
    return true
  }

  /// The first place of `byte` at or behind `position`, eight bytes at a time; nil if there is none.
  @inline(__always)
  func firstIndex(of byte: UInt8, from position: Int) -> Int? {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let pattern = ones &* UInt64(byte)
    var position = position
    while position &+ 8 <= count {
      let word = UInt64(littleEndian: loadUnaligned(fromByteOffset: position, as: UInt64.self))
      // A byte of `difference` is zero where the word holds the wanted byte; the lowest set bit of
      // `hits` marks the first one.
      let difference = word ^ pattern
      let hits = (difference &- ones) & ~difference & (ones &* 0x80)
      if hits != 0 { return position &+ hits.trailingZeroBitCount / 8 }
      position &+= 8
    }
    while position < count {
      if self[position] == byte { return position }
      position &+= 1
    }
    return nil
  }
}
