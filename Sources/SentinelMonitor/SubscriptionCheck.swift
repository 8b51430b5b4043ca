// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Whether a subscription is still heard of. The monitor asks at its ticks, so that an idle daemon wakes for no ping alone.
final class SubscriptionCheck: Sendable {
  private struct Open {
    let connection: RESPConnection
    var pinged: ContinuousClock.Instant?
    /// When the first ping was sent since it was last heard of.
    var unansweredSince: ContinuousClock.Instant?
  }
  private let state = Mutex<Open?>(nil)

  func begin(_ connection: RESPConnection) { state.withLock { $0 = Open(connection: connection) } }
  func heard() { state.withLock { $0?.unansweredSince = nil } }
  func end() { state.withLock { $0 = nil } }

  /// Pings it where the last ping is long ago, and closes it when one was not answered for too long.
  func check(_ timings: MonitorConfiguration.Timings) {
    let now = ContinuousClock.now
    state.withLock { state in
      guard let open = state else { return }
      if let since = open.unansweredSince,
        since.duration(to: now) >= .milliseconds(timings.subscriptionSilenceMilliseconds)
      {
        return open.connection.close()
      }
      let pause = Duration.milliseconds(timings.subscriptionPingMilliseconds)
      if let pinged = open.pinged, pinged.duration(to: now) < pause { return }
      open.connection.send(["PING"])
      state?.pinged = now
      if open.unansweredSince == nil { state?.unansweredSince = now }
    }
  }
}
