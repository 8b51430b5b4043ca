// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

/// The record of each failover.
@Suite struct TimelineTests {
  typealias Driver = TrackerDriver

  static let a = Driver.a
  static let b = Driver.b

  @Test func aCrashIsRecordedFromTheFirstSignToTheMajority() throws {
    var driver = Driver.crashed()
    driver.promoteB()
    driver.pass(900) { $0.leading(isForced: false) }
    driver.poll(1, names: Self.b, epoch: 2)
    driver.poll(2, names: Self.b, epoch: 2)
    let timeline = try #require(driver.timelines.last)
    #expect(timeline.number == 1)
    #expect(timeline.kind == .crash)
    #expect(timeline.outcome == .switched)
    #expect(timeline.oldAddress == Self.a)
    #expect(timeline.newAddress == Self.b)
    #expect(timeline.oldGeneration == 1)
    #expect(timeline.newGeneration == 2)
    #expect(timeline.epoch == 2)
    #expect(timeline.possiblyLostBytes == 0)
    #expect(timeline.evidence.contains("selected it"))
    let times = [
      timeline.firstSignMilliseconds, timeline.objectivelyDownMilliseconds,
      timeline.fencedMilliseconds, timeline.selectedMilliseconds,
      timeline.promotionSeenMilliseconds, timeline.cutOverMilliseconds,
      timeline.confirmedMilliseconds, timeline.endedMilliseconds,
    ].compactMap { $0 }
    #expect(times.count == 8)
    #expect(times == times.sorted())
    #expect(driver.timelines.count <= 10)
    #expect(driver.timelines.allSatisfy { $0.number == 1 })
  }

