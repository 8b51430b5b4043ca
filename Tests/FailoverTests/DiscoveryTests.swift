// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

/// Which sentinels are watched, and what their events trigger.
@Suite struct DiscoveryTests {
  typealias Driver = TrackerDriver

  static let extra = NodeAddress(host: "10.0.1.4", port: 26379)

  @Test func listedSentinelsAreWatchedAndForgottenWhenNobodyListsThem() {
    var driver = Driver.settled()
    driver.poll(1, names: Driver.a, peers: [PeerSentinel(address: Self.extra, id: "id-4")])
    #expect(driver.watched == Driver.sentinels + [Self.extra])
    driver.send(.sentinelFailed(Self.extra, .timedOut))
    driver.pass(70_000)
    #expect(driver.watched.contains(Self.extra), "still listed")
    driver.poll(1, names: Driver.a, peers: [])
    driver.pass(61_000)
    #expect(driver.watched == Driver.sentinels)
  }

  @Test func seedsAreNeverDropped() {
    var driver = Driver.settled()
    for number in 1...3 { driver.lose(number) }
    driver.pass(200_000)
    #expect(driver.watched == Driver.sentinels)
  }

  @Test func listedAddressOfAKnownIdentityIsNotWatchedTwice() {
    var driver = Driver.settled()
    driver.poll(1, names: Driver.a, peers: [PeerSentinel(address: Self.extra, id: "id-2")])
    #expect(driver.watched == Driver.sentinels)
  }

  @Test func sentinelThatMovedIsFoundByItsIdentity() {
    var driver = Driver.settled()
    driver.lose(2)
    driver.poll(1, names: Driver.a, peers: [PeerSentinel(address: Self.extra, id: "id-2")])
    #expect(driver.watched == Driver.sentinels, "more likely down than moved")
    driver.pass(31_000)
    #expect(driver.watched == Driver.sentinels + [Self.extra])
    driver.poll(2, names: Driver.a)
    driver.send(.tick)
    #expect(driver.watched.prefix(3) == Driver.sentinels[...])
  }

  @Test func secondAddressOfAnAnsweringIdentityIsDropped() {
    var driver = Driver.settled()
    driver.poll(1, names: Driver.a, peers: [PeerSentinel(address: Self.extra, id: "id-4")])
    let record = MasterRecord(configEpoch: 1)
    driver.send(
      .sentinelPolled(
        SentinelPoll(
          address: Self.extra, id: "id-2", before: record, master: Driver.a, after: record)))
    driver.poll(1, names: Driver.a, peers: [])
    #expect(driver.watched == Driver.sentinels)
  }

  @Test func watchedSentinelsAreBounded() {
    var driver = Driver.settled()
    let peers = (0..<500).map {
      PeerSentinel(address: NodeAddress(host: "10.1.0.\($0)", port: 1), id: "p\($0)")
    }
    driver.poll(1, names: Driver.a, peers: peers)
    #expect(driver.watched.count == 32)
    #expect(Array(driver.watched.prefix(3)) == Driver.sentinels)
  }

  @Test func lossAndReturnOfASentinelAreSaidOnce() {
    var driver = Driver.settled()
    driver.lose(2)
    driver.lose(2)
    driver.poll(2, names: Driver.a)
    driver.poll(2, names: Driver.a)
    let lost = driver.notes.filter { if case .sentinelLost = $0 { true } else { false } }
    #expect(lost.count == 1)
    #expect(driver.notes.filter { $0 == .sentinelBack(Driver.sentinels[1]) }.count == 1)
  }

  @Test func refusedCredentialsAtASentinelAreSaidOnce() {
    var driver = Driver.settled()
    for _ in 0..<3 {
      driver.send(.sentinelFailed(Driver.sentinels[0], .authentication("WRONGPASS")))
    }
    let note = TrackerNote.authenticationFailed(
      Driver.sentinels[0], isSentinel: true, message: "WRONGPASS")
    #expect(driver.notes.filter { $0 == note }.count == 1)
  }

