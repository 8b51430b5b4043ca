// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

private func words(_ replies: [String]) -> [String] {
  replies.map { $0.hasPrefix("-") ? String($0.split(separator: " ")[0]) : $0 }
}

@Suite struct Transactions {
  @Test func runOnAConnectionOfTheirOwn() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let other = rig.connect()
    let replies = rig.send(client, "SET a 1", "MULTI", "INCR a", "GET a", "EXEC", "GET a")
    #expect(replies == ["+OK", "+OK", "+QUEUED", "+QUEUED", "[:2 2]", "2"])
    rig.send(client, "MULTI", "INCR a")
    #expect(rig.send(other, "GET a") == ["2"])
    #expect(rig.send(client, "PING", "EXEC") == ["+QUEUED", "[:3 +PONG]"])
    #expect(rig.send(client, "MULTI", "INCR a", "DISCARD", "GET a").last == "3")
    rig.expectNothingHeld()
    #expect(rig.shard.spares.count == 1, "given back")
  }

  @Test func refusedCommandPoisonsIt() {
    let rig = Rig.serving()
    let client = rig.connect()
    let replies = rig.send(client, "MULTI", "SET a 1", "FLUSHALL", "SET b 1", "EXEC", "GET a")
    #expect(words(replies) == ["+OK", "+QUEUED", "-DENIED", "+QUEUED", "-EXECABORT", "nil"])
    let nested = rig.send(client, "MULTI", "SUBSCRIBE x", "EXEC", "MULTI", "GET a", "EXEC")
    #expect(words(nested) == ["+OK", "-DENIED", "-EXECABORT", "+OK", "+QUEUED", "[nil]"])
    rig.expectNothingHeld()
  }

  @Test func execWithArgumentsEndsTheTransaction() {
    let rig = Rig.serving()
    let client = rig.connect()
    let replies = rig.send(client, "MULTI", "SET a 1", "EXEC now", "SET a 2", "EXEC", "GET a")
    #expect(words(replies) == ["+OK", "+QUEUED", "-EXECABORT", "+OK", "-ERR", "2"])
  }

  @Test func lostBeforeExec() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    #expect(rig.send(client, "MULTI", "SET a 1") == ["+OK", "+QUEUED"])
    rig.cut(master)
    rig.advance(200)
    #expect(
      words(rig.send(client, "SET b 1", "EXEC", "GET a", "GET b")) == [
        "+QUEUED", "-EXECABORT", "nil", "nil",
      ])
    #expect(rig.send(client, "MULTI", "SET a 2", "EXEC") == ["+OK", "+QUEUED", "[+OK]"])
    rig.expectNothingHeld()
  }

  @Test func lostBeforeItBegan() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    master.isFrozen = true
    rig.push(client, "MULTI", "SET a 1")
    rig.pump()
    rig.cut(master)
    master.isFrozen = false
    rig.advance(200)
    #expect(client.replies() == ["+OK", "+QUEUED"])
    #expect(words(rig.send(client, "EXEC")) == ["-EXECABORT"])
  }

  @Test(arguments: [false, true])
  func lostAfterExecWasSent(_ wasExecuted: Bool) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "MULTI", "INCR a")
    master.fault = { line, _ in
      line == "EXEC" ? (wasExecuted ? .dropAfter : .dropBefore) : nil
    }
    #expect(words(rig.send(client, "EXEC")) == ["-UNCERTAIN"])
    master.fault = nil
    rig.advance(200)
    #expect(rig.send(client, "GET a") == [wasExecuted ? "1" : "nil"], "nothing is replayed")
    rig.expectNothingHeld()
  }

  @Test func lostWithDiscard() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "MULTI", "INCR a")
    master.fault = { line, _ in line == "DISCARD" ? .dropBefore : nil }
    #expect(rig.send(client, "DISCARD") == ["+OK"])
  }

  @Test func execThatNeverLeftExecutedNothing() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "MULTI", "INCR a")
    rig.push(client, "EXEC")
    rig.cut(master)
    rig.advance(200)
    #expect(words(client.replies()) == ["-EXECABORT"])
  }

  @Test func watchSeesChanges() {
    let rig = Rig.serving()
    let client = rig.connect()
    let other = rig.connect()
    #expect(rig.send(client, "WATCH a", "GET a") == ["+OK", "nil"])
    rig.send(other, "SET a 1")
    #expect(rig.send(client, "MULTI", "SET a 2", "EXEC") == ["+OK", "+QUEUED", "nil"])
    #expect(rig.send(client, "WATCH a", "UNWATCH", "GET a") == ["+OK", "+OK", "1"])
    rig.expectNothingHeld()
    #expect(rig.shard.spares.count == 1)
  }

  @Test func lostWatchMakesExecNull() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "WATCH a")
    rig.cut(master)
    rig.advance(200)
    #expect(
      rig.send(client, "GET a", "MULTI", "SET a 1", "EXEC", "GET a") == [
        "nil", "+OK", "+QUEUED", "nil", "nil",
      ])
    rig.send(client, "WATCH a", "MULTI")
    rig.cut(master)
    rig.advance(200)
    #expect(rig.send(client, "EXEC", "GET a") == ["nil", "nil"])
    rig.send(client, "WATCH a")
    rig.cut(master)
    rig.advance(200)
    #expect(rig.send(client, "UNWATCH", "MULTI", "SET a 1", "EXEC").last == "[+OK]")
  }

  @Test func readThatWasUnderWayWithAWatchIsAnswered() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "SET a 1", "WATCH a")
    master.isFrozen = true
    rig.push(client, "GET a")
    rig.pump()
    rig.cut(master)
    master.isFrozen = false
    rig.advance(200)
    #expect(client.replies() == ["1"])
    rig.expectNothingHeld()
  }

  @Test func repliesBeforeMultiAreNeverTakenForQueued() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "SET a 1")
    master.isFrozen = true
    rig.push(client, "WATCH a", "GET a", "MULTI", "SET a 2")
    rig.pump()
    rig.cut(master)
    master.isFrozen = false
    rig.advance(200)
    let replies = client.replies()
    #expect(replies.count == 4)
    #expect(replies.first == "+OK")
    #expect(replies.dropFirst().first?.hasPrefix("-UNCERTAIN") == true || replies[1] == "1")
    #expect(replies.suffix(2) == ["+OK", "+QUEUED"])
    #expect(rig.send(client, "EXEC") == ["nil"])
  }

  @Test func silentExecOnADeadConnectionTimesOut() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 1_000 }
    let client = rig.connect()
    rig.send(client, "MULTI", "SET a 1")
    master.isHoldingReplies = true
    rig.push(client, "EXEC", "GET a")
    rig.pump()
    rig.advance(1_100)
    master.isHoldingReplies = false
    rig.advance(1_000)
    #expect(words(client.replies()) == ["-UNCERTAIN", "1"])
  }
}

