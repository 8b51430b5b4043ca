// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// The first words of the errors.
private func words(_ replies: [String]) -> [String] {
  replies.map { $0.hasPrefix("-") ? String($0.split(separator: " ")[0]) : $0 }
}

@Suite struct WaitingForAMaster {
  @Test func waitsUntilThereIsOne() {
    let rig = Rig()
    let client = rig.connect()
    #expect(rig.send(client, "SET a 1", "PING", "GET a").isEmpty)
    #expect(rig.shard.statistics.waiting == 1)
    rig.advance(5_000)
    #expect(client.replies().isEmpty)
    rig.serve(FakeMaster())
    #expect(client.replies() == ["+OK", "+PONG", "1"])
    #expect(rig.shard.statistics.longestWaitMilliseconds == 5_000)
    rig.expectNothingHeld()
  }

  @Test func oneDeadlineForAllThatWasSent() {
    let rig = Rig { $0.waitMilliseconds = 1_000 }
    let client = rig.connect()
    rig.send(client, "SET a 1", "GET a", "PING")
    rig.advance(980)
    #expect(client.replies().isEmpty)
    rig.advance(20)
    #expect(words(client.replies()) == ["-NOMASTER", "-NOMASTER", "+PONG"])
    #expect(rig.shard.statistics.noMaster == 2)
    #expect(rig.send(client, "GET a").isEmpty, "the next one waits anew")
    rig.advance(1_000)
    #expect(words(client.replies()) == ["-NOMASTER"])
    rig.expectNothingHeld()
  }

  @Test func atOnceWhenNoneCanCome() {
    let rig = Rig()
    let client = rig.connect()
    #expect(rig.send(client, "GET a").isEmpty)
    rig.announce(.hopeless(reason: "quorum lost"))
    rig.pump()
    let replies = client.replies()
    #expect(words(replies) == ["-NOMASTER"])
    #expect(replies[0].contains("quorum lost"))
    #expect(
      words(rig.send(client, "GET a", "MULTI", "KEYS *", "PING")) == [
        "-NOMASTER", "-NOMASTER", "-NOMASTER", "+PONG",
      ])
  }

  @Test func servingWithoutALinkWaitsToo() {
    let rig = Rig { $0.waitMilliseconds = 1_000 }
    rig.isRefusing = true
    rig.serve(FakeMaster())
    let client = rig.connect()
    #expect(rig.send(client, "GET a").isEmpty)
    rig.advance(500)
    rig.isRefusing = false
    rig.advance(500)
    #expect(client.replies() == ["nil"])
    #expect(rig.reports.contains(.connectFailed))
  }

  @Test func refusedConnectionsAreTriedAgainWithPatience() {
    let rig = Rig { $0.sparesMax = 4 }
    rig.isRefusing = true
    rig.serve(FakeMaster())
    rig.advance(10_000)
    // 20, 40 … 640 ms, then each second: about 15 for each of five places.
    #expect(rig.connectCount <= 5 * 20, "\(rig.connectCount) attempts in 10 s")
    rig.isRefusing = false
    rig.advance(1_100)
    #expect(rig.shard.statistics.linksReady == 5)
  }

  @Test func silentHandshakeIsGivenUp() {
    let master = FakeMaster()
    master.isFrozen = true
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 1_000 }
    let client = rig.connect()
    rig.send(client, "GET a")
    rig.advance(1_100)
    #expect(rig.reports.contains(.timedOut))
    master.isFrozen = false
    rig.advance(3_000)
    #expect(client.replies() == ["nil"])
  }
}

@Suite struct LostLink {
  private func lost(
    _ commands: [String], executed: Int = 0, _ change: (inout ProxyConfiguration) -> Void = { _ in }
  ) -> (Rig, FakeMaster, FakeClient, [String]) {
    let master = FakeMaster()
    let rig = Rig.serving(master, change)
    let client = rig.connect()
    rig.push(client, Rig.bytes(commands))
    rig.endTurn()
    rig.shared(master)?.run(limit: executed)
    rig.cut(master)
    rig.pump()
    rig.advance(2_000)
    return (rig, master, client, words(client.replies()))
  }

  @Test(arguments: [
    ("GET a", "nil"), ("SET a 1", "+OK"), ("SETEX a 9 1", "+OK"), ("MSET a 1", "+OK"),
    ("DEL a", ":0"), ("EXPIRE a 9", ":0"), ("INCR a", "-UNCERTAIN"), ("APPEND a 1", "-UNCERTAIN"),
    ("SET a 1 NX", "-UNCERTAIN"), ("RPUSH a 1", "-UNCERTAIN"), ("WHO.KNOWS a", "-UNCERTAIN"),
  ])
  func byItsClass(_ command: String, _ reply: String) {
    let (rig, _, _, replies) = lost([command])
    #expect(replies == [reply])
    rig.expectNothingHeld()
  }

