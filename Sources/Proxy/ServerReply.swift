// SPDX-License-Identifier: Apache-2.0

/// What an error reply of Redis says about the command it answers.
enum ServerReply: Equatable {
  /// The reply is the client's.
  case passThrough
  /// This node takes no writes, or is none's master: not executed.
  case notMaster
  /// Not executed now, maybe later.
  case tryLater
  /// Not executed: this script is not loaded.
  case noScript

  /// Reads the first words of an error frame. Facts: Redis 7.0 `server.c`, `createSharedObjects`.
  static func read(_ frame: UnsafeRawBufferPointer) -> ServerReply {
    guard let first = frame.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "!") else {
      return .passThrough
    }
    let text = first == UInt8(ascii: "-") ? frame.dropFirst() : afterFirstLine(frame)
    func begins(_ word: StaticString) -> Bool { starts(text, with: word) }
    if begins("READONLY ") || begins("MASTERDOWN ") || begins("UNBLOCKED ") { return .notMaster }
    if begins("LOADING ") || begins("BUSY ") || begins("NOREPLICAS ") || begins("MISCONF ") {
      return .tryLater
    }
    if begins("ERR max number of clients reached") { return .tryLater }
    if begins("NOSCRIPT ") { return .noScript }
    // Before Redis 7 a script wraps the error of the command it called.
    if begins("ERR Error running script") && contains(text, "-READONLY You can't write") {
      return .notMaster
    }
    return .passThrough
  }

  private static func afterFirstLine(_ frame: UnsafeRawBufferPointer) -> Slice<
    UnsafeRawBufferPointer
  > {
    let end = frame.firstIndex(of: UInt8(ascii: "\n")) ?? frame.startIndex
    return frame[(end + 1)...]
  }

  private static func starts(_ text: Slice<UnsafeRawBufferPointer>, with word: StaticString) -> Bool
  {
    word.withUTF8Buffer { text.starts(with: $0) }
  }

  private static func contains(_ text: Slice<UnsafeRawBufferPointer>, _ part: StaticString) -> Bool
  {
    var rest = text
    while rest.count >= part.utf8CodeUnitCount {
      if starts(rest, with: part) { return true }
      rest = rest.dropFirst()
    }
    return false
  }
}
