// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

@Suite struct EpochRulesTests {
  typealias Driver = TrackerDriver

  @Test func agreedMasterIsServedOnceItSaysSo() {
    var driver = Driver()
    #expect(driver.watched == Driver.sentinels)
    #expect(driver.view.isWaiting)
    driver.nodes[Driver.a] = .replica("run-a")
    driver.pollAll(names: Driver.a)
    #expect(!driver.isServing, "the node itself does not say master")
    driver.nodes[Driver.a] = .master("run-a")
    driver.pass(200)
    #expect(driver.view.state == .serving(isProvisional: false))
    #expect(driver.view.generation == 1)
    #expect(driver.view.address == Driver.a)
    #expect(driver.view.runID == "run-a")
  }

  @Test func oneReachableSentinelIsEnoughAtTheStart() {
    var driver = Driver()
    driver.lose(2)
    driver.lose(3)
    driver.poll(1, names: Driver.a)
    #expect(driver.view.state == .serving(isProvisional: false))
  }

  @Test func aStaleFirstAnswerWaitsForTheOthers() {
    var driver = Driver()
    driver.nodes[Driver.b] = .master("run-b")
    driver.poll(1, names: Driver.a, epoch: 1)
    #expect(!driver.isServing)
    driver.poll(2, names: Driver.b, epoch: 2)
    driver.poll(3, names: Driver.b, epoch: 2)
    #expect(driver.view.address == Driver.b)
    #expect(driver.view.generation == 1)
  }

  @Test func aSilentSentinelDelaysTheStartByTheSettleTimeOnly() {
    var driver = Driver()
    driver.poll(1, names: Driver.a)
    #expect(!driver.isServing)
    driver.pass(250)
    #expect(driver.isServing)
  }