  @Test func settlingUnderTheStrictPolicy() {
    for (command, reply) in [
      ("DEL a", "-UNCERTAIN"), ("EXPIRE a 9", "-UNCERTAIN"), ("SET a 1", "+OK"), ("GET a", "nil"),
    ] {
      let (rig, _, _, replies) = lost([command]) { $0.replay = .strict }
      #expect(replies == [reply], "\(command)")
      rig.expectNothingHeld()
    }
  }

  @Test func repliesKeepTheirOrder() {
    let (rig, master, _, replies) = lost([
      "SET a 1", "INCR b", "PING", "SET c 2", "APPEND d x", "ECHO e", "DEL c",
    ])
    #expect(replies == ["+OK", "-UNCERTAIN", "+PONG", "+OK", "-UNCERTAIN", "e", ":1"])
    #expect(!master.store.executed.contains("INCR b"))
    #expect(rig.shard.statistics.uncertain == 2)
    #expect(rig.shard.statistics.resent == 3)
    rig.expectNothingHeld()
  }

  @Test func executedOnceCommandIsNotRepeated() {
    let (_, master, _, replies) = lost(["INCR a", "SET b 1"], executed: 1)
    #expect(replies == ["-UNCERTAIN", "+OK"])
    #expect(master.store.executed == ["INCR a", "SET b 1"])
  }

  @Test func whatNeverLeftIsSentAgainWhateverItsClass() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.push(client, "INCR a")
    rig.endTurn()
    rig.push(client, "INCR b", "APPEND c x")
    rig.cut(master)
    rig.advance(1_000)
    #expect(words(client.replies()) == ["-UNCERTAIN", ":1", ":1"])
    #expect(master.store.executed == ["INCR b", "APPEND c x"])
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    (["GET a", "SET a 1"], ["-UNCERTAIN", "+OK"]),
    (["GET a", "SET b 1"], ["nil", "+OK"]),
    (["GET a", "INCR a"], ["-UNCERTAIN", "-UNCERTAIN"]),
    (["GET a", "EVALSHA x 0"], ["-UNCERTAIN", "-UNCERTAIN"]),
    (["SCAN 0", "SET b 1"], ["-UNCERTAIN", "+OK"]),
    (["SET a 1", "GET a"], ["+OK", "1"]),
  ])
  func readBeforeAWrite(_ commands: [String], _ expected: [String]) {
    let (rig, _, _, replies) = lost(commands)
    #expect(replies == expected)
    rig.expectNothingHeld()
  }

  @Test func anotherClientsWriteIsNoReason() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let reader = rig.connect()
    let writer = rig.connect()
    rig.push(reader, "GET a")
    rig.push(writer, "SET a 1")
    rig.endTurn()
    rig.cut(master)
    rig.advance(1_000)
    #expect(reader.replies() == ["nil"])
    #expect(writer.replies() == ["+OK"])
  }

  @Test func commandsBehindWaitTheirTurn() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.push(client, "SET a 1")
    rig.endTurn()
    rig.cut(master)
    rig.push(client, "APPEND a 2", "GET a")
    rig.advance(1_000)
    #expect(client.replies() == ["+OK", ":2", "12"])
    rig.expectNothingHeld()
  }

  @Test func newMasterGetsWhatTheOldOneDidNotAnswer() {
    let old = FakeMaster()
    let rig = Rig.serving(old)
    let client = rig.connect()
    rig.push(client, "SET a 1", "INCR b", "GET a")
    rig.endTurn()
    old.isFrozen = true
    rig.announce(.waiting(reason: "failover"))
    rig.pump()
    #expect(client.replies().isEmpty)
    let next = FakeMaster(port: 6380, runID: "run-b")
    rig.serve(next)
    #expect(words(client.replies()) == ["+OK", "-UNCERTAIN", "1"])
    #expect(!next.log.contains { $0.hasPrefix("CLIENT KILL") })
    rig.expectNothingHeld()
  }

  /// Whether a read was executed matters to nobody.
  @Test(arguments: [("SET a 1", "-UNCERTAIN"), ("GET a", "-NOMASTER")])
  func nothingIsSentAgainPastTheDeadline(_ sent: String, _ reply: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 1_000 }
    let client = rig.connect()
    rig.push(client, Rig.bytes([sent]))
    rig.endTurn()
    rig.push(client, "GET b")
    rig.isRefusing = true
    rig.cut(master)
    rig.advance(2_100)
    #expect(words(client.replies()) == [reply, "-NOMASTER"])
    rig.expectNothingHeld()
  }
}

