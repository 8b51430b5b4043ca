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

  /// Reads the first words of an error frame. A script may return any first word, so Redis' own words behind it
  /// are asked for too. Facts: Redis 7.0 `server.c`, `createSharedObjects`; Valkey puts its own name.
  static func read(_ frame: UnsafeRawBufferPointer) -> ServerReply {
    guard let first = frame.first, first == UInt8(ascii: "-") || first == UInt8(ascii: "!") else {
      return .passThrough
    }
    let text = first == UInt8(ascii: "-") ? frame.dropFirst() : afterFirstLine(frame)
    func begins(_ word: StaticString) -> Bool { starts(text, with: word) }
    if begins("READONLY You can't write") || begins("MASTERDOWN Link") || begins("UNBLOCKED force")
    {
      return .notMaster
    }
    // A script that got this far may have written before: " script: <digest>, on @user_script".
    if isRefusal(text) { return contains(text, " script: ") ? .passThrough : .tryLater }
    if begins("NOSCRIPT No matching script") { return .noScript }
    // Before Redis 7 a script wraps the error of the command it called.
    if begins("ERR Error running script") && contains(text, "-READONLY You can't write") {
      return .notMaster
    }
    return .passThrough
  }

  private static func isRefusal(_ text: Slice<UnsafeRawBufferPointer>) -> Bool {
    let known: [StaticString] = [
      "LOADING Redis", "LOADING Valkey", "BUSY Redis", "BUSY Valkey", "NOREPLICAS Not enough",
      "MISCONF Redis", "MISCONF Valkey", "MISCONF Errors writing",
      "ERR max number of clients reached",
    ]
    return known.contains { starts(text, with: $0) }
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
