// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Whether a subscription is still heard of. It is asked when its sentinel is polled: an idle daemon wakes once for both.
final class SubscriptionCheck: Sendable {
  private struct Open {
    let connection: RESPConnection
    var heard = ContinuousClock.now
    var pinged: ContinuousClock.Instant?
  }
  private let state = Mutex<Open?>(nil)

  func begin(_ connection: RESPConnection) { state.withLock { $0 = Open(connection: connection) } }
  func heard() { state.withLock { $0?.heard = .now } }
  func end() { state.withLock { $0 = nil } }

  /// Pings it where the last ping is long ago, and closes it when it has been silent for too long.
  func check(_ timings: MonitorConfiguration.Timings) {
    let now = ContinuousClock.now
    state.withLock { state in
      guard let open = state else { return }
      if open.heard.duration(to: now) >= .milliseconds(timings.subscriptionSilenceMilliseconds) {
        return open.connection.close()
      }
      let pause = Duration.milliseconds(timings.subscriptionPingMilliseconds)
      if let pinged = open.pinged, pinged.duration(to: now) < pause { return }
      open.connection.send(["PING"])
      state?.pinged = now
    }
  }
}
