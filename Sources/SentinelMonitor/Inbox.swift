// SPDX-License-Identifier: Apache-2.0

import Failover
import Synchronization

/// What reaches the monitor's loop, from any thread, in order, never blocking.
///
/// Answers always get in (there is at most one outstanding per question); what the outside can send
/// at will is bounded: equal link reports merge, and a flood of announcements is cut, since each of
/// them only says "look again".
final class Inbox: Sendable {
  enum Item: Sendable {
    case event(TrackerEvent)
    case note(TrackerNote)
  }

  private struct State {
    var items: [Item] = []
    var reports: Set<LinkReport> = []
    var hasTick = false
  }

  static let droppableMax = 512

  private let state = Mutex(State())
  private let wake: AsyncStream<Void>.Continuation
  /// Fires when there is something to drain.
  let signals: AsyncStream<Void>

  init() {
    (signals, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  func post(_ item: Item) {
    state.withLock { state in
      switch item {
      case .event(.announced), .note:
        if state.items.count < Self.droppableMax { state.items.append(item) }
      case .event(.linkReported(let report)):
        guard state.items.count < Self.droppableMax, state.reports.insert(report).inserted else {
          return
        }
        state.items.append(item)
      case .event(.tick):
        if !state.hasTick { state.items.append(item) }
        state.hasTick = true
      case .event(.sentinelPolled), .event(.sentinelFailed), .event(.subscribed),
        .event(.nodeProbed), .event(.nodeFailed):
        state.items.append(item)
      }
    }
    wake.yield()
  }

  /// Has the loop take a turn, even where there is nothing to drain.
  func wakeUp() { wake.yield() }

  func post(_ event: TrackerEvent) { post(.event(event)) }

  func drain() -> [Item] {
    state.withLock { state in
      let items = state.items
      state = State()
      return items
    }
  }
}
