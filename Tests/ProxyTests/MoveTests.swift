// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// Subscribers whose connection is lost.
@Suite struct SubscribersOnTheMove {
  private func subscribed(
    _ rig: Rig, _ version: Int, _ command: String = "SUBSCRIBE x y"
  ) -> FakeClient {
    let client = rig.connect()
    if version == 3 { rig.send(client, "HELLO 3") }
    rig.send(client, command)
    return client
  }

  @Test(arguments: [2, 3])
  func goOnWithTheNextMaster(_ version: Int) {
    let (old, new) = (FakeMaster(), FakeMaster(port: 6380, runID: "run-b"))
    let rig = Rig.serving(old)
    let client = subscribed(rig, version)
    rig.cut(old)
    rig.serve(new)
    rig.advance(100)
    // It was told of its subscriptions once.
    #expect(client.replies() == [])
    new.publish("y", "hello")
    rig.pump()
    let push = version == 3 ? ">" : ""
    #expect(client.replies() == ["\(push)[message y hello]"])
    #expect(rig.send(client, "UNSUBSCRIBE x").last == "\(push)[unsubscribe x :1]")
    #expect(!client.isClosed)
    rig.advance(100)
    #expect(rig.shardNotes == [.subscribersMoved(count: 1)])
    rig.expectNothingHeld()
  }

  @Test(arguments: [2, 3])
  func goOnWithTheSameMaster(_ version: Int) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = subscribed(rig, version)
    for _ in 0..<3 {
      rig.cut(master)
      rig.advance(200)
      master.publish("x", "again")
      rig.pump()
      #expect(client.replies().last?.hasSuffix("[message x again]") == true)
    }
    #expect(rig.send(client, "UNSUBSCRIBE", "GET a").last == "nil")
    #expect(rig.shard.spares.count == 1)
  }

  @Test func areToldOfTheGapWhereTheyAskForIt() {
    let (old, new) = (FakeMaster(), FakeMaster(port: 6380, runID: "run-b"))
    let rig = Rig.serving(old)
    let curious = subscribed(rig, 3, "SUBSCRIBE __holdfast__:gap x")
    let plain = subscribed(rig, 2, "SUBSCRIBE x")
    _ = (curious.replies(), plain.replies())
    rig.cut(old)
    rig.serve(new)
    rig.advance(200)
    #expect(curious.replies() == [">[message __holdfast__:gap generation 2]"])
    #expect(plain.replies() == [])
    #expect(!curious.isClosed && !plain.isClosed)
  }

  /// What it sends meanwhile waits with it, and what was under way is answered as any command would be.
  @Test func keepTheirCommands() {
    let (old, new) = (FakeMaster(), FakeMaster(port: 6380, runID: "run-b"))
    let rig = Rig.serving(old)
    let client = subscribed(rig, 3)
    rig.push(client, "INCR a", "GET b")
    rig.endTurn()
    rig.cut(old)
    rig.push(client, "SET c 1", "GET c")
    rig.serve(new)
    rig.advance(200)
    let replies = client.replies()
    #expect(replies.count == 4)
    #expect(replies.first?.hasPrefix("-UNCERTAIN") == true)
    #expect(Array(replies.dropFirst(2)) == ["+OK", "1"])
    #expect(!client.isClosed)
    rig.expectNothingHeld()
  }

  @Test func areClosedWhereNoMasterComes() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 1_000 }
    let client = subscribed(rig, 2)
    rig.announce(.waiting(reason: "a test"))
    rig.isRefusing = true
    rig.cut(master)
    rig.advance(900)
    #expect(!client.isClosed)
    rig.advance(200)
    #expect(client.isClosed)
    #expect(rig.shard.movers.isEmpty)
    rig.expectNothingHeld()
  }

  /// Nobody can say which of its channels Redis has confirmed.
  @Test func areClosedWhileASubscriptionIsUnderWay() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = subscribed(rig, 2)
    rig.push(client, "SUBSCRIBE z")
    rig.endTurn()
    rig.cut(master)
    rig.pump()
    #expect(client.isClosed)
    rig.expectNothingHeld()
  }

  /// What Redis no longer allows ends the connection: its owner should hear of it.
  @Test func areClosedWhereTheyAreRefused() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = subscribed(rig, 2)
    master.fault = { line, _ in
      line.hasPrefix("SUBSCRIBE") ? .error("NOPERM this user has no permissions") : nil
    }
    rig.cut(master)
    rig.advance(200)
    #expect(client.isClosed)
    rig.expectNothingHeld()
  }

  @Test func thoseThatLeaveMeanwhileAreForgotten() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = subscribed(rig, 3)
    rig.cut(master)
    rig.leave(client)
    rig.advance(200)
    #expect(rig.shard.movers.isEmpty)
    #expect(rig.shard.spares.count == 1)
  }

  @Test func moreThanThereAreConnectionsWaitForOne() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.leasesMax = 8 }
    let clients = (0..<8).map { _ in subscribed(rig, 2) }
    for client in clients { _ = client.replies() }
    rig.cut(master)
    rig.advance(400)
    master.publish("x", "all")
    rig.pump()
    #expect(clients.allSatisfy { $0.replies() == ["[message x all]"] })
  }

  /// A refusal for now is no reason to leave: the client hears of it, and of every message.
  @Test(arguments: ["MISCONF no disk", "READONLY no", "LOADING wait", "BUSY wait"])
  func stayWhereACommandIsRefused(_ refusal: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = subscribed(rig, 3)
    master.fault = { line, _ in line.hasPrefix("SET") ? .error(refusal) : nil }
    #expect(rig.send(client, "SET a 1").last == "-\(refusal)")
    master.fault = nil
    rig.advance(300)
    master.publish("x", "m")
    rig.pump()
    #expect(client.replies() == [">[message x m]"])
    rig.expectNothingHeld()
  }

  @Test func withKeysUnderWay() {
    let (old, new) = (FakeMaster(), FakeMaster(port: 6380, runID: "run-b"))
    let rig = Rig.serving(old)
    let client = subscribed(rig, 3)
    rig.push(client, "KEYS *")
    rig.endTurn()
    rig.cut(old)
    rig.serve(new)
    rig.advance(400)
    _ = client.replies()
    new.publish("x", "m")
    rig.pump()
    #expect(client.replies() == [">[message x m]"])
    rig.expectNothingHeld()
  }

  @Test func withoutSparesInReserve() {
    let master = FakeMaster()
    let rig = Rig.serving(master) {
      $0.sparesMax = 0
      $0.leasesMax = 64
    }
    let clients = (0..<20).map { _ in subscribed(rig, 2) }
    for client in clients { _ = client.replies() }
    let before = rig.connectCount
    rig.cut(master)
    rig.advance(600)
    master.publish("x", "all")
    rig.pump()
    #expect(clients.allSatisfy { $0.replies() == ["[message x all]"] })
    #expect(rig.connectCount - before < 60)
  }

  /// A message says nothing of a command that is not answered.
  @Test func aSilentConnectionIsGivenUp() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 1_000 }
    let client = subscribed(rig, 3)
    master.isFrozen = true
    rig.push(client, "GET a")
    rig.pump()
    rig.advance(1_200)
    master.isFrozen = false
    rig.advance(500)
    #expect(client.replies().last == "nil")
    #expect(!client.isClosed)
  }

  @Test func tooManyNamesAreNotRemembered() throws {
    var subscriptions = Proxy.Subscriptions()
    for number in 0...Proxy.Subscriptions.countMax {
      let bytes = Array(
        "*3\r\n$9\r\nsubscribe\r\n$6\r\n\(100_000 + number)\r\n:\(number + 1)\r\n".utf8)
      let confirmation = bytes.withUnsafeBytes {
        Proxy.Subscriptions.Confirmation($0, limits: ScanLimits())
      }
      subscriptions.note(try #require(confirmation))
    }
    #expect(!subscriptions.isComplete)
  }
}

