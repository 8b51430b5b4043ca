// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// While a failover may be replacing the master, writes wait and reads go on.
@Suite struct WriteFence {
  @Test(arguments: ["SET a 1", "INCR a", "EVALSHA x 0", "PUBLISH c x", "SOMETHING a", "MULTI"])
  func keepsBack(_ command: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let reader = rig.connect()
    rig.send(client, "PING")
    rig.fence()
    master.log = []
    #expect(rig.send(client, command, "GET b").isEmpty, "what follows waits too")
    #expect(!master.log.contains(command))
    #expect(rig.send(reader, "GET b") == ["nil"])
    #expect(rig.shard.statistics.waiting == 1)
    rig.liftFence()
    #expect(client.replies().count == 2)
    rig.expectNothingHeld()
  }

  @Test func waitingWritesGoToTheNextMaster() {
    let old = FakeMaster()
    let rig = Rig.serving(old)
    let client = rig.connect()
    rig.send(client, "PING")
    rig.fence()
    rig.push(client, "SET a 1", "INCR n", "GET a")
    rig.pump()
    let next = FakeMaster(port: 6380, runID: "run-b")
    rig.serve(next)
    #expect(client.replies() == ["+OK", ":1", "1"])
    #expect(old.store.executed.isEmpty)
    rig.expectNothingHeld()
  }

  @Test func writesAreNotReleasedAtTheDeadline() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 500 }
    let client = rig.connect()
    rig.send(client, "PING")
    rig.fence()
    rig.push(client, "SET a 1", "GET a")
    rig.advance(700)
    let replies = client.replies()
    #expect(replies.count == 2 && replies[0].hasPrefix("-NOMASTER") && replies[1] == "nil")
    #expect(replies[0].contains("a failover"))
    rig.expectNothingHeld()
  }

  @Test func repliesInFlightAreHeldUntilTheReplicaHasThem() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let reader = rig.connect()
    rig.send(client, "PING")
    master.isHoldingReplies = true
    rig.push(client, "SET a 1", "GET a")
    rig.push(reader, "GET a")
    rig.pump()
    rig.fence()
    master.isHoldingReplies = false
    rig.pump()
    #expect(client.replies().isEmpty, "its replies keep their order")
    #expect(reader.replies() == ["1"])
    rig.fence(coveredMilliseconds: rig.now)
    #expect(client.replies().isEmpty, "asked in the same millisecond: not certain")
    rig.fence(coveredMilliseconds: rig.now + 1)
    #expect(client.replies() == ["+OK", "1"])
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    ("SET a 1", "+OK", 1), ("INCR a", "-UNCERTAIN", 0), ("DEL a", ":0", 1),
  ])
  func heldRepliesAtTheSwitch(_ command: String, _ reply: String, _ executedThere: Int) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "PING")
    master.isHoldingReplies = true
    rig.push(client, command)
    rig.pump()
    rig.fence()
    master.isHoldingReplies = false
    rig.pump()
    let next = FakeMaster(port: 6380, runID: "run-b")
    rig.serve(next)
    #expect(client.replies().map { String($0.prefix(reply.count)) } == [reply])
    #expect(next.store.executed.filter { $0 == command }.count == executedThere)
    rig.expectNothingHeld()
  }

  @Test func heldRepliesAreGivenWhenTheOldMasterStays() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "MULTI", "INCR a")
    master.isHoldingReplies = true
    rig.push(client, "EXEC")
    rig.pump()
    rig.fence()
    master.isHoldingReplies = false
    rig.pump()
    #expect(client.replies().isEmpty)
    rig.liftFence()
    #expect(client.replies() == ["[:1]"])
    #expect(rig.send(client, "GET a") == ["1"])
    rig.expectNothingHeld()
  }

  @Test func execOfAnOpenTransactionWaitsAndReadOnlyOnesGoOn() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.sparesMax = 3 }
    let writer = rig.connect()
    let reader = rig.connect()
    rig.send(writer, "MULTI", "SET a 1")
    rig.send(reader, "MULTI", "GET a")
    rig.fence()
    #expect(rig.send(writer, "EXEC").isEmpty)
    #expect(rig.send(reader, "EXEC") == ["[nil]"])
    rig.liftFence()
    #expect(writer.replies() == ["[+OK]"])
    rig.expectNothingHeld()
  }

  @Test func popThatWaitsForDataIsUncertain() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.sparesMax = 3 }
    let client = rig.connect()
    rig.send(client, "BLPOP a 0")
    rig.fence()
    #expect(client.replies().map { String($0.prefix(10)) } == ["-UNCERTAIN"])
    rig.expectNothingHeld()
  }

  @Test func clientThatLeavesIsForgotten() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "PING")
    master.isHoldingReplies = true
    rig.push(client, "SET a 1")
    rig.pump()
    rig.fence()
    master.isHoldingReplies = false
    rig.pump()
    rig.leave(client)
    rig.liftFence()
    rig.expectNothingHeld()
  }

  @Test func abandonedPromisesAreCounted() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.announce(.serving(isProvisional: true))
    rig.send(client, "SET session:0123456789 x", "GET a", "SET b 2")
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    #expect(rig.shard.figures.possiblyLost.count == 2)
    #expect(rig.shard.figures.possiblyLost.list == ["SET session:*", "SET *"])
  }

  @Test func confirmedPromisesAreNot() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.announce(.serving(isProvisional: true))
    rig.send(client, "SET a 1")
    rig.announce(.serving(isProvisional: false))
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    #expect(rig.shard.figures.possiblyLost.count == 0)
  }
}