@Suite struct Blocking {
  @Test func holdsUpNobodyElse() {
    let rig = Rig.serving()
    let client = rig.connect()
    let other = rig.connect()
    #expect(rig.send(client, "BLPOP q 0", "PING").isEmpty)
    rig.advance(60_000)
    #expect(client.replies().isEmpty, "no timeout but its own")
    #expect(rig.send(other, "RPUSH q x") == [":1"])
    #expect(client.replies() == ["[q x]", "+PONG"])
    rig.expectNothingHeld()
  }

  @Test func lostIsUncertain() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.push(client, "BLPOP q 0", "PING")
    rig.pump()
    rig.cut(master)
    rig.advance(200)
    #expect(words(client.replies()) == ["-UNCERTAIN", "+PONG"])
    rig.expectNothingHeld()
  }

  @Test func refusedByAReplicaIsTriedAgainWithPatience() {
    let store = FakeStore()
    let old = FakeMaster(store: store)
    let rig = Rig.serving(old)
    let client = rig.connect()
    rig.send(client, "RPUSH q x")
    old.role = "slave"
    #expect(rig.send(client, "BLPOP q 0").isEmpty)
    rig.advance(500)
    #expect(old.log.filter { $0 == "BLPOP q 0" }.count < 10)
    rig.serve(FakeMaster(port: 6380, runID: "run-b", store: store))
    rig.advance(200)
    #expect(client.replies() == ["[q x]"])
    rig.expectNothingHeld()
  }

  @Test func clientThatLeavesGivesEverythingBack() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    for _ in 0..<3 {
      let client = rig.connect()
      rig.send(client, "BLPOP q 0")
      rig.leave(client)
      rig.pump()
      rig.advance(100)
    }
    rig.expectNothingHeld()
    #expect(rig.shard.statistics.linksReady == 2)
  }
}

