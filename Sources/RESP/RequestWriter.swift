// SPDX-License-Identifier: Apache-2.0

/// Writes a request into room that is there from the start: what the daemon itself sends most is made this way.
public struct RequestWriter {
  private let room: UnsafeMutableRawBufferPointer
  private var count = 0
  private var argumentsDue: Int

  /// A request of `argumentCount` arguments, which have at most `byteCount` bytes together. `write` writes all of them:
  /// one more or one less, or more bytes than there is room for, would be the caller's mistake, and is a trap.
  public static func request(
    argumentCount: Int, byteCount: Int, _ write: (inout RequestWriter) -> Void
  ) -> [UInt8] {
    let headsBytesMax = (argumentCount + 1) * (numberLineBytesMax + 2)
    return withUnsafeTemporaryAllocation(byteCount: headsBytesMax + byteCount, alignment: 1) {
      var writer = RequestWriter(room: $0, argumentsDue: argumentCount)
      writer.writeLine(ReplyType.array, argumentCount)
      write(&writer)
      precondition(writer.argumentsDue == 0, "a request has as many arguments as its head says")
      return Array($0[..<writer.count])
    }
  }

  private init(room: UnsafeMutableRawBufferPointer, argumentsDue: Int) {
    self.room = room
    self.argumentsDue = argumentsDue
  }

  /// The next argument.
  public mutating func write(_ argument: [UInt8]) {
    precondition(argument.count <= room.count - count - numberLineBytesMax - 2, "too little room")
    writeLine(ReplyType.bulk, argument.count)
    copy(argument)
    room[count] = ASCII.carriageReturn
    room[count + 1] = ASCII.lineFeed
    count += 2
    argumentsDue -= 1
  }

  /// So many arguments as they are sent: each with its head and its end.
  public mutating func write(encoded arguments: [UInt8], count argumentCount: Int) {
    precondition(arguments.count <= room.count - count, "too little room")
    copy(arguments)
    argumentsDue -= argumentCount
  }

  private mutating func copy(_ bytes: [UInt8]) {
    UnsafeMutableRawBufferPointer(rebasing: room[count...]).copyBytes(from: bytes)
    count += bytes.count
  }

  private mutating func writeLine(_ type: UInt8, _ value: Int) {
    var (digits, limit) = (1, 10)
    while digits < 18, value >= limit {
      digits += 1
      limit *= 10
    }
    let end = count + 1 + digits + 2
    _ = putNumberLine(type, Int64(value), in: room, endingAt: end)
    count = end
  }
}
