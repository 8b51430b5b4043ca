// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

/// A promoted replica is used before any sentinel names it, for a bounded time.
@Suite struct EarlyCutOverTests {
  typealias Driver = TrackerDriver

  static let a = Driver.a
  static let b = Driver.b
  static let c = Driver.c
  static let cOfA = "slave c 10.0.0.3 6379 @ sessions 10.0.0.1 6379"

  // MARK: Taking over

  static let modes: [(mode: EarlyCutOver, isPlanned: Bool, isEarly: Bool)] = [
    (.never, true, false), (.never, false, false),
    (.crash, true, false), (.crash, false, true),
    (.always, true, true), (.always, false, true),
  ]

  @Test(arguments: modes)
  func theSettingDecides(_ row: (mode: EarlyCutOver, isPlanned: Bool, isEarly: Bool)) {
    let mode = row.mode
    var driver =
      row.isPlanned
      ? Driver.planned(selecting: true) { $0.earlyCutOver = mode }
      : Driver.crashed { $0.earlyCutOver = mode }
    driver.promoteB()
    #expect((driver.view.address == Self.b) == row.isEarly)
    guard row.isEarly else {
      #expect(driver.view.fence != nil)
      return
    }
    #expect(driver.view.isProvisional)
    #expect(driver.view.generation == 2)
    #expect(driver.view.fence == nil)
    #expect(driver.tracker.status.configEpoch == 1, "no sentinel has named a new one")
  }

  @Test func itIsTakenWithinAFewMilliseconds() {
    var driver = Driver.planned(selecting: true)
    driver.pass(100, tick: 5)
    #expect(driver.view.generation == 1)
    driver.nodes[Self.b] = .promoted()
    let before = driver.now
    while driver.view.generation == 1, driver.now - before < 1000 { driver.pass(5, tick: 5) }
    #expect(driver.now - before <= 15)
    let evidence = driver.notes.compactMap { note in
      if case .masterSwitched(_, Self.b, _, _, let evidence) = note { evidence } else { nil }
    }
    #expect(evidence.first?.contains("no sentinel names it yet") == true)
  }

  /// Selections that must not be followed although the node says master.
  static let refused: [(why: String, events: @Sendable (inout Driver) -> Void)] = [
    (
      "nobody was selected",
      { $0.announce(1, "+failover-state-select-slave", FenceTests.aboutA) }
    ),
    (
      "an unknown sentinel's word",
      {
        $0.send(
          .announced(
            sentinel: NodeAddress(host: "stranger", port: 1), name: "+selected-slave",
            payload: FenceTests.bOfA))
      }
    ),
    (
      "of another master's name",
      { $0.select(payload: "slave b 10.0.0.2 6379 @ other 10.0.0.1 6379") }
    ),
    (
      "of another master's address",
      { $0.select(payload: "slave b 10.0.0.2 6379 @ sessions 10.0.0.9 6379") }
    ),
    (
      "a node that no sentinel lists",
      { $0.select(payload: "slave x 10.0.0.7 6379 @ sessions 10.0.0.1 6379") }
    ),
    ("the master itself", { $0.select(payload: "slave a 10.0.0.1 6379 @ sessions 10.0.0.1 6379") }),
    (
      "two leaders",
      {
        $0.select()
        $0.leading()
        $0.select(2, payload: EarlyCutOverTests.cOfA)
      }
    ),
    (
      "the leader gave up",
      {
        $0.select()
        $0.idle()
        $0.idle()
      }
    ),
    (
      "the leader started again",
      {
        $0.select()
        $0.announce(1, "+try-failover", FenceTests.aboutA)
      }
    ),
    (
      "another leader has not chosen yet",
      {
        $0.select()
        $0.lose(1)
        $0.announce(2, "+try-failover", FenceTests.aboutA)
      }
    ),
    (
      "a sentinel names another by a higher epoch",
      {
        $0.select()
        $0.poll(3, names: EarlyCutOverTests.c, epoch: 2)
      }
    ),
  ]

  @Test(arguments: refused.indices) func aMasterThatNobodyPromotedIsNotUsed(index: Int) {
    let row = Self.refused[index]
    var driver = Driver.withReplicas()
    row.events(&driver)
    driver.nodes[Self.b] = .promoted()
    driver.nodes[Self.c] = .promoted("run-c")
    driver.nodes[NodeAddress(host: "10.0.0.7", port: 6379)] = .promoted("run-x")
    if row.why.hasPrefix("a sentinel names") { driver.nodes[Self.c] = .frozen }
    driver.pass(500, tick: 5)
    #expect(driver.view.generation == 1, "\(row.why)")
  }

