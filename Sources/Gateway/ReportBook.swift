// SPDX-License-Identifier: Apache-2.0
import Failover
import NIOConcurrencyHelpers
import Proxy

/// The reports of the last failovers, written to by all shards and the control plane.
final class ReportBook: Sendable {
  private let book = NIOLockedValueBox(FailoverBook())

  var reports: [FailoverReport] { book.withLockedValue { $0.reports } }

  func record(_ timeline: FailoverTimeline) { book.withLockedValue { $0.record(timeline) } }

  func record(_ figures: FailoverFigures, shard: Int, failover number: UInt64) {
    book.withLockedValue { $0.record(figures, shard: shard, failover: number) }
  }
}
