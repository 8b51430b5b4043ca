// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

@Suite struct NodeRulesTests {
  typealias Driver = TrackerDriver

  static let suspicions: [LinkEvent] = [
    .closed, .connectFailed, .timedOut, .readOnly, .masterDown, .notMaster(role: "slave"),
    .loading, .busy, .runIDChanged("x"), .authenticationFailed("NOAUTH"),
  ]

  @Test(arguments: suspicions) func suspicionAsksTheNodeAndKeepsAGoodOne(event: LinkEvent) {
    var driver = Driver.settled()
    let before = (driver.probes.count, driver.views.count, driver.pollsWanted)
    driver.report(event)
    #expect(driver.probes.count > before.0)
    #expect(driver.pollsWanted > before.2)
    #expect(driver.views.count == before.1, "nothing changed for the shards")
    #expect(driver.pace == .urgent)
  }

  @Test(arguments: suspicions) func suspicionAboutADeadNodeMeansWaiting(event: LinkEvent) {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .down
    driver.report(event)
    #expect(driver.view.isWaiting)
    #expect(driver.view.generation == 1)
  }

  @Test func readyAndOldGenerationsAreNoSuspicion() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .down
    let probes = driver.probes.count
    driver.send(.linkReported(LinkReport(generation: 1, event: .ready)))
    driver.send(.linkReported(LinkReport(generation: 0, event: .closed)))
    driver.send(.linkReported(LinkReport(generation: 99, event: .closed)))
    #expect(driver.probes.count == probes)
    #expect(driver.isServing)
  }

  @Test func reportsDoNotTurnIntoAStormOfProbes() {
    var driver = Driver.settled()
    driver.now += 100
    let before = driver.probes.count
    for _ in 0..<50 { driver.send(.linkReported(LinkReport(generation: 1, event: .closed))) }
    #expect(driver.probes.count - before <= 4)
  }

  @Test func frozenMasterThawedBeforeAFailoverIsTheSameGeneration() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .frozen
    driver.report(.timedOut)
    #expect(driver.view.isWaiting)
    driver.nodes[Driver.a] = .master("run-a")
    driver.pass(150)
    #expect(driver.view.isWaiting, "a sentinel must be heard since")
    driver.poll(1, names: Driver.a)
    #expect(driver.isServing)
    #expect(driver.view.generation == 1)
    #expect(driver.notes.contains(.masterReachable(Driver.a, generation: 1)))
  }

  @Test func thawedMasterAboutToBeReplacedIsNotUsed() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .frozen
    driver.report(.timedOut)
    driver.nodes[Driver.a] = .master("run-a")
    let flags: InstanceFlags = [.failoverInProgress]
    driver.pass(500) { $0.poll(1, names: Self.a, flags: flags, state: "wait_promotion") }
    #expect(driver.view.isWaiting)
    driver.poll(1, names: Driver.a)
    #expect(driver.isServing, "the failover was given up")
  }

  static let a = Driver.a

  @Test func thawedMasterWithoutAnySentinelIsUsed() {
    var driver = Driver.settled()
    for number in 1...3 { driver.lose(number) }
    #expect(driver.isServing, "a reachable master is used however few sentinels answer")
    driver.nodes[Driver.a] = .frozen
    driver.report(.timedOut)
    #expect(!driver.isServing)
    driver.nodes[Driver.a] = .master("run-a")
    driver.pass(150)
    #expect(driver.isServing)
  }

  @Test func restartAtTheSameAddressIsANewGenerationOnceASentinelConfirms() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .master("run-a2")
    driver.report(.closed)
    #expect(driver.view.isWaiting)
    driver.poll(1, names: Driver.a)
    #expect(driver.isServing)
    #expect(driver.view.generation == 2)
    #expect(driver.view.runID == "run-a2")
  }

  @Test func restartWithoutASentinelsWordIsNotUsed() {
    var driver = Driver.settled()
    for number in 1...3 { driver.lose(number) }
    driver.nodes[Driver.a] = .master("run-a2")
    driver.report(.closed)
    driver.pass(1000)
    #expect(!driver.isServing, "ROLE alone proves nothing")
  }

  @Test func restartDuringAFailoverIsNotUsed() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .master("run-a2")
    driver.report(.closed)
    driver.poll(1, names: Driver.a, flags: .failoverInProgress, state: "select_slave")
    #expect(!driver.isServing)
    driver.nodes[Driver.b] = .master("run-b")
    driver.poll(1, names: Driver.b, epoch: 2)
    #expect(driver.view.address == Driver.b)
  }

  @Test func restartedOldMasterIsNeverFollowed() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .down
    driver.nodes[Driver.b] = .master("run-b")
    driver.pollAll(names: Driver.b, epoch: 2)
    driver.nodes[Driver.a] = .master("run-a2")
    driver.pass(10_000) { $0.pollAll(names: Self.b, epoch: 2) }
    #expect(driver.view.address == Driver.b)
    #expect(driver.view.generation == 2)
  }

  static let b = Driver.b

  @Test func demotedMasterIsLeftWithoutFollowingItsMaster() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .replica("run-a")
    driver.nodes[Driver.b] = .master("run-b")
    driver.report(.readOnly)
    driver.pass(1000)
    #expect(driver.view.isWaiting)
    #expect(!driver.probes.contains(Driver.b), "no sentinel has named it")
  }

  @Test func busyNodeKeepsWhatIsKnown() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .busy
    driver.report(.busy)
    driver.pass(1000)
    #expect(driver.isServing)
  }

  @Test func refusedCredentialsAreSaidOnceAndStopUse() {
    var driver = Driver.settled()
    let refusal = TrackerEvent.nodeFailed(Driver.a, .authentication("WRONGPASS"))
    driver.send(refusal)
    driver.send(refusal)
    let note = TrackerNote.authenticationFailed(Driver.a, isSentinel: false, message: "WRONGPASS")
    #expect(driver.notes.filter { $0 == note }.count == 1)
    #expect(driver.views.contains { $0.isWaiting })
  }

  @Test func unknownNodesAreIgnored() {
    var driver = Driver.settled()
    let views = driver.views
    let stranger = NodeAddress(host: "stranger", port: 1)
    driver.send(.nodeProbed(stranger, NodeIdentity(role: "master", runID: "x")))
    driver.send(.nodeFailed(stranger, .timedOut))
    #expect(driver.views == views)
  }
}
