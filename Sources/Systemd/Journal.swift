// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc
import Synchronization

/// The event log: ``post(_:)`` never blocks, one thread writes.
///
/// Where standard error is the journal's stream, events go to the journal with all fields, else as lines to standard
/// error. When the queue is full events are dropped, counted, and reported once there is room.
public final class Journal: Sendable {
  private let queue: EventQueue
  private let leastPriority: Atomic<Int>

  /// Starts the thread; it ends when the journal is released.
  ///
  /// Events less grave than `leastPriority` are ignored; at most `capacity` wait to be written.
  public convenience init(leastPriority: Priority = .info, capacity: Int = 1024) {
    let output = JournalOutput.detected()
    self.init(leastPriority: leastPriority, capacity: capacity) { output.write($0) }
  }

  init(
    leastPriority: Priority, capacity: Int, write: @escaping @Sendable (JournalEvent) -> Void
  ) {
    self.leastPriority = Atomic(leastPriority.rawValue)
    let queue = EventQueue(capacity: capacity)
    self.queue = queue
    startThread { queue.drain(write) }
  }

  deinit { queue.close() }

  /// From now on less grave events are ignored.
  public func setLeastPriority(_ priority: Priority) {
    leastPriority.store(priority.rawValue, ordering: .relaxed)
  }

  /// Events that were lost because too many waited, since the start.
  public var droppedCount: Int { queue.droppedCount }

  /// Takes the event, or counts it as dropped; callable from any thread.
  public func post(_ event: JournalEvent) {
    guard event.priority.rawValue <= leastPriority.load(ordering: .relaxed) else { return }
    queue.post(event)
  }

  /// Waits until everything posted so far is written; false when that takes longer. For the end of the process.
  @discardableResult
  public func flush(timeoutMilliseconds: Int) -> Bool {
    queue.flush(timeoutMilliseconds: timeoutMilliseconds)
  }
}

/// A bounded queue between many posters and one drainer.
private final class EventQueue: Sendable {
  private struct State {
    var waiting: [JournalEvent] = []
    var dropped = 0
    /// Events taken in and events dealt with, since the start; equal when nothing is pending.
    var posted = 0
    var written = 0
    /// All that was dropped since the start.
    var lost = 0
    var isClosed = false
  }

  private let capacity: Int
  private let state = Mutex(State())
  /// Wakes the drainer.
  private let posts = Wakeup()
  /// Wakes a flush.
  private let progress = Wakeup()

  init(capacity: Int) { self.capacity = max(1, capacity) }

  var droppedCount: Int { state.withLock { $0.lost } }

  func post(_ event: JournalEvent) {
    let isFirst = state.withLock { state in
      guard state.waiting.count < capacity else {
        state.dropped += 1
        state.lost += 1
        return false
      }
      state.waiting.append(event)
      state.posted += 1
      return state.waiting.count == 1
    }
    if isFirst { posts.signal() }
  }

  func close() {
    state.withLock { $0.isClosed = true }
    posts.signal()
  }

  /// Writes until the queue is closed and empty.
  func drain(_ write: (JournalEvent) -> Void) {
    while true {
      let (batch, dropped, isClosed) = state.withLock { state in
        defer {
          state.waiting.removeAll()
          state.dropped = 0
        }
        return (state.waiting, state.dropped, state.isClosed)
      }
      for event in batch { write(event) }
      if dropped > 0 {
        write(
          JournalEvent(
            priority: .warning, messageID: .eventsDropped, message: "\(dropped) log events dropped",
            fields: [("EVENTS_DROPPED", "\(dropped)")]))
      }
      state.withLock { $0.written += batch.count }
      progress.signal()
      if isClosed, batch.isEmpty { return }
      if batch.isEmpty { posts.wait(timeoutMilliseconds: -1) }
    }
  }

  func flush(timeoutMilliseconds: Int) -> Bool {
    let target = state.withLock { $0.posted }
    let clock = ContinuousClock()
    let deadline = clock.now + .milliseconds(timeoutMilliseconds)
    while state.withLock({ $0.written < target }) {
      guard clock.now < deadline else { return false }
      // Another flush may take the signal, so look again soon.
      progress.wait(timeoutMilliseconds: 10)
    }
    return true
  }
}

/// Lets one thread wait for another without holding a lock; a signal before the wait is kept.
private final class Wakeup: Sendable {
  private let descriptor = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))

  deinit { close(descriptor) }

  func signal() { _ = eventfd_write(descriptor, 1) }

  /// Waits for a signal; -1: for ever.
  func wait(timeoutMilliseconds: CInt) {
    var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    _ = poll(&waited, 1, timeoutMilliseconds)
    var count: eventfd_t = 0
    _ = eventfd_read(descriptor, &count)
  }
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void

  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs `body` on a thread of its own that takes no signals: those belong to the main thread, and a closed standard
/// error is an error code, not the end of the process.
private func startThread(_ body: @escaping @Sendable () -> Void) {
  var signals = sigset_t()
  var before = sigset_t()
  sigfillset(&signals)
  pthread_sigmask(SIG_SETMASK, &signals, &before)
  defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
  var thread = pthread_t()
  let argument = Unmanaged.passRetained(ThreadBody(body))
  let code = pthread_create(
    &thread, nil,
    { argument in
      guard let argument else { return nil }
      Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
      return nil
    }, argument.toOpaque())
  guard code == 0 else {
    argument.release()
    return
  }
  pthread_detach(thread)
}
