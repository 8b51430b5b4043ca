// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab

/// What a planned failover may lose.
enum PlannedLoss {
  /// Whether the write fence promises that a planned failover, whose leader lives and whose replicas
  /// keep up, loses nothing that was acknowledged.
  static let isFenced = false

  /// The time in which acknowledged writes may be lost: none with the fence.
  static func excused(_ commanded: Moment, _ switched: Moment) -> [TimeSpan] {
    // The command's own answer may come after the first writes of the failover.
    isFenced ? [] : [commanded.time - .milliseconds(200)...switched.time]
  }
}

extension Topology {
  /// `SENTINEL FAILOVER`, again while the last failover's end makes sentinels refuse it.
  func commandFailoverWhenAllowed(by sentinel: Node? = nil) async throws {
    try await eventually("SENTINEL FAILOVER accepted", within: 30_000, every: 100) {
      try await self.commandFailover(by: sentinel)
      return true
    }
  }
}
