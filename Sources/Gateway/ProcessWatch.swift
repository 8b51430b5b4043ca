// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Knows when an app's process is gone, whatever became of its connections: by a pidfd, pidfd_open(2).
///
/// A descriptor for each process that has connected and lives; it is closed when the process ends.
final class ProcessWatch: Sendable {
  private struct Watched {
    let key: UInt64
    let descriptor: CInt
    /// When it was last seen alive.
    var aliveNanoseconds: UInt64 = 0
  }

  /// A process number is not used again as fast as this, and its end is heard of by then.
  private static let freshNanoseconds: UInt64 = 1_000_000

  private struct State {
    var byPID: [pid_t: Watched] = [:]
    var pids: [UInt64: pid_t] = [:]
    var replaced: [UInt64: CInt] = [:]
    var lastKey: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())
  private let epoll: CInt
  private let wakeUp: CInt
  private let countMax: Int
  private let onExit: @Sendable (UInt64) -> Void
  private let thread = NIOThreadPool(numberOfThreads: 1)

  /// The key of the wake-up descriptor: no process has it.
  private static let stop: UInt64 = 0

  /// `onExit` is called with a process' key once it is gone, on a thread of the watch.
  init(countMax: Int, onExit: @escaping @Sendable (UInt64) -> Void) {
    self.countMax = countMax
    self.onExit = onExit
    epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
    wakeUp = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    add(wakeUp, Self.stop)
    thread.start()
    thread.submit { _ in self.run() }
  }

  /// Names a process for as long as it lives. Nil where it cannot be watched: it is in another pid namespace (0),
  /// gone, or there are too many.
  func key(of pid: pid_t) -> UInt64? {
    guard pid > 0 else { return nil }
    return state.withLockedValue { state in
      if let known = state.byPID[pid] {
        let now = NIODeadline.now().uptimeNanoseconds
        if now - known.aliveNanoseconds < Self.freshNanoseconds { return known.key }
        if Self.isAlive(known.descriptor) {
          state.byPID[pid]?.aliveNanoseconds = now
          return known.key
        }
        // Its number is in use again before its end was heard of.
        state.replaced[known.key] = known.descriptor
      }
      guard state.pids.count < countMax else { return nil }
      let descriptor = pidfd_open(pid, 0)
      guard descriptor >= 0 else { return nil }
      state.lastKey += 1
      let key = state.lastKey
      guard add(descriptor, key) else {
        close(descriptor)
        return nil
      }
      state.byPID[pid] = Watched(key: key, descriptor: descriptor)
      state.pids[key] = pid
      return key
    }
  }

  /// The number of the process of this key, if it lives.
  func pid(of key: UInt64) -> pid_t? { state.withLockedValue { $0.pids[key] } }

  /// Ends the thread and closes all descriptors.
  func stop() {
    eventfd_write(wakeUp, 1)
  }

  @discardableResult private func add(_ descriptor: CInt, _ key: UInt64) -> Bool {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue
    event.data.u64 = key
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0
  }

  private func run() {
    var events = [epoll_event](repeating: epoll_event(), count: 64)
    while true {
      let count = epoll_wait(epoll, &events, CInt(events.count), -1)
      guard count > 0 || errno == EINTR else { return }
      for event in events.prefix(Int(max(count, 0))) {
        guard event.data.u64 != Self.stop else { return end() }
        if forget(event.data.u64) { onExit(event.data.u64) }
      }
    }
  }

  /// False where its end was told before: a process that is just being started has copies of all descriptors for a
  /// moment, and epoll goes on telling of one that is closed here alone.
  private func forget(_ key: UInt64) -> Bool {
    state.withLockedValue { state in
      guard let pid = state.pids.removeValue(forKey: key) else { return false }
      if let descriptor = state.replaced.removeValue(forKey: key) {
        close(descriptor)
      } else if let watched = state.byPID[pid], watched.key == key {
        state.byPID[pid] = nil
        close(watched.descriptor)
      }
      return true
    }
  }

  private func end() {
    state.withLockedValue { state in
      for watched in state.byPID.values { close(watched.descriptor) }
      for descriptor in state.replaced.values { close(descriptor) }
      state = State()
    }
    close(epoll)
    close(wakeUp)
    thread.shutdownGracefully { _ in }
  }

  /// A pidfd is readable once its process has ended.
  private static func isAlive(_ descriptor: CInt) -> Bool {
    var asked = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&asked, 1, 0) == 0
  }
}
