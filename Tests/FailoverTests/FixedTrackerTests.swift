// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

@Suite struct FixedTrackerTests {
  static let node = NodeAddress(host: "redis", port: 6379)

  /// Each event with the state and generation after it.
  @Test func oneLife() {
    func identity(_ role: String, _ id: String) -> TrackerEvent {
      .nodeProbed(Self.node, NodeIdentity(role: role, runID: id))
    }
    let down = TrackerEvent.nodeFailed(Self.node, .unreachable("refused"))
    let steps: [(event: TrackerEvent, isServing: Bool, generation: UInt64)] = [
      (.tick, false, 0),
      (down, false, 0),
      (identity("slave", "r1"), false, 0),
      (identity("master", "r1"), true, 1),
      (identity("master", "r1"), true, 1),
      (.nodeFailed(Self.node, .busy("BUSY")), true, 1),
      (.nodeFailed(Self.node, .timedOut), false, 1),
      (.nodeFailed(Self.node, .busy("BUSY")), false, 1),
      (identity("master", "r1"), true, 1),
      (identity("master", "r2"), true, 2),
      (identity("slave", "r2"), false, 2),
      (down, false, 2),
      (identity("master", "r3"), true, 3),
      (
        .nodeProbed(NodeAddress(host: "x", port: 1), NodeIdentity(role: "slave", runID: "y")), true,
        3
      ),
      (.announced(sentinel: Self.node, name: "+odown", payload: ""), true, 3),
    ]
    var tracker = FixedTracker(address: Self.node)
    var now: Int64 = 0
    for (index, step) in steps.enumerated() {
      now += 1000
      _ = tracker.handle(step.event, nowMilliseconds: now)
      #expect(tracker.view.isServing == step.isServing, "step \(index)")
      #expect(tracker.view.generation == step.generation, "step \(index)")
    }
  }

  @Test func linkReportsAskTheNodeAtOnceAndNotTwice() {
    var tracker = FixedTracker(address: Self.node)
    _ = tracker.handle(.tick, nowMilliseconds: 0)
    let up = TrackerEvent.nodeProbed(Self.node, NodeIdentity(role: "master", runID: "r"))
    _ = tracker.handle(up, nowMilliseconds: 1)
    let report = TrackerEvent.linkReported(LinkReport(generation: 1, event: .closed))
    #expect(tracker.handle(report, nowMilliseconds: 100).contains(.probe(Self.node)))
    #expect(!tracker.handle(report, nowMilliseconds: 130).contains(.probe(Self.node)))
    let old = TrackerEvent.linkReported(LinkReport(generation: 0, event: .closed))
    _ = tracker.handle(up, nowMilliseconds: 200)
    _ = tracker.handle(up, nowMilliseconds: 300)
    #expect(!tracker.handle(old, nowMilliseconds: 310).contains(.probe(Self.node)))
  }
}
