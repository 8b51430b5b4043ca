// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// One deadline a command, however it spends it; and an end to every wait.
@Suite struct Deadlines {
  @Test func waitForAMasterAndALostLinkShareOne() {
    let old = FakeMaster()
    let rig = Rig { $0.waitMilliseconds = 1_000 }
    let client = rig.connect()
    rig.push(client, "SET a 1")
    rig.advance(800)
    old.fault = { line, _ in line == "SET a 1" ? .dropBefore : nil }
    rig.serve(old)
    rig.announce(.waiting(reason: "failover"))
    rig.advance(150)
    #expect(client.replies().isEmpty)
    rig.advance(100)
    #expect(client.replies().map { $0.prefix(10) } == ["-UNCERTAIN"])
    old.fault = nil
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    #expect(rig.send(client, "SET a 2") == ["+OK"], "the next one has a deadline of its own")
    rig.expectNothingHeld()
  }

  @Test func refusalsOfRedisAreSaidInItsWords() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 500 }
    let client = rig.connect()
    let words = "MISCONF Redis is configured to save RDB snapshots"
    master.fault = { line, _ in line.hasPrefix("SET") ? .error(words) : nil }
    rig.push(client, "SET a 1")
    rig.advance(700)
    #expect(client.replies() == ["-\(words)"])
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    ("BLPOP a 2", 2_000), ("BLMPOP 1.5 1 a LEFT", 1_500), ("XREAD BLOCK 700 STREAMS a $", 700),
  ])
  func blockingCommandOnASilentMaster(_ command: String, _ milliseconds: Int64) {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 500 }
    let client = rig.connect()
    rig.send(client, "PING")
    master.isFrozen = true
    rig.push(client, command)
    rig.advance(milliseconds + 400)
    #expect(client.replies().isEmpty)
    #expect(rig.shard.clients[client.id]?.lease != nil)
    rig.advance(300)
    #expect(rig.shard.clients[client.id]?.lease == nil)
    master.isFrozen = false
    rig.advance(100)
    #expect(client.replies().count == 1)
    rig.expectNothingHeld()
  }

  @Test func blockingForEverIsTheClientsChoice() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.commandTimeoutMilliseconds = 500 }
    let client = rig.connect()
    rig.push(client, "BLPOP a 0")
    rig.advance(60_000, step: 500)
    #expect(rig.send(rig.connect(), "RPUSH a x") == [":1"])
    #expect(client.replies() == ["[a x]"])
  }
}

@Suite struct LeasePreparation {
  /// What is refused while a connection is brought to its client's database.
  private func rig(_ error: String, times: Int) -> (Rig, FakeMaster) {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 1_000 }
    var count = 0
    master.fault = { line, connection in
      guard line == "SELECT 1", !master.log.contains("MULTI"), connection.database == 0,
        master.log.suffix(2).first != "CLIENT SETNAME holdfast", count < times
      else { return nil }
      count += 1
      return .error(error)
    }
    return (rig, master)
  }

  @Test func busyIsTakenAgain() {
    let (rig, master) = rig("BUSY Redis is busy running a script.", times: 3)
    let client = rig.connect()
    rig.push(client, "SELECT 1", "MULTI", "SET a 1", "EXEC")
    rig.advance(900)
    #expect(client.replies() == ["+OK", "+OK", "+QUEUED", "[+OK]"])
    #expect(!client.isClosed)
    #expect(master.store.values == [1: ["a": "1"]])
    rig.expectNothingHeld()
  }

  @Test func busyUntilTheEndIsAnError() {
    let (rig, master) = rig("BUSY Redis is busy running a script.", times: .max)
    let client = rig.connect()
    rig.push(client, "SELECT 1", "MULTI")
    rig.advance(1_500)
    #expect(client.replies() == ["+OK", "-BUSY Redis is busy running a script."])
    #expect(!client.isClosed)
    #expect(master.store.executed.isEmpty)
    rig.expectNothingHeld()
  }

  @Test func forbiddenDatabaseIsSaidInRedisWords() {
    let (rig, _) = rig("NOPERM this user has no permissions", times: .max)
    let client = rig.connect()
    rig.push(client, "SELECT 1", "MULTI")
    rig.advance(300)
    #expect(client.replies() == ["+OK", "-NOPERM this user has no permissions"])
    #expect(!client.isClosed)
  }

  @Test func connectionOfTheSameDatabaseIsUsedAgain() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.sparesMax = 2 }
    let client = rig.connect()
    rig.send(client, "SELECT 1", "MULTI", "SET a 1", "EXEC")
    master.log = []
    #expect(
      rig.send(client, "MULTI", "SET a 2", "EXEC") == ["+OK", "+QUEUED", "[+OK]"])
    #expect(master.log.first == "MULTI", "nothing to prepare: \(master.log)")
    #expect(rig.send(rig.connect(), "MULTI", "SET b 1", "EXEC").last == "[+OK]")
    #expect(master.store.values == [1: ["a": "2"], 0: ["b": "1"]])
  }

  @Test func refusedBeginIsNoTransaction() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    var count = 0
    master.fault = { line, _ in
      guard line == "MULTI" else { return nil }
      count += 1
      return .error(count == 1 ? "NOPERM no MULTI for you" : "LOADING Redis is loading")
    }
    #expect(rig.send(client, "MULTI") == ["-NOPERM no MULTI for you"])
    #expect(rig.send(client, "GET a") == ["nil"], "on the shared link again")
    rig.push(client, "MULTI")
    rig.advance(300)
    #expect(client.replies().isEmpty && count > 2)
    master.fault = nil
    rig.advance(300)
    #expect(client.replies() == ["+OK"])
    #expect(rig.send(client, "SET a 1", "EXEC") == ["+QUEUED", "[+OK]"])
    rig.expectNothingHeld()
  }
}

