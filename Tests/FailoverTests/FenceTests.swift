// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

/// Writes wait from the moment a failover of the master is sure, until a node or a majority decides.
@Suite struct FenceTests {
  typealias Driver = TrackerDriver

  static let a = Driver.a
  static let b = Driver.b
  static let c = Driver.c
  static let aboutA = "master sessions 10.0.0.1 6379"
  static let bOfA = "slave b 10.0.0.2 6379 @ sessions 10.0.0.1 6379"

  // MARK: What raises it

  /// The first word about a failover, whether it comes after `+odown`, and whether it fences.
  static let beginnings: [(name: String, payload: String, isDown: Bool, isFenced: Bool)] = [
    ("+try-failover", aboutA, false, true),
    ("+try-failover", aboutA, true, false),
    ("+elected-leader", aboutA, true, true),
    ("+failover-state-select-slave", aboutA, true, true),
    ("+selected-slave", bOfA, true, true),
    ("+failover-state-send-slaveof-noone", bOfA, true, true),
    ("+failover-state-wait-promotion", bOfA, true, true),
    ("+promoted-slave", bOfA, true, true),
    ("+failover-state-reconf-slaves", aboutA, true, true),
    ("+failover-state-wait-start", aboutA, true, false),
    ("+failover-state-select-slave", aboutA, false, true),
    // Another master of the same name, another name, no address, no failover.
    ("+try-failover", "master sessions 10.0.0.9 6379", false, false),
    ("+failover-state-select-slave", "master sessions 10.0.0.1 6380", true, false),
    ("+failover-state-select-slave", "master other 10.0.0.1 6379", true, false),
    ("+selected-slave", "slave b 10.0.0.2 6379 @ sessions 10.0.0.9 6379", true, false),
    ("+selected-slave", "slave b 10.0.0.2 6379 @ sessions", true, false),
    ("+selected-slave", "slave b 10.0.0.2 6379 @ sessions x", true, false),
    ("+failover-end", aboutA, false, false),
    ("+switch-master", "sessions 10.0.0.1 6379 10.0.0.2 6379", false, false),
    ("-failover-abort-no-good-slave", aboutA, false, false),
    ("+vote-for-leader", aboutA, true, false),
  ]

  @Test(arguments: beginnings)
  func begins(_ row: (name: String, payload: String, isDown: Bool, isFenced: Bool)) {
    var driver = Driver.withReplicas()
    if row.isDown { driver.announce(1, "+odown", Self.aboutA) }
    driver.announce(1, row.name, row.payload)
    #expect((driver.view.fence != nil) == row.isFenced)
    #expect(driver.isServing, "reads go on")
    #expect(driver.view.generation == 1)
    if row.isFenced {
      #expect(driver.pace == .failover)
      #expect(driver.leaderPolls.contains(Driver.sentinels[0]))
    }
  }

  static let polled: [(flags: InstanceFlags, state: String?, isFenced: Bool)] = [
    (.failoverInProgress, "wait_start", false),
    ([.failoverInProgress, .forcedFailover], "wait_start", true),
    (.failoverInProgress, "select_slave", true),
    (.failoverInProgress, "send_slaveof_noone", true),
    (.failoverInProgress, "wait_promotion", true),
    (.failoverInProgress, "none", false),
    (.failoverInProgress, nil, false),
    ([], "wait_promotion", false),
    (.objectivelyDown, nil, false),
  ]

  @Test(arguments: polled)
  func aPollMayBeTheFirstToTell(_ row: (flags: InstanceFlags, state: String?, isFenced: Bool)) {
    var driver = Driver.withReplicas()
    driver.poll(2, names: Self.a, flags: row.flags, state: row.state)
    #expect((driver.view.fence != nil) == row.isFenced)
  }

  @Test(arguments: ["reconf_slaves", "update_config"])
  func aLeaderThatNamesThePromotedOneFencesTheOldUntilItIsVerified(state: String) {
    var driver = Driver.withReplicas()
    driver.nodes[Self.b] = .frozen
    driver.poll(2, names: Self.b, epoch: 2, flags: .failoverInProgress, state: state)
    #expect(driver.view.fence != nil)
    #expect(driver.view.address == Self.a)
    driver.nodes[Self.b] = .promoted()
    driver.pass(200)
    #expect(driver.view.address == Self.b)
    #expect(driver.view.fence == nil, "a new generation drops it")
  }

