// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

/// Requests fail fast only when no master is usable and no failover can come.
@Suite struct HopelessTests {
  typealias Driver = TrackerDriver

  static func dead() -> Driver {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .down
    driver.report(.closed)
    return driver
  }

  @Test func deadMasterWithAQuorumIsAwaitedWithoutEnd() {
    var driver = Self.dead()
    driver.pass(60_000)
    #expect(driver.view.isWaiting)
  }

  @Test func lostQuorumIsHopelessAfterTheGraceAndRecoversAtOnce() {
    var driver = Self.dead()
    driver.lose(2)
    driver.lose(3)
    driver.pass(1000)
    #expect(driver.view.isWaiting)
    driver.pass(1000)
    #expect(driver.view.isHopeless)
    #expect(driver.notes.contains(.quorumLost(alive: 1, needed: 2)))
    driver.poll(2, names: Driver.a)
    #expect(driver.view.isWaiting)
    #expect(driver.notes.contains(.quorumRestored(alive: 2, needed: 2)))
  }

  @Test func peersThatOnlyWeCannotReachCount() {
    var driver = Self.dead()
    let peers = [
      PeerSentinel(address: Driver.sentinels[1], id: "id-2"),
      PeerSentinel(address: Driver.sentinels[2], id: "id-3"),
    ]
    driver.poll(1, names: Driver.a, peers: peers)
    driver.lose(2)
    driver.lose(3)
    driver.pass(5000)
    #expect(driver.view.isWaiting)
    let down = peers.map { PeerSentinel(address: $0.address, id: $0.id, flags: .disconnected) }
    driver.poll(1, names: Driver.a, peers: down)
    driver.pass(2000)
    #expect(driver.view.isHopeless)
  }

  @Test func noSentinelAtAllIsHopeless() {
    var driver = Self.dead()
    for number in 1...3 { driver.lose(number) }
    driver.pass(2000)
    #expect(driver.view.isHopeless)
    driver.nodes[Driver.a] = .master("run-a")
    driver.pass(200)
    #expect(driver.isServing)
  }

  @Test(arguments: ["no-good-slave", "not-elected", "slave-timeout"])
  func abortedFailoverIsHopelessUntilAnotherStarts(reason: String) {
    var driver = Self.dead()
    let payload = "master sessions 10.0.0.1 6379"
    driver.announce(1, "+try-failover", payload)
    driver.announce(1, "-failover-abort-\(reason)", payload)
    driver.pass(2000)
    #expect(driver.view.isHopeless)
    #expect(
      driver.notes.contains(.failoverAborted(sentinel: Driver.sentinels[0], reason: reason)))
    driver.announce(2, "+try-failover", payload)
    #expect(driver.view.isWaiting)
  }

  @Test(arguments: [
    (ReplicaRecord(address: TrackerDriver.b, priority: 0), true),
    (ReplicaRecord(address: TrackerDriver.b, flags: .subjectivelyDown), true),
    (ReplicaRecord(address: TrackerDriver.b, flags: .disconnected), true),
    (ReplicaRecord(address: TrackerDriver.b), false),
  ])
  func unusableReplicasAreHopeless(replica: ReplicaRecord, isHopeless: Bool) {
    var driver = Self.dead()
    for number in 1...3 { driver.poll(number, names: Driver.a, replicas: [replica]) }
    driver.pass(2000)
    #expect(driver.view.isHopeless == isHopeless)
    driver.poll(1, names: Driver.a, replicas: [ReplicaRecord(address: Driver.c)])
    #expect(driver.view.isWaiting)
  }

  @Test func unknownMasterNameIsHopelessAndSaidOncePerSentinel() {
    var driver = Driver()
    for number in 1...3 {
      for _ in 0..<2 {
        driver.send(
          .sentinelPolled(
            SentinelPoll(
              address: Driver.sentinels[number - 1], id: "id-\(number)", before: nil, master: nil,
              after: nil)))
      }
    }
    driver.pass(2000)
    #expect(driver.view.isHopeless)
    let unknown = driver.notes.filter {
      if case .masterNameUnknown = $0 { true } else { false }
    }
    #expect(unknown.count == 3)
  }

  @Test func reachableMasterIsServedWhateverElseIsLost() {
    var driver = Driver.settled()
    driver.announce(1, "-failover-abort-no-good-slave", "master sessions 10.0.0.1 6379")
    for number in 1...3 { driver.lose(number) }
    driver.pass(10_000)
    #expect(driver.isServing)
  }
}
