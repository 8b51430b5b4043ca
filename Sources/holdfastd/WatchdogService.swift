// SPDX-License-Identifier: Apache-2.0
import Gateway
import SentinelMonitor
import ServiceLifecycle
import Synchronization
import Systemd

/// Feeds the service manager's watchdog, only when every shard and the control plane have answered since the last time.
struct WatchdogService: Service {
  let gateway: Gateway
  let monitor: SentinelMonitor

  func run() async throws {
    await cancelWhenGracefulShutdown {
      guard let period = Notify.watchdogMicroseconds else { return await Self.untilCancelled() }
      // Three chances before the manager loses patience.
      let interval = Duration.microseconds(period / 4)
      while !Task.isCancelled {
        let answered = Answers()
        gateway.knock { answered.add() }
        monitor.knock { answered.add() }
        try? await Task.sleep(for: interval)
        if answered.count == gateway.shardCount + 1 { Notify.watchdog() }
      }
    }
  }

  private static func untilCancelled() async {
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }
}

/// Who has answered one knock; a late answer counts for nothing.
private final class Answers: Sendable {
  private let answers = Atomic(0)

  var count: Int { answers.load(ordering: .relaxed) }

  func add() { answers.add(1, ordering: .relaxed) }
}