@Suite struct SilentClients {
  @Test func keysAndUnwatchAreSilentToo() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.send(client, "SET a 1", "CLIENT REPLY OFF", "KEYS *", "WATCH a", "UNWATCH")
    rig.advance(100)
    #expect(rig.shard.clients[client.id]?.lease == nil, "nothing is watched any more")
    #expect(rig.send(client, "CLIENT REPLY ON", "GET a") == ["+OK", "1"])
    rig.expectNothingHeld()
  }
}

@Suite struct UnreadReplies {
  @Test func ofAllClientsTogetherHaveALimit() {
    let rig = Rig.serving {
      $0.outputBytesMax = 10_000
      $0.outputBytesPerClientMax = 8_000
    }
    let value = String(repeating: "x", count: 1_000)
    let readers = (0..<3).map { _ in rig.connect() }
    rig.send(readers[0], "SET a \(value)")
    for client in readers { rig.shard.clientWritable(client.id, false, nowMilliseconds: rig.now) }
    // Each within its own limit: the one that holds most must go.
    for (client, count) in zip(readers, [3, 2, 6]) {
      rig.shard.clientWritable(client.id, true, nowMilliseconds: rig.now)
      rig.push(client, Rig.bytes(Array(repeating: "GET a", count: count)))
      rig.shard.clientWritable(client.id, false, nowMilliseconds: rig.now)
      rig.pump()
    }
    #expect(readers.map(\.wasAborted) == [false, false, true])
    for client in readers where !client.isClosed {
      rig.shard.clientWritable(client.id, true, nowMilliseconds: rig.now)
    }
    rig.pump()
    #expect(readers[0].replies().count == 3 && readers[1].replies().count == 2)
    #expect(rig.shard.outputBytes == 0)
  }
}

@Suite struct RememberedScripts {
  @Test func areLoadedBeforeTheirFirstUse() {
    let rig = Rig.serving()
    let client = rig.connect()
    let digest = FakeConnection.digest(of: "abc")
    rig.send(client, "SCRIPT LOAD abc")
    let next = FakeMaster(port: 6380, runID: "run-b")
    rig.serve(next)
    #expect(next.log.contains("SCRIPT LOAD abc"), "ahead of any use")
    let replies = rig.send(client, "MULTI", "EVALSHA \(digest) 0", "EXEC")
    #expect(replies == ["+OK", "+QUEUED", "[ran]"])
  }

  @Test func loadThatIsRefusedIsNoHotLoop() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 1_000 }
    let client = rig.connect()
    let digest = FakeConnection.digest(of: "abc")
    rig.send(client, "SCRIPT LOAD abc")
    master.scripts = []
    master.fault = { line, _ in line.hasPrefix("SCRIPT") ? .error("NOPERM no scripts") : nil }
    master.log = []
    rig.push(client, "EVALSHA \(digest) 0")
    rig.advance(1_300)
    #expect(client.replies().map { String($0.prefix(9)) } == ["-NOSCRIPT"])
    #expect(master.log.filter { $0.hasPrefix("EVALSHA") }.count < 20)
    rig.expectNothingHeld()
  }
}