@Suite struct GivenUpLink {
  /// A master stops, its connection is given up, and it wakes.
  private func freeze(
    _ command: String, _ change: (FakeMaster) -> Void = { _ in }
  ) -> (Rig, FakeMaster, FakeClient) {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 1_000 }
    let client = rig.connect()
    master.isFrozen = true
    rig.push(client, Rig.bytes([command]))
    rig.endTurn()
    rig.advance(1_100)
    #expect(rig.reports.contains(.timedOut))
    change(master)
    return (rig, master, client)
  }

  @Test func isEndedBeforeAnythingIsSentAgain() throws {
    let (rig, master, client) = freeze("SET a 1")
    // The new connection is read first, the old one holds the command still.
    let zombie = try #require(master.readyConnections.first { $0.isAbandoned && !$0.inbox.isEmpty })
    let held = zombie.inbox
    zombie.inbox = []
    master.isFrozen = false
    master.isHoldingReplies = false
    rig.advance(100)
    #expect(zombie.isGone, "CLIENT KILL came first")
    #expect(client.replies() == ["+OK"])
    #expect(!held.isEmpty)
    let kill = try #require(master.log.firstIndex(of: "CLIENT KILL ID \(zombie.id)"))
    let set = try #require(master.log.firstIndex(of: "SET a 1"))
    #expect(kill < set)
    rig.expectNothingHeld()
  }

  @Test(arguments: [("SET a 1", "-UNCERTAIN"), ("GET b", "nil")])
  func thatCannotBeEnded(_ command: String, _ reply: String) {
    let (rig, master, client) = freeze(command) { master in
      master.fault = { line, _ in
        line.hasPrefix("CLIENT KILL") ? .error("NOPERM no permissions") : nil
      }
    }
    master.isFrozen = false
    rig.advance(100)
    #expect(words(client.replies()) == [reply])
    #expect(rig.send(client, "GET b") == ["nil"])
    rig.expectNothingHeld()
  }

  @Test func ofAnotherProcessIsOfNoConcern() {
    let (rig, master, client) = freeze("SET a 1")
    let successor = FakeMaster(port: 6379, runID: "run-b")
    rig.cut(master)
    rig.serve(successor)
    rig.advance(100)
    #expect(client.replies() == ["+OK"])
    #expect(!successor.log.contains { $0.hasPrefix("CLIENT KILL") })
    #expect(successor.store.executed == ["SET a 1"])
  }

  @Test func restartedProcessIsNotTakenForTheOldOne() {
    let (rig, master, client) = freeze("SET a 1")
    let successor = FakeMaster(port: 6379, runID: "run-b")
    rig.masters[6379] = successor
    rig.cut(master)
    rig.advance(500)
    #expect(rig.reports.contains(.runIDChanged("run-b")))
    #expect(client.replies().isEmpty)
    #expect(!successor.log.contains { $0.hasPrefix("CLIENT KILL") })
    rig.serve(successor)
    #expect(client.replies() == ["+OK"])
  }

  @Test func lateRepliesReachNobody() throws {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 1_000 }
    let client = rig.connect()
    rig.send(client, "SET a old")
    master.isHoldingReplies = true
    rig.push(client, "GET a")
    rig.pump()
    let (id, connection) = try #require(rig.sortedConnections.first { !$0.1.outbox.isEmpty })
    rig.advance(1_020)
    master.isHoldingReplies = false
    rig.advance(200)
    #expect(client.replies() == ["old"])
    // The connection that was given up speaks after all.
    Array("$6\r\nforged\r\n".utf8).withUnsafeBytes {
      rig.shard.linkReceived(id, $0, nowMilliseconds: rig.now)
    }
    rig.shard.linkClosed(id, event: .closed, nowMilliseconds: rig.now)
    rig.pump()
    #expect(connection.isAbandoned)
    #expect(client.replies().isEmpty)
    #expect(rig.send(client, "GET a") == ["old"])
  }

  @Test func idsOfSpareLinksAreNeverUsedAgain() {
    // Checked by the rig at every connection.
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.sparesMax = 2 }
    for _ in 0..<5 {
      let client = rig.connect()
      rig.send(client, "MULTI", "SET a 1")
      rig.leave(client)
      rig.pump()
      rig.cut(master)
      rig.advance(2_000)
    }
    #expect(rig.usedLinkIDs.count > 10)
  }

  @Test func replyThatNobodyAskedForEndsTheLink() throws {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let connection = try #require(rig.shared(master))
    connection.outbox = Array("+SURPRISE\r\n".utf8)
    rig.pump()
    #expect(connection.isAbandoned)
    rig.advance(100)
    #expect(rig.send(client, "GET a") == ["nil"])
  }

  @Test func garbageFromRedisEndsTheLink() throws {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    master.isHoldingReplies = true
    rig.push(client, "GET a", "SET b 1")
    rig.pump()
    let connection = try #require(rig.shared(master))
    connection.outbox = Array("$-1\r\n?garbage".utf8)
    master.isHoldingReplies = false
    rig.pump()
    rig.advance(200)
    #expect(client.replies() == ["nil", "+OK"])
    rig.expectNothingHeld()
  }

  @Test func idleLinksAreChecked() {
    let master = FakeMaster()
    let rig = Rig.serving(master) {
      $0.checkIdleMilliseconds = 500
      $0.commandTimeoutMilliseconds = 500
    }
    rig.advance(600)
    #expect(master.log.contains("PING"))
    let count = rig.connectCount
    master.isFrozen = true
    rig.advance(1_200)
    #expect(rig.connectCount > count, "a silent idle link is replaced")
  }
}