  @Test func objectivelyDownIsKeptPerSentinelAndFollowsPollsAndEvents() {
    var driver = Driver.withReplicas()
    driver.announce(1, "+odown", Self.aboutA)
    driver.announce(1, "-odown", Self.aboutA)
    driver.announce(2, "+odown", Self.aboutA)
    driver.announce(1, "+try-failover", Self.aboutA)
    #expect(driver.view.fence != nil, "sentinel 1 sees it up: a commanded failover")
    driver = Driver.withReplicas()
    driver.poll(1, names: Self.a, flags: .objectivelyDown)
    driver.announce(1, "+try-failover", Self.aboutA)
    #expect(driver.view.fence == nil)
    driver.poll(1, names: Self.a)
    driver.announce(1, "+try-failover", Self.aboutA)
    #expect(driver.view.fence != nil)
  }

  @Test func anUnknownSentinelRaisesNothing() {
    var driver = Driver.withReplicas()
    driver.send(
      .announced(
        sentinel: NodeAddress(host: "stranger", port: 1), name: "+failover-state-select-slave",
        payload: Self.aboutA))
    #expect(driver.view.fence == nil)
  }

  @Test func eachFenceHasItsNumberAndIsNotedOnce() {
    var driver = Driver.planned()
    driver.announce(1, "+elected-leader", Self.aboutA)
    driver.announce(1, "+failover-state-select-slave", Self.aboutA)
    let fence = driver.view.fence
    #expect(fence?.number == 1)
    #expect(fence?.coveredMilliseconds == .min)
    #expect(driver.fenceNotes == ["raised 1"])
    driver.giveUp()
    #expect(driver.view.fence == nil)
    driver.announce(2, "+try-failover", Self.aboutA)
    #expect(driver.view.fence?.number == 2)
    #expect(driver.fenceNotes == ["raised 1", "lifted 1", "raised 2"])
  }

  // MARK: While it stands

  @Test func nodesAndLeaderAreAskedOftenThenLess() {
    var driver = Driver.planned(selecting: true)
    let before = driver.now
    driver.pass(1000, tick: 5) { if $0.now % 50 < 5 { $0.leading() } }
    let elapsed = Int(driver.now - before)
    for node in [Self.a, Self.b] {
      let asked = driver.probes.filter { $0 == node }.count
      #expect(asked > elapsed / 12, "\(node)")
    }
    let polls = driver.leaderPolls.filter { $0 == Driver.sentinels[0] }.count
    #expect((elapsed / 80...elapsed / 40).contains(polls))
    driver.pass(2000, tick: 5) { if $0.now % 50 < 5 { $0.leading() } }
    #expect(driver.pace == .urgent)
    driver.probes = []
    let slow = driver.now
    driver.pass(1000) { $0.leading() }
    let asked = driver.probes.filter { $0 == Self.b }.count
    #expect((8...25).contains(asked * 1000 / Int(driver.now - slow)))
    #expect(driver.view.fence != nil)
  }

  @Test func repliesAreCoveredOnceTheReplicaHasThem() {
    var driver = Driver.planned()
    driver.nodes[Self.a] = .master(at: 1000)
    driver.nodes[Self.b] = .replica(at: 900)
    driver.announce(1, "+selected-slave", Self.bOfA)
    driver.pass(50, tick: 5)
    #expect(driver.view.fence?.coveredMilliseconds == .min, "100 bytes behind")
    let caughtUp = driver.now
    driver.nodes[Self.b] = .replica(at: 1000)
    driver.pass(50, tick: 5)
    let covered = driver.view.fence?.coveredMilliseconds ?? .min
    #expect(covered > caughtUp)
    #expect(covered <= driver.now)
    driver.nodes[Self.a] = .master(at: 2000)
    driver.pass(20, tick: 5)
    let stalled = driver.view.fence?.coveredMilliseconds ?? .min
    driver.pass(100, tick: 5)
    #expect(driver.view.fence?.coveredMilliseconds == stalled)
    let all = driver.views.compactMap(\.fence?.coveredMilliseconds)
    #expect(all == all.sorted(), "only rises")
  }

