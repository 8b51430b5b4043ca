// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Proxy

private let alice = ClientID(slot: 0, serial: 1)
private let bob = ClientID(slot: 1, serial: 1)

extension InFlightQueue {
  fileprivate mutating func add(
    _ text: String, _ client: ClientID, _ position: UInt64, _ kind: EntryKind = .client
  ) {
    Array(text.utf8).withUnsafeBytes {
      append($0, client: client, position: position, kind: kind)
    }
  }

  fileprivate mutating func sent() -> String {
    var text = ""
    takeUnsent { text = String(decoding: $0, as: UTF8.self) }
    return text
  }
}

@Suite struct InFlightQueueTests {
  @Test func adjacentCommandsOfOneClientShareAnEntry() {
    var queue = InFlightQueue()
    queue.add("aa", alice, 0)
    queue.add("b", alice, 1)
    queue.add("c", bob, 0)
    queue.add("d", alice, 2)
    queue.add("e", alice, 4)
    queue.add("f", alice, 5, .unwatch)
    queue.add("g", alice, 6, .unwatch)
    #expect(queue.entries.map(\.count) == [2, 1, 1, 1, 1, 1])
    #expect(queue.replyCount == 7)
    #expect(queue.sent() == "aabcdefg")
    #expect(queue.unsentBytes == 0)
    let replies = (0..<7).compactMap { _ in queue.takeReply() }
    #expect(replies.map(\.position) == [0, 1, 0, 2, 4, 5, 6])
    #expect(replies.map { $0.client == bob } == [false, false, true, false, false, false, false])
    #expect(replies.map(\.releasedBytes) == [0, 3, 1, 1, 1, 1, 1])
    #expect(queue.takeReply() == nil)
    #expect(queue.isEmpty && queue.retainedBytes == 0 && queue.replyCount == 0)
  }

  @Test func entryIsNotGrownOnceItIsFull() {
    var queue = InFlightQueue()
    for position in 0..<1_300 { queue.add("x", alice, UInt64(position)) }
    #expect(queue.entries.map(\.count) == [512, 512, 276])
    for position in 0..<1_300 { #expect(queue.takeReply()?.position == UInt64(position)) }
  }

  @Test func bytesStayUntilTheirReplyHasCome() {
    var queue = InFlightQueue()
    queue.add("one", alice, 0)
    #expect(queue.sent() == "one")
    queue.add("two", bob, 0)
    #expect(queue.unsentBytes == 3)
    #expect(queue.retainedBytes == 6)
    _ = queue.takeReply()
    #expect(queue.retainedBytes == 3)
    #expect(queue.firstEntryBytes { String(decoding: $0, as: UTF8.self) } == "two")
    #expect(queue.sent() == "two")
  }

  @Test func answeredBytesAreGivenBackWhileMoreAreAdded() {
    var queue = InFlightQueue()
    let command = String(repeating: "x", count: 1_000)
    queue.add(command, alice, 0)
    for position in 1..<2_000 as Range<UInt64> {
      // Two clients by turns, so that no entry grows.
      queue.add(command + "\(position % 10)", position % 2 == 0 ? alice : bob, position)
      #expect(queue.sent().utf8.count <= 2_001)
      let due = queue.takeReply()
      #expect(due?.position == position - 1)
      #expect(queue.bytes.count <= 200_000, "the buffer does not grow with time")
    }
    #expect(queue.firstEntryBytes { $0.last } == UInt8(ascii: "9"))
    #expect(queue.replyCount == 1)
  }

  @Test func removeAllForgetsEverything() {
    var queue = InFlightQueue()
    queue.add("one", alice, 0)
    _ = queue.sent()
    queue.removeAll()
    #expect(queue.isEmpty && queue.replyCount == 0 && queue.unsentBytes == 0)
    #expect(queue.takeReply() == nil)
  }
}

@Suite struct ReplyOrderTests {
  private func answer(_ order: inout ReplyOrder, _ position: UInt64, _ output: inout [UInt8]) {
    Array("\(position)".utf8).withUnsafeBytes { order.answer(position, with: $0, into: &output) }
  }

  @Test func everyOrderOfAnswersGivesTheSameOutput() {
    var permutation = [0, 1, 2, 3, 4] as [UInt64]
    var seen = Set<[UInt64]>()
    // Heap's algorithm by repeated shuffling would need luck; all 120 by counting.
    for number in 0..<3_125 {
      permutation = (0..<5).map { UInt64(number / [1, 5, 25, 125, 625][$0] % 5) }
      guard Set(permutation).count == 5 else { continue }
      seen.insert(permutation)
      var order = ReplyOrder()
      var output: [UInt8] = []
      for _ in 0..<5 { _ = order.issue() }
      for position in permutation {
        #expect(!order.isSettled)
        answer(&order, position, &output)
      }
      #expect(output.elementsEqual("01234".utf8), "\(permutation)")
      #expect(order.isSettled && order.heldBytes == 0 && order.outstanding == 0)
    }
    #expect(seen.count == 120)
  }

  @Test func countsWhatItHolds() {
    var order = ReplyOrder()
    var output: [UInt8] = []
    for _ in 0..<3 { _ = order.issue() }
    answer(&order, 2, &output)
    answer(&order, 1, &output)
    #expect(order.heldBytes == 2 && order.outstanding == 3 && output.isEmpty)
    answer(&order, 0, &output)
    #expect(order.heldBytes == 0 && output.count == 3)
    #expect(order.issue() == 3)
    order.withdrawLast()
    #expect(order.isSettled)
    #expect(order.issue() == 3)
  }
}

@Suite struct ReplayTests {
  private func command(
    _ replay: ReplayClass, _ client: ClientID = alice, write: Bool, sent: Bool = true,
    keys: Set<Int>? = [1]
  ) -> Unanswered {
    Unanswered(client: client, replay: replay, isWrite: write, wasSent: sent, keys: keys)
  }