/// Acknowledgements that wait for replicas.
@Suite struct ReplicatedWrites {
  private func rig(_ master: FakeMaster) -> Rig {
    Rig.serving(master) { $0.durability = .replicated(.all, timeoutMilliseconds: 300) }
  }

  @Test func areAcknowledgedOnceReplicasHaveThem() {
    let master = FakeMaster()
    let rig = rig(master)
    let client = rig.connect()
    #expect(rig.send(client, "SET a 1", "INCR n", "GET a") == ["+OK", ":1", "1"])
    #expect(master.log.contains("WAIT 2 50"))
    #expect(master.log.filter { $0.hasPrefix("WAIT") }.count <= 2, "one question for many writes")
    rig.expectNothingHeld()
  }

  @Test func areSaidToBeUnreplicatedInTime() {
    let master = FakeMaster()
    master.replicaCount = 1
    let rig = rig(master)
    let client = rig.connect()
    rig.push(client, "SET a 1")
    master.fault = { line, _ in line.hasPrefix("WAIT") ? .error("UNBLOCKED x") : nil }
    rig.advance(200)
    master.fault = nil
    #expect(client.replies().isEmpty)
    rig.endTurn()
    master.isHoldingReplies = true
    rig.advance(200)
    master.isHoldingReplies = false
    #expect(client.replies().map { String($0.prefix(13)) } == ["-UNREPLICATED"])
    rig.advance(100)
    rig.expectNothingHeld()
  }

  @Test func forbiddenPublishNeverSaysYes() {
    let master = FakeMaster()
    master.fault = { line, _ in line.hasPrefix("PUBLISH") ? .error("NOPERM channel") : nil }
    let rig = rig(master)
    let client = rig.connect()
    rig.push(client, "SET a 1")
    rig.advance(500)
    #expect(client.replies().map { String($0.prefix(13)) } == ["-UNREPLICATED"])
  }

  @Test func connectionsChooseForThemselves() {
    let master = FakeMaster()
    let rig = rig(master)
    let client = rig.connect()
    #expect(rig.send(client, "HOLDFAST.DURABILITY") == ["REPLICATED REPLICAS ALL TIMEOUT 300"])
    #expect(rig.send(client, "HOLDFAST.DURABILITY ASYNC") == ["ASYNC"])
    master.log = []
    #expect(rig.send(client, "SET a 1") == ["+OK"])
    #expect(!master.log.contains { $0.hasPrefix("WAIT") })
    let chosen = "HOLDFAST.DURABILITY REPLICATED REPLICAS 1 TIMEOUT 70"
    #expect(rig.send(client, chosen) == ["REPLICATED REPLICAS 1 TIMEOUT 70"])
    rig.send(client, "SET a 1")
    #expect(master.log.contains("WAIT 1 50"))
    #expect(rig.send(client, "RESET", "HOLDFAST.DURABILITY").last?.contains("300") == true)
    rig.leave(client)
    #expect(rig.shard.replicatedClients == 0)
  }

  @Test(arguments: [("SET a 1", "+OK"), ("INCR a", "-UNCERTAIN")])
  func lostBeforeTheAnswer(_ command: String, _ reply: String) {
    let master = FakeMaster()
    let rig = rig(master)
    let client = rig.connect()
    rig.send(client, "PING")
    master.fault = { line, _ in line.hasPrefix("WAIT") ? .dropBefore : nil }
    rig.push(client, command)
    rig.endTurn()
    rig.pump()
    #expect(client.replies().isEmpty)
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    rig.advance(100)
    #expect(client.replies().map { String($0.prefix(reply.count)) } == [reply])
    rig.expectNothingHeld()
  }

  @Test func waitOfAnAppIsAnswered() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    #expect(rig.send(client, "SET a 1", "WAIT 2 1000") == ["+OK", ":2"])
    #expect(rig.send(client, "WAIT 0 0") == [":2"])
    master.replicaCount = 1
    rig.push(client, "WAIT 1 100")
    rig.pump()
    #expect(client.replies() == [":1"])
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    #expect(rig.send(client, "WAIT 1 100") == [":0"], "another master's replicas say nothing")
    #expect(rig.send(client, "SET a 2", "WAIT 1 100") == ["+OK", ":2"])
    rig.expectNothingHeld()
  }
}
