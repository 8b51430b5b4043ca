// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

@Suite struct Subscriptions {
  private func expectNoMarker(_ client: FakeClient) {
    #expect(!String(decoding: client.received, as: UTF8.self).contains("holdfast:marker"))
  }

  @Test func messagesArrive() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    #expect(rig.send(client, "SUBSCRIBE x y") == ["[subscribe x :1]", "[subscribe y :2]"])
    master.publish("x", "hello")
    rig.pump()
    #expect(client.replies() == ["[message x hello]"])
    #expect(rig.send(client, "PING", "PING z") == ["[pong ]", "[pong z]"])
    #expect(rig.send(client, "GET a")[0].hasPrefix("-ERR Can't execute 'get'"))
    #expect(
      rig.send(client, "UNSUBSCRIBE", "GET a") == [
        "[unsubscribe x :1]", "[unsubscribe y :0]", "nil",
      ])
    expectNoMarker(client)
    rig.expectNothingHeld()
    #expect(rig.shard.spares.count == 1)
  }

  @Test func protocolThreeDoesBothAtOnce() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "HELLO 3")
    let replies = rig.send(client, "SUBSCRIBE x", "GET a", "PING", "SET a 1")
    #expect(replies.filter { !$0.hasPrefix(">") } == ["nil", "+PONG", "+OK"])
    #expect(replies.filter { $0.hasPrefix(">") } == [">[subscribe x :1]"])
    master.publish("x", "hello")
    rig.pump()
    #expect(client.replies() == [">[message x hello]"])
    #expect(
      rig.send(client, "GET a", "UNSUBSCRIBE x", "GET a") == [
        "1", ">[unsubscribe x :0]", "1",
      ])
    expectNoMarker(client)
    rig.expectNothingHeld()
  }

  @Test(arguments: [2, 3])
  func changedInOnePipeline(_ version: Int) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    if version == 3 { rig.send(client, "HELLO 3") }
    let replies = rig.send(
      client, "SUBSCRIBE x", "UNSUBSCRIBE x", "SUBSCRIBE y", "UNSUBSCRIBE", "SUBSCRIBE z")
    let push = version == 3 ? ">" : ""
    #expect(
      replies == [
        "\(push)[subscribe x :1]", "\(push)[unsubscribe x :0]", "\(push)[subscribe y :1]",
        "\(push)[unsubscribe y :0]", "\(push)[subscribe z :1]",
      ])
    master.publish("z", "m")
    rig.pump()
    #expect(client.replies() == ["\(push)[message z m]"])
    expectNoMarker(client)
    #expect(!client.isClosed)
  }

  @Test(arguments: [2, 3])
  func behindAWatchInOnePipeline(_ version: Int) {
    let rig = Rig.serving()
    let client = rig.connect()
    if version == 3 { rig.send(client, "HELLO 3") }
    let replies = rig.send(client, "WATCH a", "GET a", "SUBSCRIBE x", "UNSUBSCRIBE x", "UNWATCH")
    let push = version == 3 ? ">" : ""
    #expect(
      replies == [
        "+OK", "nil", "\(push)[subscribe x :1]", "\(push)[unsubscribe x :0]", "+OK",
      ])
    expectNoMarker(client)
    rig.expectNothingHeld()
    #expect(rig.shard.spares.count == 1)
  }

  @Test func trackingClientIsToldBeforeItIsClosed() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    #expect(rig.send(client, "HELLO 3", "CLIENT TRACKING ON").last == "+OK")
    rig.push(client, "GET a")
    rig.endTurn()
    rig.cut(master)
    rig.pump()
    #expect(client.replies().last == ">[invalidate nil]")
    #expect(client.isClosed)
    rig.expectNothingHeld()
  }

  @Test(arguments: ["RESET", ""])
  func messagesOnTheWayOutHarmNobody(_ end: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "SUBSCRIBE x")
    master.publish("x", "late")
    if end.isEmpty { rig.leave(client) } else { rig.push(client, Rig.bytes([end])) }
    rig.pump()
    rig.advance(200)
    #expect(!rig.reports.contains { if case .notMaster = $0 { true } else { false } })
    let next = rig.connect()
    #expect(rig.send(next, "MULTI", "GET a", "EXEC") == ["+OK", "+QUEUED", "[nil]"])
    #expect(rig.shard.statistics.linksReady == 2)
  }

  /// Once such a command ended the daemon, and with it every client of the host.
  @Test(arguments: [
    "ECHO", "KEYS", "CLIENT SETNAME", "CLIENT SETINFO LIB-NAME", "SELECT", "HELLO x",
  ])
  func malformedWhileSubscribed(_ line: String) {
    let rig = Rig.serving()
    let client = rig.connect()
    let replies = rig.send(client, "HELLO 3", "SUBSCRIBE x", line, "GET a")
    #expect(replies.suffix(2).first?.hasPrefix("-ERR") == true)
    #expect(replies.last == "nil")
  }

  /// What is refused is refused there too, and nothing of it reaches Redis.
  @Test(arguments: [2, 3])
  func refusedWhileSubscribed(_ version: Int) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "HELLO \(version)", "SUBSCRIBE x")
    for line in ["FLUSHALL", "CONFIG SET a b", "CLIENT KILL ID 1", "SHUTDOWN"] {
      let reply = rig.send(client, line).last ?? ""
      #expect(reply.hasPrefix(version == 3 ? "-DENIED" : "-ERR"), "\(line): \(reply)")
    }
    #expect(version == 2 || !master.log.contains { $0.hasPrefix("FLUSHALL") })
  }

  /// Each in its place: what the daemon says itself waits for what Redis still has to say.
  @Test(arguments: ["CLIENT GETNAME", "ECHO a", "HELLO", "SELECT 1", "QUIT", "RESET"])
  func nothingOvertakesAConfirmation(_ line: String) {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.send(client, "HELLO 3")
    let replies = rig.send(client, "SUBSCRIBE x y", line)
    #expect(replies.prefix(2) == [">[subscribe x :1]", ">[subscribe y :2]"])
    #expect(replies.count == 3 && !replies[2].hasPrefix("-"))
  }

  @Test func aTransactionWhileSubscribed() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let replies = rig.send(client, "HELLO 3", "SUBSCRIBE x", "MULTI", "SET a 1", "EXEC", "GET a")
    #expect(replies.suffix(4) == ["+OK", "+QUEUED", "[+OK]", "1"])
    master.publish("x", "m")
    rig.pump()
    #expect(client.replies() == [">[message x m]"])
  }

  @Test func unsubscribedWithoutSubscription() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(
      rig.send(client, "UNSUBSCRIBE", "UNSUBSCRIBE a b", "PING") == [
        "[unsubscribe nil :0]", "[unsubscribe a :0]", "[unsubscribe b :0]", "+PONG",
      ])
  }

  @Test func quitWhileSubscribed() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(rig.send(client, "SUBSCRIBE x", "QUIT").contains("+OK"))
    #expect(client.isClosed)
  }

  @Test func subscriberThatNeverReadsIsCutOff() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.outputBytesPerClientMax = 1_000 }
    let client = rig.connect()
    rig.send(client, "SUBSCRIBE x")
    rig.shard.clientWritable(client.id, false, nowMilliseconds: rig.now)
    for _ in 0..<100 { master.publish("x", String(repeating: "m", count: 50)) }
    rig.pump()
    #expect(client.wasAborted)
    rig.expectNothingHeld()
  }
}