  @Test(arguments: ReplayClass.allCases, [true, false])
  func aloneByItsClass(_ replay: ReplayClass, _ wasSent: Bool) {
    for policy in [ProxyConfiguration.ReplayPolicy.standard, .strict] {
      let verdict = Replay.verdicts(
        [command(replay, write: replay != .read, sent: wasSent)], policy: policy)
      let expected: Verdict
      switch replay {
      case .read, .absolute, .guarded: expected = .resend
      case .settling: expected = wasSent && policy == .strict ? .uncertain : .resend
      case .once: expected = wasSent ? .uncertain : .resend
      }
      #expect(verdict == [expected])
    }
  }

  @Test(
    arguments: [
      // The write behind the read: its keys, whether it was sent, its client; the read's verdict.
      ([1], true, alice, Verdict.uncertain), ([2], true, alice, .resend),
      ([1], false, alice, .resend), ([1], true, bob, .resend), (nil, true, alice, .uncertain),
      ([2, 1], true, alice, .uncertain), ([], true, alice, .resend),
    ] as [(Set<Int>?, Bool, ClientID, Verdict)])
  func readBeforeAWrite(
    _ keys: Set<Int>?, _ wasSent: Bool, _ client: ClientID, _ expected: Verdict
  ) {
    for kind in [ReplayClass.absolute, .settling, .once, .guarded] {
      let verdicts = Replay.verdicts(
        [
          command(.read, write: false),
          command(kind, client, write: true, sent: wasSent, keys: keys),
        ],
        policy: .standard)
      #expect(verdicts[0] == expected, "\(kind)")
    }
  }

  @Test func readOfUnknownKeysAndOrder() {
    let read = command(.read, write: false, keys: nil)
    let write = command(.absolute, write: true, keys: [7])
    #expect(Replay.verdicts([read, write], policy: .standard) == [.uncertain, .resend])
    #expect(Replay.verdicts([write, read], policy: .standard) == [.resend, .resend])
    let reads = [read, read, write, read]
    #expect(
      Replay.verdicts(reads, policy: .standard) == [.uncertain, .uncertain, .resend, .resend])
    #expect(Replay.verdicts([], policy: .strict).isEmpty)
  }
}

@Suite struct SmallTables {
  private final class Thing {}

  @Test func slotIsReusedUnderAnotherName() {
    var table = SlotTable<Thing>()
    var first: SlotID<Thing>?
    let one = table.insert {
      first = $0
      return Thing()
    }
    guard let first else { return #expect(Bool(false), "no id") }
    #expect(table[first] === one && table.count == 1)
    table.remove(first)
    table.remove(first)
    #expect(table[first] == nil && table.count == 0)
    var second: SlotID<Thing>?
    _ = table.insert {
      second = $0
      return Thing()
    }
    #expect(second?.slot == first.slot && second != first)
    #expect(table[first] == nil)
    table.remove(first)
    #expect(table.count == 1, "an old name removes nothing")
    #expect(table[SlotID(slot: 99, serial: 1)] == nil)
    #expect(table.all.count == 1)
  }

  @Test func scriptsMakeRoomForNewOnes() {
    var memory = ScriptMemory()
    memory.countMax = 2
    memory.bytesMax = 10
    memory.remember("AA", command: [1, 2])
    memory.remember("aa", command: [9])
    #expect(memory["aA"] == [1, 2])
    memory.remember("bb", command: [3])
    memory.remember("cc", command: [4])
    #expect(memory["aa"] == nil && memory["bb"] == [3] && memory["cc"] == [4])
    memory.remember("dd", command: [UInt8](repeating: 0, count: 10))
    #expect(memory["bb"] == nil && memory["cc"] == nil && memory["dd"] != nil)
    memory.remember("ee", command: [UInt8](repeating: 0, count: 11))
    #expect(memory["ee"] == nil && memory["dd"] != nil, "too large for any room")
  }

  @Test(arguments: [
    ("+OK", ServerReply.passThrough), ("$8\r\nREADONLY", .passThrough), ("", .passThrough),
    ("-READONLY You can't write", .notMaster), ("-READONLYISH x", .passThrough),
    ("-MASTERDOWN Link", .notMaster), ("-UNBLOCKED force", .notMaster),
    ("-LOADING Redis", .tryLater), ("-BUSY Redis", .tryLater), ("-BUSYGROUP exists", .passThrough),
    ("-BUSYKEY Target", .passThrough), ("-NOREPLICAS Not enough good", .tryLater),
    ("-MISCONF Redis", .tryLater),
    ("-ERR max number of clients reached", .tryLater), ("-NOSCRIPT No matching script.", .noScript),
    ("-ERR Error running script (x): @user_script:1: -READONLY You can't write", .notMaster),
    ("-ERR Error running script (x): WRONGTYPE", .passThrough), ("-ERR x", .passThrough),
    ("-OOM command", .passThrough), ("-NOPERM x", .passThrough), ("-EXECABORT x", .passThrough),
    ("!24\r\nREADONLY You can't write", .notMaster), ("!13\r\nLOADING Redis", .tryLater),
    ("-BUSY session is locked", .passThrough), ("-NOSCRIPT nope", .passThrough),
    ("-READONLY mode is on", .passThrough), ("-LOADING page", .passThrough),
    ("-MISCONF Redis is configured. script: 2a, on @user_script:1.", .passThrough),
    ("-", .passThrough), ("!", .passThrough),
  ])
  func serverReplies(_ frame: String, _ expected: ServerReply) {
    Array("\(frame)\r\n".utf8).withUnsafeBytes { #expect(ServerReply.read($0) == expected) }
  }
}