/// `notify-keyspace-events`, which one setting opens.
@Suite struct KeyspaceEventsTests {
  @Test func refusedWithTheSettingsName() {
    let rig = Rig.serving()
    let client = rig.connect()
    let reply = rig.send(client, "CONFIG SET notify-keyspace-events Egx")[0]
    #expect(reply.hasPrefix("-DENIED") && reply.contains("commands.keyspaceEvents"))
  }

  @Test func eachNewMasterIsTold() {
    let (old, new) = (FakeMaster(), FakeMaster(port: 6380, runID: "run-b"))
    let rig = Rig.serving(old) { $0.areKeyspaceEventsOpen = true }
    let client = rig.connect()
    #expect(rig.send(client, "CONFIG SET notify-keyspace-events Egx") == ["+OK"])
    #expect(old.keyspaceEvents == "Egx")
    #expect(rig.send(client, "CONFIG SET save 1")[0].hasPrefix("-DENIED"))
    #expect(
      rig.send(client, "CONFIG SET notify-keyspace-events K save 1")[0].hasPrefix("-DENIED"))
    rig.serve(new)
    #expect(new.keyspaceEvents == "Egx")
    #expect(
      rig.send(client, "CONFIG GET notify-keyspace-events") == ["[notify-keyspace-events Egx]"])
  }

  /// The daemon was restarted since the app had set them.
  @Test func whatTheMasterHasIsLearned() {
    let (old, new) = (FakeMaster(), FakeMaster(port: 6380, runID: "run-b"))
    old.keyspaceEvents = "Kx"
    let rig = Rig.serving(old) { $0.areKeyspaceEventsOpen = true }
    rig.serve(new)
    #expect(new.keyspaceEvents == "Kx")
  }
}
