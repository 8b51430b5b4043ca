// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization
import Testing

@testable import Systemd

struct JournalTests {
  private final class Written: Sendable {
    let events = Mutex<[JournalEvent]>([])
    let gate = DispatchSemaphore(value: 0)
    let entered = DispatchSemaphore(value: 0)

    var messages: [String] { events.withLock { $0.map(\.message) } }
  }

  @Test func eventsAreWrittenInOrder() {
    let written = Written()
    let journal = Journal(leastPriority: .debug, capacity: 1000) { event in
      written.events.withLock { $0.append(event) }
    }
    for number in 0..<1000 { journal.post(JournalEvent(priority: .info, message: "\(number)")) }
    #expect(journal.flush(timeoutMilliseconds: 60_000))
    #expect(written.messages == (0..<1000).map { "\($0)" })
  }

  @Test func aStuckOutputBlocksNobodyAndDropsAreReported() {
    let written = Written()
    let journal = Journal(leastPriority: .info, capacity: 4) { event in
      written.entered.signal()
      written.gate.wait()
      written.events.withLock { $0.append(event) }
    }
    journal.post(JournalEvent(priority: .info, message: "stuck"))
    written.entered.wait()
    for number in 0..<10 { journal.post(JournalEvent(priority: .info, message: "\(number)")) }
    #expect(!journal.flush(timeoutMilliseconds: 20))
    #expect(written.messages == [])
    for _ in 0..<6 { written.gate.signal() }
    #expect(journal.flush(timeoutMilliseconds: 60_000))
    #expect(written.messages == ["stuck", "0", "1", "2", "3", "6 log events dropped"])
    let report = written.events.withLock { $0.last }
    #expect(report?.messageID == .eventsDropped)
    #expect(report?.fields.map(\.1) == ["6"])
  }

  @Test func lessGraveEventsAreIgnored() {
    let written = Written()
    let journal = Journal(leastPriority: .warning, capacity: 10) { event in
      written.events.withLock { $0.append(event) }
    }
    for priority in Priority.allCases {
      journal.post(JournalEvent(priority: priority, message: "\(priority.rawValue)"))
    }
    #expect(journal.flush(timeoutMilliseconds: 60_000))
    #expect(written.messages == ["0", "1", "2", "3", "4"])
  }

  @Test func messageIDsAreDistinctAndHexadecimal() {
    let ids = Event.allCases.map(\.rawValue)
    #expect(Set(ids).count == ids.count)
    for id in ids {
      #expect(id.utf8.count == 32)
      #expect(id.utf8.allSatisfy { 48...57 ~= $0 || 97...102 ~= $0 })
    }
  }

  @Test(arguments: [
    ("HOLDFAST_MASTER", "HOLDFAST_MASTER"), ("oldMaster", "OLDMASTER"), ("_PID", "PID"),
    ("a-b c", "A_B_C"), ("9LIVES", "LIVES"), ("", "FIELD"), ("é", "FIELD"),
    (String(repeating: "A", count: 70), String(repeating: "A", count: 64)),
  ])
  func fieldNamesAreWhatTheJournalTakes(name: String, expected: String) {
    #expect(JournalEvent.fieldName(name) == expected)
  }

  @Test func noFieldCanBeginALine() {
    let event = JournalEvent(
      priority: .warning, messageID: .started, message: "a\n<0>b\r\n\u{1b}[31m",
      fields: [("NODE", "x\ny"), ("PORT", "6379")])
    #expect(
      event.prefixedLine
        == "<4>a <0>b   [31m NODE=\"x y\" PORT=6379 MESSAGE_ID=\(Event.started.rawValue)\n")
    #expect(
      event.terminalLine(time: "12:00:00.000", isColoured: false)
        == "12:00:00.000 WARN   a <0>b   [31m NODE=\"x y\" PORT=6379\n")
  }

  @Test func allFieldsAreSent() {
    let event = JournalEvent(
      priority: .notice, messageID: .masterSwitched, message: "m", fields: [("NODE", "n")],
      file: "M/F.swift", line: 7, function: "f()")
    let fields = event.allFields.map { "\($0.0)=\($0.1)" }
    #expect(
      fields == [
        "MESSAGE=m", "PRIORITY=5", "MESSAGE_ID=\(Event.masterSwitched.rawValue)",
        "CODE_FILE=M/F.swift", "CODE_LINE=7", "CODE_FUNC=f()", "NODE=n",
      ])
  }
}