  static let strangers: [TrackerDriver.Node] = [
    .says(
      NodeIdentity(
        role: "slave", runID: "run-b", offset: 9999, replicationID: "other", master: a,
        isLinkedToMaster: true)),
    .says(NodeIdentity(role: "slave", runID: "run-b", offset: 9999, master: a)),
    .replica("run-b"), .down, .frozen, .busy,
  ]

  @Test(arguments: strangers.indices) func nothingIsCoveredByAnotherHistory(index: Int) {
    var driver = Driver.planned()
    driver.nodes[Self.b] = Self.strangers[index]
    driver.select()
    driver.pass(100, tick: 5)
    #expect(driver.view.fence?.coveredMilliseconds == .min)
  }

  @Test func theSelectedReplicaIsKnownFromAPollToo() {
    var driver = Driver.planned()
    driver.nodes[Self.c] = .replica(at: 1000)
    driver.leading(state: "wait_promotion", promoted: Self.c)
    #expect(driver.probes.last == Self.c)
    driver.pass(50, tick: 5)
    #expect(driver.view.fence?.coveredMilliseconds ?? .min > 0)
  }

  // MARK: What lifts it

  /// What each party says after the failover was given up, and whether the fence lifts.
  static let ends: [(old: Driver.Node, replica: Driver.Node, hasFlag: Bool, isLifted: Bool)] = [
    (.master(at: 1000), .replica(at: 900), false, true),
    (.master(at: 1000), .replica(at: 900), true, false),
    (.replica("run-a"), .replica(at: 900), false, false),
    (.frozen, .replica(at: 900), false, false),
    (.master(at: 1000), .promoted(), false, false),
    (.master(at: 1000), .down, false, false),
    (
      .master(at: 1000),
      .says(NodeIdentity(role: "slave", runID: "run-b", master: a)), false, false
    ),
    (
      .master(at: 1000),
      .says(NodeIdentity(role: "slave", runID: "run-b", master: c, isLinkedToMaster: true)), false,
      false
    ),
  ]

  @Test(arguments: ends.indices) func liftsOnlyWhenAllAgree(index: Int) {
    let row = Self.ends[index]
    // Not followed early: the fence is looked at alone.
    var driver = Driver.planned(selecting: true) { $0.earlyCutOver = .never }
    driver.nodes[Self.a] = row.old
    driver.nodes[Self.b] = row.replica
    driver.pass(1000, tick: 10) { if row.hasFlag { $0.leading() } else { $0.idle() } }
    #expect((driver.view.fence == nil) == row.isLifted)
  }

  static let finalWords = [
    ("-failover-abort-slave-timeout", aboutA), ("-failover-abort-no-good-slave", aboutA),
    ("+failover-end", aboutA), ("+switch-master", "sessions 10.0.0.1 6379 10.0.0.2 6379"),
    ("-odown", aboutA), ("+failover-end-for-timeout", aboutA),
  ]

  @Test(arguments: finalWords) func noAnnouncementLiftsIt(name: String, payload: String) {
    var driver = Driver.planned(selecting: true)
    let polls = driver.pollsWanted
    driver.announce(1, name, payload)
    #expect(driver.pollsWanted > polls)
    driver.pass(1000)
    #expect(driver.view.fence != nil)
  }

  @Test func anAnswerToAnOlderQuestionDoesNotLiftIt() {
    var driver = Driver.planned()
    driver.idle()
    driver.pass(30, tick: 5)
    #expect(driver.view.fence != nil, "it may have been asked before the failover began")
    driver.idle()
    driver.pass(30, tick: 5)
    #expect(driver.view.fence == nil)
  }

  @Test func anotherSentinelsAnswersDoNotLiftIt() {
    var driver = Driver.planned()
    driver.pass(2000) {
      $0.poll(2, names: Self.a)
      $0.poll(3, names: Self.a)
    }
    #expect(driver.view.fence != nil)
  }

  @Test func aLostLeaderIsWaitedForAndThenTheNodesDecide() {
    var driver = Driver.planned(selecting: true)
    let began = driver.now
    driver.lose(1)
    driver.pass(14_000) { $0.poll(2, names: Self.a) }
    #expect(driver.view.fence != nil)
    driver.pass(2000) { $0.poll(2, names: Self.a) }
    #expect(driver.view.fence == nil)
    #expect(driver.now - began > 15_000)
    #expect(driver.view.generation == 1)
  }