  @Test func anAnswerFromBeforeTheSelectionIsNoEvidence() {
    var driver = Driver.planned()
    driver.now += 1
    // The question before the selection goes out, and is answered after it.
    _ = driver.tracker.handle(
      .announced(
        sentinel: Driver.sentinels[1], name: "+promoted-slave",
        payload: "slave b 10.0.0.2 6379 @ sessions 10.0.0.9 6379"), nowMilliseconds: driver.now)
    let asked = driver.now
    driver.now += 10
    _ = driver.tracker.handle(
      .announced(
        sentinel: Driver.sentinels[0], name: "+selected-slave", payload: FenceTests.bOfA),
      nowMilliseconds: driver.now)
    driver.now += 1
    _ = driver.tracker.handle(
      .nodeProbed(Self.b, NodeIdentity(role: "master", runID: "run-b")),
      nowMilliseconds: driver.now)
    #expect(driver.view.generation == 1, "asked at \(asked)")
  }

  @Test func anUnreachableReplicaIsAskedOn() {
    var driver = Driver.planned(selecting: true)
    driver.nodes[Self.b] = .down
    driver.pass(100, tick: 5)
    #expect(driver.view.generation == 1)
    driver.promoteB()
    #expect(driver.view.generation == 2)
  }

  // MARK: While no sentinel names it

