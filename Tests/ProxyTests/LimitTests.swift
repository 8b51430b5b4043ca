// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

private func words(_ replies: [String]) -> [String] {
  replies.map { $0.hasPrefix("-") ? String($0.split(separator: " ")[0]) : $0 }
}

@Suite struct Limits {
  @Test func clientWithTooMuchInFlightIsNotRead() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.inFlightPerClientMax = 10 }
    let client = rig.connect()
    let other = rig.connect()
    master.isFrozen = true
    rig.push(client, Rig.bytes((0..<2_000).map { "ECHO.NOT \($0)" }))
    rig.endTurn()
    #expect(rig.shard.inFlightCount == 10)
    #expect(!client.isReading, "the rest stays with the kernel")
    master.isFrozen = false
    rig.pump()
    #expect(client.replies().count == 2_000)
    #expect(client.isReading)
    #expect(rig.send(other, "PING") == ["+PONG"])
    rig.expectNothingHeld()
  }

  @Test func clientWithTooManyBytesInFlightWaits() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.inFlightBytesPerClientMax = 1_000 }
    let client = rig.connect()
    master.isFrozen = true
    let value = String(repeating: "v", count: 300)
    rig.push(client, Rig.bytes((0..<20).map { "SET k\($0) \(value)" }))
    rig.endTurn()
    #expect(rig.shard.inFlightBytes <= 1_000)
    master.isFrozen = false
    rig.pump()
    #expect(client.replies() == [String](repeating: "+OK", count: 20))
    // One that is larger than the limit still passes, alone.
    let large = String(repeating: "v", count: 5_000)
    #expect(rig.send(client, "SET a \(large)", "GET b") == ["+OK", "nil"])
    rig.expectNothingHeld()
  }

  @Test func clientThatSharesItsLinkDoesNotFillIt() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.linksPerGroup = 1 }
    let (greedy, modest) = (rig.connect(), rig.connect())
    /// How much is under way when a thousand are sent, then what the other one sends.
    func inFlight(_ modestly: String...) -> Int {
      master.isFrozen = true
      rig.push(greedy, Rig.bytes((0..<1_000).map { "GET \($0)" }))
      rig.push(modest, Rig.bytes(modestly))
      rig.endTurn()
      defer {
        master.isFrozen = false
        rig.pump()
      }
      return rig.shard.inFlightCount
    }
    #expect(inFlight() == 1_000, "alone it may")

    #expect(rig.send(modest, "GET a") == ["nil"])
    #expect(inFlight("GET b") == Shard.sharedRequestsMax + 1)
    #expect(greedy.replies().count == 2_000)
    #expect(modest.replies() == ["nil"])

    rig.advance(1_100)
    #expect(rig.send(greedy, "GET a") == ["nil"])
    rig.advance(1_100)
    #expect(inFlight() == 1_000, "the other one has been silent")
    rig.expectNothingHeld()
  }

  @Test func whoIsOwedNothingGoesAroundABusyLink() throws {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.linksPerGroup = 2 }
    let clients = (0..<3).map { _ in rig.connect() }
    for client in clients { #expect(rig.send(client, "GET a") == ["nil"]) }
    func link(_ client: FakeClient) -> Link? { rig.shard.clients[client.id]?.link }
    let (greedy, modest) = (clients[0], clients[2])
    #expect(link(greedy) === link(modest))
    master.isFrozen = true
    rig.push(modest, "GET first")
    rig.push(greedy, Rig.bytes((0..<100).map { "GET \($0)" }))
    rig.endTurn()
    rig.push(modest, "GET second")
    rig.endTurn()
    #expect(link(greedy) === link(modest), "its first reply is due there")
    master.isFrozen = false
    rig.pump()
    #expect(modest.replies() == ["nil", "nil"])

    master.isFrozen = true
    rig.push(greedy, Rig.bytes((0..<100).map { "GET \($0)" }))
    rig.push(modest, "GET third")
    rig.endTurn()
    #expect(link(greedy) !== link(modest))
    #expect(link(modest)?.queue.replyCount == 1)
    master.isFrozen = false
    rig.pump()
    #expect(modest.replies() == ["nil"] && greedy.replies().count == 200)
    rig.expectNothingHeld()
  }

  @Test func localRepliesBehindASlowOneAreBoundedToo() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.inFlightPerClientMax = 10 }
    let client = rig.connect()
    master.isFrozen = true
    rig.push(client, Rig.bytes(["GET a"] + (0..<100).map { "ECHO \($0)" }))
    rig.endTurn()
    #expect(rig.shard.clients[client.id]?.order.outstanding == 10)
    master.isFrozen = false
    rig.pump()
    #expect(client.replies() == ["nil"] + (0..<100).map { "\($0)" })
    rig.expectNothingHeld()
  }

  @Test func repliesThatWaitForTheirTurnCountAsOutput() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.outputBytesPerClientMax = 1_000 }
    let client = rig.connect()
    master.isFrozen = true
    let text = String(repeating: "t", count: 300)
    rig.push(client, Rig.bytes(["GET a"] + (0..<5).map { _ in "ECHO \(text)" }))
    rig.endTurn()
    #expect(client.wasAborted)
    master.isFrozen = false
    rig.pump()
    rig.expectNothingHeld()
  }

  @Test func allTogetherHaveTooMuchInFlight() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.inFlightMax = 3 }
    let clients = (0..<3).map { _ in rig.connect() }
    master.isFrozen = true
    for client in clients { rig.push(client, "SET a 1", "INCR a") }
    rig.endTurn()
    #expect(rig.shard.inFlightCount == 3)
    master.isFrozen = false
    rig.pump()
    let replies = clients.map { words($0.replies()) }
    #expect(
      replies == [
        ["+OK", ":2"], ["+OK", "-OVERLOADED"], ["-OVERLOADED", "-OVERLOADED"],
      ])
    #expect(rig.shard.statistics.overloaded == 3)
    #expect(rig.send(clients[2], "GET a") == ["1"])
    rig.expectNothingHeld()
  }

  @Test func unfinishedRequestsCountInTotal() {
    let rig = Rig.serving { $0.inFlightBytesMax = 10_000 }
    let client = rig.connect()
    let other = rig.connect()
    rig.push(client, Array("*2\r\n$3\r\nGET\r\n$50000\r\n".utf8))
    rig.push(client, [UInt8](repeating: 0x61, count: 6_000))
    #expect(!client.isClosed)
    rig.push(client, [UInt8](repeating: 0x61, count: 6_000))
    rig.pump()
    #expect(words(client.replies()) == ["-OVERLOADED"])
    #expect(client.isClosed)
    #expect(rig.send(other, "GET a") == ["nil"])
    rig.expectNothingHeld()
  }

  @Test func clientThatNeverReadsIsCutOff() {
    let rig = Rig.serving { $0.outputBytesPerClientMax = 10_000 }
    let client = rig.connect()
    let other = rig.connect()
    rig.send(client, "SET a \(String(repeating: "v", count: 1_000))")
    rig.push(client, Rig.bytes([String](repeating: "GET a", count: 100)))
    rig.shard.clientWritable(client.id, false, nowMilliseconds: rig.now)
    rig.pump()
    #expect(client.wasAborted)
    #expect(rig.send(other, "GET b") == ["nil"])
    rig.expectNothingHeld()
  }

  @Test func slowReaderIsHeldBackNotCutOff() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.shard.clientWritable(client.id, false, nowMilliseconds: rig.now)
    #expect(rig.send(client, "SET a 1", "GET a").isEmpty)
    #expect(rig.shard.inFlightCount == 0, "nothing is taken")
    rig.shard.clientWritable(client.id, true, nowMilliseconds: rig.now)
    rig.pump()
    #expect(client.replies() == ["+OK", "1"])
  }

  @Test func tooManyClients() {
    let rig = Rig.serving { $0.clientsMax = 1 }
    let first = rig.connect()
    let second = rig.connect()
    rig.pump()
    #expect(second.replies() == ["-ERR max number of clients reached"])
    #expect(second.isClosed)
    #expect(rig.send(first, "PING") == ["+PONG"])
    rig.leave(first)
    #expect(rig.send(rig.connect(), "PING") == ["+PONG"])
  }

  @Test func requestsThatAreTooLong() {
    let rig = Rig.serving { $0.requestLimits.bulkBytesMax = 10 }
    let client = rig.connect()
    #expect(
      rig.send(client, "SET a 1", "SET b 12345678901") == [
        "+OK", "-ERR Protocol error: invalid bulk length",
      ])
    #expect(client.isClosed)
  }

  @Test func idleClientsAreClosedIfAskedFor() {
    let rig = Rig.serving { $0.idleClientMilliseconds = 1_000 }
    let idle = rig.connect()
    let busy = rig.connect()
    let listener = rig.connect()
    rig.send(listener, "SUBSCRIBE x")
    for _ in 0..<5 {
      rig.send(busy, "PING")
      rig.advance(300)
    }
    #expect(idle.isClosed && !busy.isClosed && !listener.isClosed)
  }
}

