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
  private let tickMilliseconds = Atomic<Int64>(20)
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
    self.configuration = configuration
    self.group = group
    self.onView = onView
    self.onNote = onNote
    self.onTimeline = onTimeline
  }

  /// Watches until the task is cancelled, then closes every connection. Call once.
  public func run() async {
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.tick() }
      var loop = MonitorLoop(
        configuration: configuration, group: group, inbox: inbox, onView: onView, onNote: onNote,
        onTimeline: onTimeline)
      for await _ in inbox.signals {
        for item in inbox.drain() { loop.take(item, &tasks) }
        tickMilliseconds.store(Self.tickMilliseconds(loop.pace), ordering: .relaxed)
        let status = loop.status
        lastStatus.withLock { $0 = status }
        answerKnocks()
      }
      loop.end()
      tasks.cancelAll()
    }
  }

  /// Takes what a shard saw on a link. Callable from any thread; never blocks.
  public func report(_ report: LinkReport) {
    inbox.post(.linkReported(report))
  }

  /// What is known now.
  public func status() async -> MonitorStatus {
    lastStatus.withLock { $0 }
  }

  /// Calls `answered` once the loop has come to it: one that hangs never does.
  public func knock(_ answered: @escaping @Sendable () -> Void) {
    // A loop that hangs is knocked at a few times, not for ever.
    knocks.withLock { if $0.count < 16 { $0.append(answered) } }
  }

  private func answerKnocks() {
    let waiting = knocks.withLock { knocks in
      defer { knocks = [] }
      return knocks
    }
    for answered in waiting { answered() }
  }

  private func tick() async {
    while !Task.isCancelled {
      inbox.post(.tick)
      let wait = tickMilliseconds.load(ordering: .relaxed)
      try? await Task.sleep(for: .milliseconds(wait))
    }
  }

  private static func tickMilliseconds(_ pace: PollPace) -> Int64 {
    switch pace {
    case .stable: 50
    case .urgent: 20
    case .failover: 5
    }
  }
}
