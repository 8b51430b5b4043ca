// SPDX-License-Identifier: Apache-2.0
import Gateway
import Glibc
import RESP
import Synchronization
import Systemd

/// Every event goes the same three ways in the same order: to the journal, into the ring that `HOLDFAST.EVENTS` reads,
/// and to the connections that watch.
final class EventLog: Sendable {
  /// An event with its place in the order.
  struct Entry: Sendable {
    /// Rises by one with each event of this daemon's life.
    let id: Int64
    /// Since 1970.
    let timeMilliseconds: Int64
    let event: JournalEvent
  }

  static let entriesMax = 1000

  private struct State {
    var entries: [Entry] = []
    var nextID: Int64 = 1
    var push: (@Sendable (RESPValue) -> Void)?
  }

  let journal: Journal
  private let state = Mutex(State())

  init(_ journal: Journal) { self.journal = journal }

  /// From now on those who watch are told by this.
  func pushing(to push: @escaping @Sendable (RESPValue) -> Void) {
    state.withLock { $0.push = push }
  }

  /// Callable from any thread; holds others up for no longer than it takes to queue.
  func post(_ event: JournalEvent) {
    state.withLock { state in
      journal.post(event)
      guard event.priority <= .info else { return }
      let entry = Entry(id: state.nextID, timeMilliseconds: Self.now, event: event)
      state.nextID += 1
      if state.entries.count == Self.entriesMax { state.entries.removeFirst() }
      state.entries.append(entry)
      state.push?(.push([.text("holdfast.event"), entry.value]))
    }
  }

  /// Events after this one, at most so many of the last.
  func entries(since id: Int64, count: Int) -> [Entry] {
    state.withLock { state in Array(state.entries.filter { $0.id > id }.suffix(count)) }
  }

  private static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension EventLog.Entry {
  /// As `HOLDFAST.EVENTS` and `HOLDFAST.WATCH` give it.
  var value: RESPValue {
    .fields([
      ("id", .integer(id)), ("time-ms", .integer(timeMilliseconds)),
      ("priority", .text(event.priority.name)),
      ("event", event.messageID.map { .text($0.name) } ?? .null),
      ("message-id", event.messageID.map { .text($0.rawValue) } ?? .null),
      ("message", .text(event.message)),
      ("fields", .fields(event.fields.map { ($0.0, .text($0.1)) })),
    ])
  }
}