  @Test func aReplicaThatNeverReturnsIsNotWaitedForWithoutEnd() {
    var driver = Driver.planned(selecting: true)
    driver.nodes[Self.b] = .down
    driver.pass(14_000) { $0.idle() }
    #expect(driver.view.fence != nil)
    driver.pass(3000) { driver in for number in 1...3 { driver.poll(number, names: Self.a) } }
    #expect(driver.view.fence == nil, "a majority names the old one")
  }

  @Test func aHigherEpochForAnotherNodeKeepsIt() {
    var driver = Driver.planned()
    driver.nodes[Self.b] = .frozen
    driver.poll(3, names: Self.b, epoch: 2)
    driver.pass(1000) { $0.idle() }
    #expect(driver.view.fence != nil)
  }

  // MARK: Leaders

  @Test func anotherSentinelTakesOverFromALostLeader() {
    var driver = Driver.planned()
    driver.lose(1)
    driver.announce(2, "+failover-state-select-slave", Self.aboutA)
    driver.leaderPolls = []
    driver.pass(200) { $0.leading(2, state: "select_slave") }
    #expect(driver.leaderPolls.allSatisfy { $0 == Driver.sentinels[1] })
    #expect(driver.view.fence?.number == 1)
    driver.pass(200) { $0.idle(2) }
    #expect(driver.view.fence == nil)
  }

  @Test func twoLeadersMustBothBeDone() {
    var driver = Driver.planned()
    driver.announce(2, "+try-failover", Self.aboutA)
    driver.pass(500) {
      $0.idle(2)
      $0.leading(1, state: "select_slave")
    }
    #expect(driver.view.fence != nil)
    driver.pass(500) {
      $0.idle(1)
      $0.leading(2, state: "select_slave")
    }
    #expect(driver.view.fence != nil)
    driver.pass(500) {
      $0.idle(1)
      $0.idle(2)
    }
    #expect(driver.view.fence == nil)
  }

  @Test func aSecondFailoverRightAfterFencesTheNewMaster() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.pollAll(names: Self.b, epoch: 2)
    #expect(driver.view.fence == nil)
    #expect(driver.view.generation == 2)
    driver.announce(1, "+slave-reconf-sent", "slave c 10.0.0.3 6379 @ sessions 10.0.0.1 6379")
    driver.announce(1, "+failover-state-reconf-slaves", Self.aboutA)
    driver.announce(1, "+failover-end", Self.aboutA)
    #expect(driver.view.fence == nil, "the first one's last words are not about the new master")
    driver.announce(1, "+try-failover", "master sessions 10.0.0.2 6379")
    #expect(driver.view.fence?.number == 2)
    let replicas = [ReplicaRecord(address: Self.a), ReplicaRecord(address: Self.c)]
    driver.poll(2, names: Self.b, epoch: 2, replicas: replicas)
    driver.announce(1, "+selected-slave", "slave a 10.0.0.1 6379 @ sessions 10.0.0.2 6379")
    driver.nodes[Self.a] = .promoted("run-a")
    driver.pass(100, tick: 5)
    #expect(driver.view.address == Self.a)
    #expect(driver.view.generation == 3)
  }

  // MARK: The node dies meanwhile

  @Test func aDeadMasterIsAwaitedAndTheFenceStandsWhenItReturns() {
    var driver = Driver.planned(selecting: true)
    driver.nodes[Self.a] = .down
    driver.pass(100, tick: 5) { $0.leading() }
    #expect(driver.view.isWaiting)
    driver.nodes[Self.a] = .master(at: 1000)
    driver.pass(200, tick: 5) { $0.leading() }
    #expect(driver.view.fence != nil || !driver.isServing)
  }

  @Test func aRestartMeanwhileKeepsTheFence() {
    var driver = Driver.planned()
    driver.nodes[Self.a] = .master("run-a2")
    driver.pass(200) { $0.poll(2, names: Self.a) }
    #expect(driver.view.generation == 2)
    #expect(driver.view.fence?.number == 1)
  }
}
