// SPDX-License-Identifier: Apache-2.0

public import Failover
public import NIOCore
import Synchronization

/// What the monitor knows, for `STATUS=` and the command line.
public typealias MonitorStatus = TrackerStatus

/// The control plane: watches the sentinels and the master, and tells the shards.
///
/// All decisions are the tracker's; this carries its actions out.
public final class SentinelMonitor: Sendable {
  let configuration: MonitorConfiguration
  let group: any EventLoopGroup
  private let onView: @Sendable (MasterView) -> Void
  private let onNote: @Sendable (TrackerNote) -> Void
  private let onTimeline: @Sendable (FailoverTimeline) -> Void
  private let inbox = Inbox()
  private let turn: AsyncStream<Void>.Continuation
  /// Fires when the monitor has looked at what came in, every 1.8 seconds at least. For one reader.
  public let turns: AsyncStream<Void>
  private let knocks = Mutex<[@Sendable () -> Void]>([])
  private let lastStatus = Mutex(MonitorStatus())

  /// Makes a monitor; nothing happens before `run`. `onView`, `onNote` and `onTimeline` (each change
  /// of a failover's record) are called one at a time, in order, and must not block.
  public init(
    configuration: MonitorConfiguration,
    group: any EventLoopGroup,
    onView: @escaping @Sendable (MasterView) -> Void,
    onNote: @escaping @Sendable (TrackerNote) -> Void,
    onTimeline: @escaping @Sendable (FailoverTimeline) -> Void = { _ in }
  ) {
    (turns, turn) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.configuration = configuration
    self.group = group
    self.onView = onView
    self.onNote = onNote
    self.onTimeline = onTimeline
  }

  /// Watches until the task is cancelled, then closes every connection. Call once.
  public func run() async {
    await withDiscardingTaskGroup { tasks in
      var clock = TickClock(loop: group.next(), inbox: inbox)
      clock.arm(milliseconds: 0)
      var loop = MonitorLoop(
        configuration: configuration, group: group, inbox: inbox, onView: onView, onNote: onNote,
        onTimeline: onTimeline)
      for await _ in inbox.signals {
        for item in inbox.drain() { loop.take(item, &tasks) }
        clock.arm(milliseconds: loop.tickMilliseconds)
        let status = loop.status
        lastStatus.withLock { $0 = status }
        answerKnocks()
        turn.yield()
      }
      turn.finish()
      clock.stop()
      loop.end()
      tasks.cancelAll()
    }
  }

  /// Takes what a shard saw on a link. Callable from any thread; never blocks.
  public func report(_ report: LinkReport) {
    inbox.post(.linkReported(report))
  }

  /// The clock of all times that it gives, and of the shards': what one plane saw first is earlier for the other.
  public static var nowMilliseconds: Int64 {
    Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000)
  }

  /// What is known now.
  public func status() async -> MonitorStatus {
    lastStatus.withLock { $0 }
  }

  /// Calls `answered` once the loop has come to it: one that hangs never does.
  public func knock(_ answered: @escaping @Sendable () -> Void) {
    // A loop that hangs is knocked at a few times, not for ever.
    knocks.withLock { if $0.count < 16 { $0.append(answered) } }
    inbox.wakeUp()
  }

  private func answerKnocks() {
    let waiting = knocks.withLock { knocks in
      defer { knocks = [] }
      return knocks
    }
    for answered in waiting { answered() }
  }
}

/// Tells the monitor that time has passed: seldom while nothing goes on, so that an idle daemon sleeps.
private struct TickClock {
  private let loop: any EventLoop
  private let inbox: Inbox
  private var due = NIODeadline.distantPast
  private var timer: Scheduled<Void>?

  init(loop: any EventLoop, inbox: Inbox) {
    self.loop = loop
    self.inbox = inbox
  }

  /// The next tick comes in so many milliseconds at the latest. One that is due now is on its way.
  mutating func arm(milliseconds: Int64) {
    let now = NIODeadline.now()
    let wanted = now + .milliseconds(milliseconds)
    guard due <= now || due > wanted else { return }
    if due > now { timer?.cancel() }
    due = wanted
    timer = loop.scheduleTask(deadline: wanted) { [inbox] in inbox.post(.tick) }
  }

  func stop() { timer?.cancel() }
}
