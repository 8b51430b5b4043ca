// SPDX-License-Identifier: Apache-2.0
import Failover
import NIOConcurrencyHelpers
import Proxy

/// The reports of the last failovers, written to by all shards and the control plane.
final class ReportBook: Sendable {
  private struct State {
    var book = FailoverBook()
    /// Something was recorded since the reports were read.
    var hasNews = false
  }
  private let state = NIOLockedValueBox(State())

  /// The reports, and whether they are others than those read last.
  func read() -> (reports: [FailoverReport], hasNews: Bool) {
    state.withLockedValue { state in
      defer { state.hasNews = false }
      return (state.book.reports, state.hasNews)
    }
  }

  func record(_ timeline: FailoverTimeline) {
    state.withLockedValue { state in
      state.book.record(timeline)
      state.hasNews = true
    }
  }

  func record(_ figures: FailoverFigures, shard: Int, failover number: UInt64) {
    state.withLockedValue { state in
      state.book.record(figures, shard: shard, failover: number)
      state.hasNews = true
    }
  }
}
