// SPDX-License-Identifier: Apache-2.0
import CLinux
import Dispatch
import Glibc
import NIOConcurrencyHelpers
import NIOCore

/// One thread that waits for descriptors, times and other threads' tasks: an event loop as small as a shard needs.
///
/// To the rest of the program it is NIO's `EventLoop`, so that futures and `NIOLoopBound` work with it; it carries no
/// channels. What a thread does lives on that thread alone (``Poller``).
final class Reactor: EventLoop {
  private struct Timer {
    let id: UInt64
    let deadline: NIODeadline
    let run: @Sendable () -> Void
  }

  private struct State {
    var tasks: [@Sendable () -> Void] = []
    var timers: [Timer] = []
    var lastTimer: UInt64 = 0
    var isWoken = false
    var isStopped = false
  }

  private let state = NIOLockedValueBox(State())
  private let wakeUp = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
  private let owner = NIOLockedValueBox<pthread_t?>(nil)

  /// Starts the thread. `body` makes what it works on, there, and is given the poller.
  static func start(
    named name: String, _ body: @escaping @Sendable (Reactor, Poller) -> any ReactorWork
  ) -> Reactor {
    let reactor = Reactor()
    let thread = ThreadStart {
      _ = holdfast_name_thread(pthread_self(), name)
      // Its pauses are to be as short as they say, prctl(2).
      _ = holdfast_set_timer_slack(29, 1)
      reactor.owner.withLockedValue { $0 = pthread_self() }
      let poller = Poller()
      reactor.run(poller, body(reactor, poller))
    }
    thread.launch()
    return reactor
  }

  private init() { precondition(wakeUp >= 0, "no descriptor is left for eventfd") }

  deinit { Glibc.close(wakeUp) }

  // MARK: The thread

  private func run(_ poller: Poller, _ work: any ReactorWork) {
    let alarm = Alarm(descriptor: wakeUp)
    guard poller.add(wakeUp, alarm, .readable) != nil else { return }
    while true {
      let (tasks, timers, isStopped, next) = takeDue()
      for task in tasks { task() }
      for timer in timers { timer.run() }
      if isStopped { return work.end() }
      let due = work.turn()
      let wait = min(due, next.map { ($0 - .now()).nanoseconds / 1_000_000 + 1 } ?? .max)
      poller.wait(milliseconds: hasTasks ? 0 : Int(max(0, wait)), work.woken(eventCount:))
      // What the events have brought about leaves in one go.
      _ = work.turn()
      if work.isGathering { Self.pause() }
    }
  }

  /// Long enough for many more requests to come, and short beside what each of them takes.
  private static let pauseNanoseconds = 100_000

  private static func pause() {
    var time = timespec(tv_sec: 0, tv_nsec: pauseNanoseconds)
    nanosleep(&time, nil)
  }

  private var hasTasks: Bool { state.withLockedValue { !$0.tasks.isEmpty } }

  private func takeDue() -> (
    tasks: [@Sendable () -> Void], timers: [Timer], isStopped: Bool, next: NIODeadline?
  ) {
    let now = NIODeadline.now()
    return state.withLockedValue { state in
      let tasks = state.tasks
      state.tasks.removeAll(keepingCapacity: tasks.count <= 256)
      state.isWoken = false
      guard !state.timers.isEmpty else { return (tasks, [], state.isStopped, nil) }
      let due = state.timers.filter { $0.deadline <= now }
      state.timers.removeAll { $0.deadline <= now }
      return (tasks, due, state.isStopped, state.timers.map(\.deadline).min())
    }
  }

  private func wake() {
    let isFirst = state.withLockedValue { state in
      defer { state.isWoken = true }
      return !state.isWoken
    }
    if isFirst { _ = eventfd_write(wakeUp, 1) }
  }

  /// Ends the thread once what is queued is done.
  func stop() {
    state.withLockedValue { $0.isStopped = true }
    wake()
  }

  // MARK: EventLoop

  var inEventLoop: Bool {
    owner.withLockedValue { $0.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
  }

  /// Behind ``stop()`` nothing is taken any more, and no future is answered.
  func execute(_ task: @escaping @Sendable () -> Void) {
    state.withLockedValue { if !$0.isStopped { $0.tasks.append(task) } }
    wake()
  }

  func submit<T>(_ task: @escaping @Sendable () throws -> T) -> EventLoopFuture<T> {
    let promise = makePromise(of: T.self)
    execute { promise.assumeIsolated().completeWith(Result { try task() }) }
    return promise.futureResult
  }

  @discardableResult
  func scheduleTask<T>(
    deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T
  ) -> Scheduled<T> {
    let promise = makePromise(of: T.self)
    let id = state.withLockedValue { state in
      state.lastTimer += 1
      state.timers.append(
        Timer(id: state.lastTimer, deadline: deadline) {
          promise.assumeIsolated().completeWith(Result { try task() })
        })
      return state.lastTimer
    }
    wake()
    return Scheduled(promise: promise) { [weak self] in
      self?.state.withLockedValue { $0.timers.removeAll { $0.id == id } }
    }
  }

  @discardableResult
  func scheduleTask<T>(
    in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T
  ) -> Scheduled<T> {
    scheduleTask(deadline: .now() + delay, task)
  }

  func shutdownGracefully(
    queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void
  ) {
    stop()
    queue.async { callback(nil) }
  }
}

/// What a reactor's thread works on.
protocol ReactorWork {
  /// The wait for events is over, and they are told of next; none where it has only taken its time.
  func woken(eventCount: Int)
  /// Does what is due and hands out what has gathered; in how many milliseconds it wants to be called again.
  func turn() -> Int64
  /// Whether many ask at the same time, but a few at each turn: then a pause lets them gather, and what they need
  /// leaves in fewer writes.
  var isGathering: Bool { get }
  /// The thread ends.
  func end()
}

/// Empties the descriptor that other threads wake this one by.
private final class Alarm: Watcher {
  private let descriptor: CInt

  init(descriptor: CInt) { self.descriptor = descriptor }

  func ready(_ events: Readiness) {
    var count: eventfd_t = 0
    _ = eventfd_read(descriptor, &count)
  }
}

/// A thread without signals: those are the main thread's.
private final class ThreadStart: Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  func launch() {
    var signals = sigset_t()
    var before = sigset_t()
    sigfillset(&signals)
    pthread_sigmask(SIG_SETMASK, &signals, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(self)
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, argument.toOpaque())
    precondition(code == 0, "no thread can be started: \(String(cString: strerror(code)))")
    pthread_detach(thread)
  }
}
