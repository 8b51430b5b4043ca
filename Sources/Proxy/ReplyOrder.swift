// SPDX-License-Identifier: Apache-2.0

/// Keeps one client's replies in the order of its commands, whoever answers them.
///
/// Each command takes a position. A reply whose turn has not come is held; nearly always nothing is held.
struct ReplyOrder {
  /// Commands taken so far.
  private(set) var issued: UInt64 = 0
  /// Commands answered so far.
  private(set) var answered: UInt64 = 0
  /// Replies that came before their turn, by rising position.
  private var held: [(position: UInt64, reply: [UInt8])] = []

  var isSettled: Bool { issued == answered }
  var outstanding: Int { Int(issued - answered) }
  /// Bytes of replies that came before their turn.
  private(set) var heldBytes = 0

  /// Takes the next command's position.
  mutating func issue() -> UInt64 {
    defer { issued += 1 }
    return issued
  }

  /// Takes back the last position, of a command that will be taken again.
  mutating func withdrawLast() {
    precondition(issued > answered)
    issued -= 1
  }

  /// Answers the command at `position`; every reply whose turn has come is added to `output`.
  mutating func answer(
    _ position: UInt64, with reply: UnsafeRawBufferPointer, into output: inout [UInt8]
  ) {
    precondition(position >= answered && position < issued, "a command is answered once")
    guard position == answered else { return hold(position, Array(reply)) }
    output.append(contentsOf: reply)
    answered += 1
    while let next = held.first, next.position == answered {
      output.append(contentsOf: next.reply)
      answered += 1
      heldBytes -= next.reply.count
      held.removeFirst()
    }
  }

  private mutating func hold(_ position: UInt64, _ reply: [UInt8]) {
    let index = held.firstIndex { $0.position >= position } ?? held.endIndex
    precondition(index == held.endIndex || held[index].position != position)
    held.insert((position, reply), at: index)
    heldBytes += reply.count
  }
}