  @Test func sentinelsThatStillNameTheOldOneAreNoReasonToGoBack() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.notes = []
    driver.pass(2800) {
      $0.leading()
      $0.poll(2, names: Self.a)
      $0.poll(3, names: Self.a)
      #expect($0.view.address == Self.b)
      #expect($0.view.isProvisional)
      #expect($0.view.fence == nil)
    }
    let disagreements = driver.notes.filter {
      if case .sentinelsDisagree = $0 { true } else { false }
    }
    #expect(disagreements.isEmpty)
  }

  @Test(arguments: [true, false]) func aHigherEpochConfirmsIt(isInTime: Bool) {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.pass(isInTime ? 1000 : 4000) { $0.leading() }
    #expect((driver.view.fence == nil) == isInTime)
    driver.poll(
      1, names: Self.b, epoch: 2, flags: .failoverInProgress, state: "reconf_slaves")
    #expect(driver.view.address == Self.b)
    #expect(driver.view.generation == 2)
    #expect(driver.view.fence == nil)
    #expect(driver.view.isProvisional, "a minority, and the old one is master yet")
    #expect(driver.tracker.status.configEpoch == 2)
    driver.poll(2, names: Self.b, epoch: 2)
    #expect(driver.view.state == .serving(isProvisional: false))
    #expect(driver.notes.contains(.generationConfirmed(2)))
  }

  @Test func unconfirmedItTakesNoWritesAfterAWhile() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    let adopted = driver.now
    driver.pass(10_000) { $0.leading() }
    let fenced = driver.views.first { $0.generation == 2 && $0.fence != nil }
    let since = fenced?.fence?.sinceMilliseconds ?? .max
    #expect((2900...3100).contains(since - adopted))
    #expect(fenced?.isProvisional == true)
    #expect(driver.view.isProvisional, "reads go on")
    #expect(driver.view.fence?.number == 2)
    #expect(driver.view.address == Self.b)
    #expect(driver.pace == .urgent)
  }

  @Test func anotherNodeByAHigherEpochIsFollowed() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.nodes[Self.c] = .master("run-c")
    driver.poll(2, names: Self.c, epoch: 3)
    #expect(driver.view.address == Self.c)
    #expect(driver.view.generation == 3)
    #expect(driver.notes.contains(.generationAbandoned(2, Self.b)))
  }

  @Test func theOldOneByAHigherEpochIsFollowed() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.poll(2, names: Self.a, epoch: 3)
    #expect(driver.view.address == Self.b, "its leader is still at it")
    driver.idle()
    driver.pass(100)
    #expect(driver.view.address == Self.a)
    #expect(driver.view.generation == 3)
  }

  @Test func itIsLeftWhenItIsNoMasterAnyMore() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.nodes[Self.b] = .replica("run-b")
    driver.pass(300) { $0.leading() }
    #expect(driver.view.isWaiting)
    #expect(driver.view.address == Self.b, "the old one is not used: nothing is decided")
  }

  @Test func aRestartOfItIsNotFollowedOnASentinelsWordAboutTheOldOne() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.nodes[Self.b] = .master("run-b2")
    driver.pass(500) { $0.poll(2, names: Self.a) }
    #expect(driver.view.isWaiting)
    driver.poll(2, names: Self.b, epoch: 2)
    #expect(driver.view.runID == "run-b2")
    #expect(driver.isServing)
  }

  // MARK: The leader dies at wait-promotion

  /// Survivors name the old master and later demote the promoted one.
  @Test(arguments: [true, false]) func theOldMasterIsTakenBackOnceAMajorityNamesIt(isDemoted: Bool)
  {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.lose(1)
    if isDemoted { driver.nodes[Self.b] = .replica(at: 1000) }
    driver.pass(2700) {
      Self.survivors(&$0)
      #expect($0.view.address == Self.b)
    }
    driver.pass(1000, each: Self.survivors)
    #expect(driver.view.address == Self.a)
    #expect(driver.view.generation == 3)
    #expect(driver.view.state == .serving(isProvisional: false))
    #expect(driver.view.fence == nil)
    #expect(driver.notes.contains(.generationAbandoned(2, Self.b)))
    driver.pass(20_000, each: Self.survivors)
    #expect(driver.view.generation == 3, "and that is that")
  }

  static func survivors(_ driver: inout Driver) {
    driver.poll(2, names: a)
    driver.poll(3, names: a)
  }

  /// What forbids to go back.
  static let undecided: [(why: String, each: @Sendable (inout Driver) -> Void)] = [
    ("one of three names it", { $0.poll(2, names: EarlyCutOverTests.a) }),
    (
      "the leader goes on",
      {
        $0.leading()
        EarlyCutOverTests.survivors(&$0)
      }
    ),
    ("nobody answers", { _ in }),
    (
      "it does not answer",
      {
        $0.nodes[EarlyCutOverTests.a] = .down
        EarlyCutOverTests.survivors(&$0)
      }
    ),
    (
      "it is a replica",
      {
        $0.nodes[EarlyCutOverTests.a] = .replica("run-a")
        EarlyCutOverTests.survivors(&$0)
      }
    ),
  ]

  @Test(arguments: undecided.indices) func elseASentinelsWordIsWaitedFor(index: Int) {
    let row = Self.undecided[index]
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    for number in 1...3 { driver.lose(number) }
    driver.pass(20_000, each: row.each)
    #expect(driver.view.address == Self.b, "\(row.why)")
    #expect(driver.view.fence != nil, "\(row.why)")
    #expect(driver.view.isServing, "reads go on: \(row.why)")
  }

  @Test(arguments: [b, c]) func survivorsOfADeadMasterFailOverAgain(choice: NodeAddress) {
    var driver = Driver.crashed()
    driver.promoteB()
    #expect(driver.view.address == Self.b)
    driver.lose(1)
    driver.pass(5000, each: Self.survivors)
    #expect(driver.view.address == Self.b)
    #expect(driver.view.fence != nil)
    driver.announce(2, "+odown", FenceTests.aboutA)
    driver.announce(2, "+try-failover", FenceTests.aboutA)
    let payload = choice == Self.b ? FenceTests.bOfA : Self.cOfA
    driver.select(2, payload: payload)
    #expect(driver.view.fence != nil)
    if choice == Self.c { driver.nodes[Self.c] = .promoted("run-c") }
    driver.pass(100, tick: 5)
    #expect(driver.view.address == choice)
    #expect(driver.view.generation == (choice == Self.b ? 2 : 3))
    driver.poll(2, names: choice, epoch: 3)
    driver.poll(3, names: choice, epoch: 3)
    #expect(driver.view.address == choice)
    #expect(driver.view.generation == (choice == Self.b ? 2 : 3))
    #expect(driver.view.state == .serving(isProvisional: false))
    #expect(driver.view.fence == nil)
  }

  @Test func aSecondFailoverFencesAnEarlyOneAtOnce() {
    var driver = Driver.crashed()
    driver.promoteB()
    driver.announce(1, "+failover-state-wait-promotion", FenceTests.bOfA)
    driver.leading(isForced: false)
    #expect(driver.view.fence == nil, "the failover that made it")
    driver.lose(1)
    driver.announce(2, "+failover-state-select-slave", FenceTests.aboutA)
    #expect(driver.view.fence?.number == 2)
    driver.pass(500, tick: 20) { $0.leading(2, state: "select_slave", isForced: false) }
    #expect(driver.view.fence?.number == 2)
    driver.pass(500, tick: 20) { $0.idle(2) }
    #expect(driver.view.fence == nil, "given up")
    #expect(driver.view.address == Self.b)
  }

  @Test func aFrozenLeaderThatReturnsIsFollowed() {
    var driver = Driver.planned(selecting: true)
    driver.promoteB()
    driver.lose(1)
    driver.pass(4000, each: Self.survivors)
    #expect(driver.view.address == Self.a)
    driver.leading(promoted: Self.b)
    driver.pass(30, tick: 5)
    #expect(driver.views.contains { $0.generation == 3 && $0.fence != nil })
    #expect(driver.view.address == Self.b, "promoted by a sentinel that leads on")
    driver.poll(1, names: Self.b, epoch: 2)
    driver.poll(2, names: Self.b, epoch: 2)
    #expect(driver.view.state == .serving(isProvisional: false))
    #expect(driver.view.generation == 4)
  }
}