  static let triggers = [
    ("+sdown", "master sessions 10.0.0.1 6379"),
    ("+odown", "master sessions 10.0.0.1 6379 #quorum 2/2"),
    ("-odown", "master sessions 10.0.0.1 6379"),
    ("+try-failover", "master sessions 10.0.0.1 6379"),
    ("+elected-leader", "master sessions 10.0.0.1 6379"),
    ("+failover-state-select-slave", "master sessions 10.0.0.1 6379"),
    ("+selected-slave", "slave b 10.0.0.2 6379 @ sessions 10.0.0.1 6379"),
    ("+promoted-slave", "slave b 10.0.0.2 6379 @ sessions 10.0.0.1 6379"),
    ("+config-update-from", "sentinel x 10.0.1.1 26379 @ sessions 10.0.0.1 6379"),
    ("+switch-master", "sessions 10.0.0.1 6379 10.0.0.2 6379"),
    ("-role-change", "slave b 10.0.0.2 6379 @ sessions 10.0.0.1 6379 new reported role is master"),
    ("+reset-master", "master sessions 10.0.0.1 6379"),
    ("-monitor", "master sessions 10.0.0.1 6379"),
    ("-tilt", "#tilt mode exited"),
  ]

  @Test(arguments: triggers) func eventsTriggerDiscoveryAndNothingElse(
    name: String, payload: String
  ) {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    let before = (driver.pollsWanted, driver.view)
    driver.announce(1, name, payload)
    #expect(driver.pollsWanted == before.0 + 1)
    // Writes may have to wait from here on, and a record is begun.
    var after = driver.view
    after.fence = nil
    after.failoverNumber = before.1.failoverNumber
    #expect(after == before.1, "no event is the answer")
    #expect(driver.pace != .stable)
  }

  @Test func switchIsProbedAtOnceAndFollowedByTheFirstPoll() {
    var driver = Driver.settled()
    driver.nodes[Driver.a] = .down
    driver.nodes[Driver.b] = .master("run-b")
    driver.announce(1, "+switch-master", "sessions 10.0.0.1 6379 10.0.0.2 6379")
    #expect(driver.probes.last == Driver.b)
    let before = driver.now
    driver.poll(1, names: Driver.b, epoch: 2)
    #expect(driver.view.address == Driver.b)
    #expect(driver.now - before <= 10)
  }

  static let noise = [
    ("+switch-master", "sessions 10.0.0.1 6379 10.0.0.2"),
    ("+switch-master", "sessions 10.0.0.1 6379 10.0.0.2 0"),
    ("+switch-master", "other 10.0.0.1 6379 10.0.0.2 6379"),
    ("+odown", "master other 10.0.0.1 6379"),
    ("+odown", "master sessions 10.0.0.1 port"),
    ("+odown", ""),
    ("+selected-slave", "slave b 10.0.0.2 6379 @ other 10.0.0.1 6379"),
    ("__sentinel__:hello", "10.0.0.2,26379,x,9,sessions,10.0.0.2,6379,9"),
    ("", ""),
    ("+fix-slave-config", "slave b 10.0.0.2 6379 @ sessions 10.0.0.1 6379"),
    ("+odown", String(repeating: "x ", count: 2000)),
  ]

  @Test(arguments: noise) func othersEventsAndMalformedOnesAreIgnored(
    name: String, payload: String
  ) {
    var driver = Driver.settled()
    let before = (driver.pollsWanted, driver.probes.count, driver.notes.count)
    driver.announce(1, name, payload)
    #expect(before == (driver.pollsWanted, driver.probes.count, driver.notes.count))
  }

  @Test func unknownSentinelsAreIgnored() {
    var driver = Driver.settled()
    driver.nodes[Driver.b] = .master("run-b")
    let before = (driver.pollsWanted, driver.views.count, driver.notes.count)
    let record = MasterRecord(configEpoch: 9)
    driver.send(
      .sentinelPolled(
        SentinelPoll(
          address: Self.extra, id: "x", before: record, master: Driver.b, after: record)))
    driver.send(.sentinelFailed(Self.extra, .timedOut))
    driver.send(.subscribed(Self.extra))
    driver.send(
      .announced(
        sentinel: Self.extra, name: "+switch-master",
        payload: "sessions 10.0.0.1 6379 10.0.0.2 6379"))
    #expect(before == (driver.pollsWanted, driver.views.count, driver.notes.count))
  }

  @Test func subscriptionIsFollowedByAPoll() {
    var driver = Driver.settled()
    let before = driver.pollsWanted
    driver.send(.subscribed(Driver.sentinels[0]))
    #expect(driver.pollsWanted == before + 1)
  }

  @Test func paceCalmsDown() {
    var driver = Driver.settled()
    #expect(driver.pace == .urgent)
    driver.pass(4000)
    #expect(driver.pace == .stable)
    let probes = driver.probes.count
    driver.pass(10_000)
    #expect((5...8).contains(driver.probes.count - probes), "about one in 1.5 seconds")
    driver.poll(1, names: Driver.a, flags: .subjectivelyDown)
    #expect(driver.pace == .urgent)
  }
}
