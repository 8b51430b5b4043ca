// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// How many topologies may run at a time in one process: `HOLDFAST_LAB_SLOTS`, by default 2. More
/// would measure a busy machine, and sentinels would take slow nodes for dead ones.
final class Slots: Sendable {
  static let shared = Slots(count: environmentValue("HOLDFAST_LAB_SLOTS").flatMap { Int($0) } ?? 2)

  private struct State {
    var free: Int
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let state: Mutex<State>

  init(count: Int) { state = Mutex(State(free: max(1, count))) }

  /// Waits for a slot, in order of arrival; given back with ``release()``.
  func acquire() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        guard state.free > 0 else {
          state.waiters.append(continuation)
          return false
        }
        state.free -= 1
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  func release() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      if state.waiters.isEmpty {
        state.free += 1
        return nil
      }
      return state.waiters.removeFirst()
    }
    next?.resume()
  }
}