  @Test func aPlannedOneAndTheNextHaveTheirNumbers() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.pollAll(names: Self.b, epoch: 2)
    #expect(driver.timelines.last?.kind == .planned)
    #expect(driver.timelines.last?.outcome == .switched)
    #expect(driver.timelines.last?.objectivelyDownMilliseconds == nil)
    driver.announce(2, "+try-failover", "master sessions 10.0.0.2 6379")
    #expect(driver.timelines.last?.number == 2)
    #expect(driver.timelines.last?.oldAddress == Self.b)
    #expect(driver.timelines.last?.outcome == .underway)
  }

  /// How far the old master was ahead, and what the new one says about its past.
  static let losses: [(old: Driver.Node, new: Driver.Node, lost: Int64?)] = [
    (.master(at: 1000), .promoted(at: 1001), 0),
    (.master(at: 1500), .promoted(at: 1001), 500),
    (.master(at: 900), .promoted(at: 1001), 0),
    (.master("run-a"), .promoted(at: 1001), nil),
    (.master(at: 1500), .master("run-b"), nil),
    (
      .master(at: 1500),
      .says(
        NodeIdentity(
          role: "master", runID: "run-b", replicationID: "x", secondReplicationID: "y",
          secondOffset: 1001)), nil
    ),
  ]

  @Test(arguments: losses.indices) func whatIsPossiblyLostIsCountedOrUnknown(index: Int) {
    let row = Self.losses[index]
    var driver = Driver.withReplicas()
    driver.nodes[Self.a] = row.old
    driver.pass(1500)
    driver.announce(1, "+try-failover", FenceTests.aboutA)
    driver.select()
    driver.nodes[Self.b] = row.new
    driver.pass(50, tick: 5)
    #expect(driver.view.address == Self.b)
    #expect(driver.timelines.last?.possiblyLostBytes == row.lost)
  }

  @Test func oneThatIsGivenUpIsAborted() {
    var driver = Driver.planned(selecting: true)
    driver.giveUp()
    #expect(driver.timelines.last?.outcome == .aborted)
    #expect(driver.timelines.last?.newAddress == nil)
    #expect(driver.timelines.last?.endedMilliseconds != nil)
  }

  @Test func aFalseAlarmIsAborted() {
    var driver = Driver.withReplicas()
    driver.announce(1, "+odown", FenceTests.aboutA)
    #expect(driver.timelines.last?.outcome == .underway)
    driver.announce(1, "-odown", FenceTests.aboutA)
    driver.pass(1500)
    #expect(driver.timelines.last?.outcome == .aborted)
  }

  @Test func anAbandonedOneSaysSo() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.lose(1)
    driver.pass(4000, each: EarlyCutOverTests.survivors)
    #expect(driver.view.address == Self.a)
    #expect(driver.timelines.last?.outcome == .abandoned)
    #expect(driver.timelines.last?.confirmedMilliseconds == nil)
    #expect(driver.timelines.allSatisfy { $0.number == 1 })
  }

  @Test func aRestartIsOneOfItsKind() {
    var driver = Driver.withReplicas()
    driver.nodes[Self.a] = .master("run-a2")
    driver.report(.closed)
    let reported = driver.now
    driver.poll(1, names: Self.a)
    #expect(driver.timelines.last?.kind == .restart)
    #expect(driver.timelines.last?.outcome == .switched)
    #expect(driver.timelines.last?.newAddress == Self.a)
    #expect(driver.timelines.last?.firstSignMilliseconds ?? .max <= reported)
  }

  @Test func aSwitchWithoutAnyEventIsOfUnknownKind() {
    var driver = Driver.withReplicas()
    driver.nodes[Self.b] = .promoted()
    driver.pollAll(names: Self.b, epoch: 2)
    #expect(driver.timelines.last?.kind == .unknown)
    #expect(driver.timelines.last?.outcome == .switched)
    #expect(driver.timelines.last?.confirmedMilliseconds != nil)
  }

  @Test func theFirstMasterAndAPassingSuspicionAreNoFailovers() {
    var driver = Driver.withReplicas()
    driver.report(.closed)
    driver.pass(5000)
    #expect(driver.timelines.isEmpty)
    // The old suspicion is not the first sign of what comes much later.
    let later = driver.now
    driver.announce(1, "+try-failover", FenceTests.aboutA)
    #expect(driver.timelines.last?.firstSignMilliseconds ?? .min >= later)
  }

  // MARK: The number of replicas

  @Test func promotableReplicasAreCountedByTheLatestListThatIsAboutOurMaster() {
    var driver = Driver.withReplicas()
    #expect(driver.view.replicaCount == 2)
    let replicas = [
      ReplicaRecord(address: Self.b), ReplicaRecord(address: Driver.c, flags: .subjectivelyDown),
      ReplicaRecord(address: NodeAddress(host: "10.0.0.4", port: 6379), priority: 0),
      ReplicaRecord(address: NodeAddress(host: "10.0.0.5", port: 6379)),
    ]
    driver.poll(1, names: Self.a, replicas: replicas)
    #expect(driver.view.replicaCount == 3, "down or not, but for priority 0")
    driver.poll(2, names: Self.a)
    #expect(driver.view.replicaCount == 3, "no list, no news")
    driver.poll(3, names: Self.b, epoch: 0, replicas: [])
    #expect(driver.view.replicaCount == 3, "another master's")
    driver.lose(1)
    #expect(driver.view.replicaCount == 2)
  }

  @Test func aFixedMasterCountsTheConnectedOnes() {
    let node = NodeAddress(host: "redis", port: 6379)
    var tracker = FixedTracker(address: node)
    _ = tracker.handle(.tick, nowMilliseconds: 0)
    for (count, now) in [(2, Int64(1)), (1, 2), (0, 3)] {
      let identity = NodeIdentity(role: "master", runID: "r", replicaCount: count)
      let actions = tracker.handle(.nodeProbed(node, identity), nowMilliseconds: now)
      #expect(tracker.view.replicaCount == count)
      #expect(actions.contains(.publish(tracker.view)))
    }
  }
}
