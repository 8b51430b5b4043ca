// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Synchronization
import Testing

@Suite("A storm of failovers")
struct StormTests {
  private static let options = TopologyOptions { $0.failoverTimeoutMilliseconds = 1000 }

  @Test("Three in a row, planned, killed, frozen: no error, and only what was told is lost")
  func three() async throws { try await storm(of: 3) }

  @Test("Twenty: no descriptor leaks, memory stays flat", .enabled(if: isLongRun))
  func twenty() async throws { try await storm(of: 20) }

  private func storm(of count: Int) async throws {
    try await withLab(Self.options) { lab, daemon in
      try await lab.hastenSentinels()
      let recorder = try await EventRecorder.start(lab)
      defer { recorder.stop() }
      let story = Story()
      let history = try await Load.on(daemon) { load in
        for round in 0..<count {
          try await Self.failOver(round, lab, daemon, load, story)
          if round == 2 { story.note(daemon) }
        }
        story.note(daemon)
      }
      history.expectWork()
      try await history.verify(
        at: try await lab.masterAgreed(with: daemon), excused: story.excused)
      let reports = try await daemon.failovers()
      #expect(reports.count >= count)
      story.expectFlat()
    }
  }

  /// One failover, and the way back to a whole topology.
  private static func failOver(
    _ round: Int, _ lab: Topology, _ daemon: Daemon, _ load: Load, _ story: Story
  ) async throws {
    let old = try await lab.masterAgreed(with: daemon)
    let begun = ContinuousClock.now
    switch round % 3 {
    case 0: try await lab.commandFailoverWhenAllowed()
    case 1:
      await old.kill()
      story.excuse(begun - Moment.replicationLag...ContinuousClock.now)
    default: old.freeze()
    }
    try await daemon.waitUntilServing(insteadOf: old)
    try await load.waitForProgress(100)
    switch round % 3 {
    case 0: break
    case 1: try await old.restart()
    default: old.thaw()
    }
    try await lab.waitForPromotion(insteadOf: old)
    try await lab.waitUntilAgreed()
  }

  /// What the storm may have lost, and what the daemon held meanwhile.
  private final class Story: Sendable {
    private struct State {
      var excused: [TimeSpan] = []
      var held: [(descriptors: Int, kibibytes: Int)] = []
    }
    private let state = Mutex(State())

    var excused: [TimeSpan] { state.withLock { $0.excused } }

    func excuse(_ span: TimeSpan) { state.withLock { $0.excused.append(span) } }

    func note(_ daemon: Daemon) {
      let held = (daemon.openDescriptors ?? 0, daemon.rssKiB ?? 0)
      state.withLock { $0.held.append(held) }
    }

    /// From the third failover to the last: no descriptor more, but for those that open and close by
    /// turns, and no memory that grows with each.
    func expectFlat() {
      let held = state.withLock { $0.held }
      guard let first = held.first, let last = held.last else { return }
      #expect(first.descriptors > 0 && last.descriptors <= first.descriptors + 6, "\(held)")
      #expect(first.kibibytes > 0 && last.kibibytes <= first.kibibytes + 8192, "\(held)")
    }
  }
}