@Suite struct Leases {
  @Test func exhaustedMeansWaitingThenOverloaded() {
    let rig = Rig.serving {
      $0.leasesMax = 1
      $0.waitMilliseconds = 1_000
    }
    let holder = rig.connect()
    let waiter = rig.connect()
    let late = rig.connect()
    #expect(rig.send(holder, "MULTI", "SET a 1") == ["+OK", "+QUEUED"])
    #expect(rig.send(waiter, "MULTI").isEmpty)
    rig.advance(500)
    #expect(rig.send(late, "MULTI").isEmpty)
    #expect(rig.send(holder, "EXEC") == ["[+OK]"])
    #expect(waiter.replies() == ["+OK"])
    rig.advance(500)
    #expect(late.replies().isEmpty)
    rig.advance(500)
    #expect(words(late.replies()) == ["-OVERLOADED"])
    #expect(rig.shard.statistics.overloaded == 1)
    #expect(rig.send(waiter, "GET a", "EXEC") == ["+QUEUED", "[1]"])
    rig.expectNothingHeld()
  }

  @Test func keepDatabaseAndProtocolOfTheirClient() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.send(client, "SELECT 2", "HELLO 3")
    #expect(rig.send(client, "MULTI", "SET a two", "GET b", "EXEC").last == "[+OK nil]")
    #expect(rig.send(client, "GET a") == ["two"])
    #expect(client.received.suffix(9).elementsEqual("$3\r\ntwo\r\n".utf8))
    let other = rig.connect()
    #expect(rig.send(other, "MULTI", "GET a", "EXEC").last == "[nil]", "reset for the next")
  }

  @Test func writeGivenUpOnALeaseNeverOvertakesALaterOne() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 1_000 }
    let client = rig.connect()
    rig.send(client, "WATCH w")
    master.isFrozen = true
    rig.push(client, "SET a 1")
    rig.endTurn()
    let zombie = master.readyConnections.first { !$0.inbox.isEmpty }
    let held = zombie?.inbox ?? []
    zombie?.inbox = []
    master.isFrozen = false
    rig.advance(1_100)
    let first = client.replies()
    #expect(words(first) == ["-UNCERTAIN"] || first == ["+OK"])
    #expect(rig.send(client, "SET a 2") == ["+OK"])
    // The old connection's bytes are read at last.
    if zombie?.isGone == false { zombie?.inbox = held }
    rig.pump()
    #expect(rig.send(client, "GET a") == ["2"])
  }

  @Test func endOfAPredecessorIsNeverAskedOfAnotherProcess() {
    let store = FakeStore()
    let old = FakeMaster(store: store)
    let rig = Rig.serving(old)
    let client = rig.connect()
    rig.send(client, "WATCH w")
    old.isFrozen = true
    rig.push(client, "SET a 1")
    rig.endTurn()
    for connection in old.readyConnections where !connection.inbox.isEmpty { rig.drop(connection) }
    // The order to end it has not left yet.
    let next = FakeMaster(port: 6380, runID: "run-b", store: store)
    rig.serve(next)
    rig.advance(200)
    #expect(client.replies() == ["+OK"])
    #expect(!next.log.contains { $0.hasPrefix("CLIENT KILL") })
    rig.expectNothingHeld()
  }
}