@Suite struct ClientsThatLeave {
  @Test func midCommandLeaveNothingToTheNextInTheirPlace() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let first = rig.connect()
    rig.send(first, "SET a secret")
    master.isHoldingReplies = true
    rig.push(first, "GET a", "GET a", "INCR n")
    rig.pump()
    rig.leave(first)
    let second = rig.connect()
    #expect(second.id.slot == first.id.slot && second.id != first.id)
    rig.push(second, "GET b", "PING")
    rig.pump()
    master.isHoldingReplies = false
    rig.pump()
    #expect(second.replies() == ["nil", "+PONG"])
    #expect(first.replies().isEmpty)
    rig.expectNothingHeld()
  }

  @Test func whileTheirCommandsWaitToBeSentAgain() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let first = rig.connect()
    rig.push(first, "SET a 1", "GET a")
    rig.endTurn()
    rig.isRefusing = true
    rig.cut(master)
    rig.leave(first)
    let second = rig.connect()
    rig.push(second, "GET b")
    rig.isRefusing = false
    rig.advance(1_000)
    #expect(second.replies() == ["nil"])
    #expect(!master.store.executed.contains("SET a 1"))
    rig.expectNothingHeld()
  }

  @Test func whileTheyWait() {
    let rig = Rig { $0.leasesMax = 1 }
    let waiting = rig.connect()
    rig.push(waiting, "GET a", "PING")
    rig.leave(waiting)
    rig.serve(FakeMaster())
    let holder = rig.connect()
    rig.send(holder, "WATCH a")
    let second = rig.connect()
    rig.push(second, "MULTI")
    rig.leave(second)
    let third = rig.connect()
    #expect(rig.send(third, "MULTI").isEmpty)
    rig.leave(holder)
    rig.pump()
    #expect(third.replies() == ["+OK"])
    #expect(rig.shard.statistics.waiting == 0)
    rig.expectNothingHeld()
  }

  @Test func inTheMiddleOfARequest() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.push(client, Array("*2\r\n$3\r\nGET\r\n$100\r\nabc".utf8))
    #expect(rig.shard.inputBytes > 0)
    rig.leave(client)
    #expect(rig.shard.inputBytes == 0)
    #expect(rig.send(rig.connect(), "PING") == ["+PONG"])
    // Late events of a client that is gone.
    rig.push(client, "GET a")
    rig.shard.clientWritable(client.id, false, nowMilliseconds: rig.now)
    rig.shard.clientClosed(client.id, nowMilliseconds: rig.now)
    rig.pump()
    rig.expectNothingHeld()
  }

  @Test func drainDoesNotWaitForTheRestOfARequest() {
    let rig = Rig.serving(FakeMaster())
    let client = rig.connect()
    _ = rig.send(client, "PING")
    let half = Array("*2\r\n$3\r\nGET".utf8)
    half.withUnsafeBytes { rig.shard.clientReceived(client.id, $0, nowMilliseconds: rig.now) }
    rig.shard.drain(nowMilliseconds: rig.now)
    rig.pump()
    #expect(client.isClosed && rig.shard.isDrained)
  }

  @Test func drainAnswersWhatIsInFlight() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let idle = rig.connect()
    let busy = rig.connect()
    rig.advance(1_000)
    master.isHoldingReplies = true
    rig.push(busy, "SET a 1", "GET a")
    rig.pump()
    rig.shard.drain(nowMilliseconds: rig.now)
    rig.pump()
    #expect(idle.isClosed && !busy.isClosed && !rig.shard.isDrained)
    // Its request is on the way: it is served first.
    let late = rig.connect()
    #expect(rig.send(late, "PING") == ["+PONG"])
    let silent = rig.connect()
    rig.advance(100)
    #expect(late.isClosed && !silent.isClosed)
    rig.advance(500)
    #expect(silent.isClosed)
    master.isHoldingReplies = false
    rig.pump()
    rig.advance(100)
    #expect(busy.replies() == ["+OK", "1"])
    #expect(busy.isClosed && rig.shard.isDrained)
  }
}