  @Test func addressCountsOnlyBetweenEqualEpochs() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    let wanted = driver.pollsWanted
    driver.poll(1, names: Driver.b, epoch: 2, epochBefore: 1)
    #expect(driver.view.address == Driver.a)
    #expect(driver.pollsWanted > wanted, "asked again at once")
    driver.poll(1, names: Driver.b, epoch: 2)
    #expect(driver.view.address == Driver.b)
  }

  @Test func higherEpochOfOneSentinelIsFollowedOnceTheNodeSaysMaster() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .down
    driver.poll(1, names: Driver.b, epoch: 2)
    #expect(driver.view.address == Driver.a, "b does not say master yet")
    driver.nodes[Driver.b] = .master("run-b")
    driver.pass(150)
    #expect(driver.view.address == Driver.b)
    #expect(driver.view.generation == 2)
    #expect(driver.view.state == .serving(isProvisional: false), "the old master is dead")
  }

  @Test func minorityIsProvisionalWhileTheOldMasterLivesUntilAMajorityFollows() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    driver.poll(1, names: Driver.b, epoch: 2)
    #expect(driver.view.address == Driver.b)
    #expect(driver.view.isProvisional)
    driver.poll(2, names: Driver.b, epoch: 2)
    #expect(driver.view.state == .serving(isProvisional: false))
    #expect(driver.notes.contains(.generationConfirmed(2)))
    driver.lose(1)
    driver.lose(2)
    #expect(driver.view.state == .serving(isProvisional: false), "confirmed stays confirmed")
  }

  @Test func provisionalEndsWhenTheOldMasterIsDemoted() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    driver.poll(1, names: Driver.b, epoch: 2)
    #expect(driver.view.isProvisional)
    driver.nodes[Driver.a] = .replica("run-a")
    driver.pass(200)
    #expect(driver.view.state == .serving(isProvisional: false))
  }

  @Test func oneSentinelByTwoAddressesHasOneVote() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    driver.poll(1, names: Driver.b, epoch: 2, id: "id-1")
    driver.poll(2, names: Driver.b, epoch: 2, id: "id-1")
    // id-1 twice against id-3.
    #expect(driver.tracker.status.sentinelsReachable == 2)
    #expect(driver.view.isProvisional)
  }

  @Test func equalEpochWithAnotherAddressIsNotFollowedWithoutAMajority() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    driver.poll(1, names: Driver.b, epoch: 1)
    driver.pass(500)
    #expect(driver.view.address == Driver.a)
    #expect(driver.isServing)
    let disagreements = driver.notes.filter {
      if case .sentinelsDisagree = $0 { true } else { false }
    }
    #expect(disagreements.count == 1, "said once")
    driver.poll(2, names: Driver.b, epoch: 1)
    #expect(driver.view.address == Driver.b, "two of three, and ROLE master")
  }

  @Test func equalEpochsAtTheStartNeedAMajority() {
    var driver = Driver()
    driver.nodes[Driver.b] = .master("run-b")
    driver.lose(3)
    driver.poll(1, names: Driver.a)
    driver.poll(2, names: Driver.b)
    driver.pass(1000)
    #expect(!driver.isServing)
    driver.poll(3, names: Driver.b)
    #expect(driver.view.address == Driver.b)
  }

  @Test func forgedEqualEpochWithOthersUnreachableIsNotFollowed() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    driver.lose(2)
    driver.lose(3)
    driver.poll(1, names: Driver.b, epoch: 1)
    driver.pass(5000)
    #expect(driver.view.address == Driver.a)
    #expect(driver.isServing)
  }

  @Test func lowerEpochOfAMinorityIsIgnored() {
    var driver = Driver.settled()
    driver.pollAll(names: Driver.a, epoch: 5)
    driver.nodes[Driver.b] = .master("run-b")
    driver.pass(5000) { $0.poll(1, names: Driver.b, epoch: 2) }
    #expect(driver.view.address == Driver.a)
    #expect(driver.view.generation == 1)
  }

  @Test func resetOfAMajorityIsBelievedAfterThreeSecondsAndTwoPolls() {
    var driver = Driver.settled()
    driver.pollAll(names: Driver.a, epoch: 5)
    driver.nodes[Driver.b] = .master("run-b")
    driver.pollAll(names: Driver.b, epoch: 0)
    driver.pass(2500) { $0.pollAll(names: Driver.b, epoch: 0) }
    #expect(driver.view.address == Driver.a)
    driver.pass(1000) { $0.pollAll(names: Driver.b, epoch: 0) }
    #expect(driver.view.address == Driver.b)
    #expect(driver.tracker.status.configEpoch == 0)
  }

  @Test func resetIsNotBelievedWhileOneReportsOurs() {
    var driver = Driver.settled()
    driver.pollAll(names: Driver.a, epoch: 5)
    driver.nodes[Driver.b] = .master("run-b")
    driver.pass(5000) {
      $0.poll(1, names: Driver.b, epoch: 0)
      $0.poll(2, names: Driver.b, epoch: 0)
      $0.poll(3, names: Driver.a, epoch: 5)
    }
    #expect(driver.view.address == Driver.a)
  }

  @Test func resetNeedsRoleMaster() {
    var driver = Driver.settled()
    driver.pollAll(names: Driver.a, epoch: 5)
    driver.pass(5000) { $0.pollAll(names: Driver.b, epoch: 0) }
    #expect(driver.view.address == Driver.a)
  }

  @Test func higherEpochForTheSameNodeIsNoNewGeneration() {
    var driver = Driver.settled()
    driver.pollAll(names: Driver.a, epoch: 7)
    #expect(driver.view.generation == 1)
    #expect(driver.tracker.status.configEpoch == 7)
  }

  @Test func thereAndBackIsThreeGenerations() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .replica("run-a")
    driver.nodes[Driver.b] = .master("run-b")
    driver.pollAll(names: Driver.b, epoch: 2)
    driver.nodes[Driver.a] = .master("run-a")
    driver.nodes[Driver.b] = .replica("run-b")
    driver.pollAll(names: Driver.a, epoch: 3)
    #expect(driver.view.generation == 3)
    #expect(driver.view.address == Driver.a)
  }

  @Test func majorityNamingAnUnverifiedNodeStopsUseOfTheOldOne() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .down
    driver.pollAll(names: Driver.b, epoch: 2)
    #expect(driver.view.isWaiting, "what is written to the old master will be lost")
    driver.pass(5000)
    #expect(driver.view.isWaiting, "a failover has come: not hopeless")
  }
}
