// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

@Suite struct PassThrough {
  @Test func pipelineIsAnsweredInOrder() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(rig.send(client, "SET a 1", "GET a", "INCR a", "GET a") == ["+OK", "1", ":2", "2"])
    rig.expectNothingHeld()
  }

  @Test func localRepliesKeepTheirPlace() {
    let rig = Rig.serving()
    let client = rig.connect()
    let replies = rig.send(client, "PING", "GET a", "ECHO x", "SET a 1", "PING y", "GET a", "PING")
    #expect(replies == ["+PONG", "nil", "x", "+OK", "y", "1", "+PONG"])
  }

  @Test func everySplitGivesTheSameReplies() {
    let bytes = Rig.bytes(["SET a 12", "PING", "GET a", "ECHO z"])
    for split in 0...bytes.count {
      let rig = Rig.serving()
      let client = rig.connect()
      rig.push(client, Array(bytes[..<split]))
      rig.push(client, Array(bytes[split...]))
      rig.pump()
      #expect(client.replies() == ["+OK", "+PONG", "12", "z"], "split at \(split)")
      rig.expectNothingHeld()
    }
  }

  @Test func oneByteAtATimeInBothDirections() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    master.isHoldingReplies = true
    for byte in Rig.bytes(["SET a 12", "PING", "GET a"]) {
      rig.push(client, [byte])
      rig.pump()
    }
    for (id, connection) in rig.sortedConnections {
      while !connection.outbox.isEmpty {
        rig.deliver(id, connection, limit: 1)
        rig.endTurn()
      }
    }
    #expect(client.replies() == ["+OK", "+PONG", "12"])
  }

  @Test func clientsGetTheirOwnReplies() {
    let rig = Rig.serving()
    let clients = (0..<20).map { _ in rig.connect() }
    for (index, client) in clients.enumerated() {
      rig.push(client, "SET k\(index) v\(index)", "ECHO e\(index)", "GET k\(index)")
    }
    rig.pump()
    for (index, client) in clients.enumerated() {
      #expect(client.replies() == ["+OK", "e\(index)", "v\(index)"])
    }
  }

  @Test func unknownCommandsPass() {
    let rig = Rig.serving()
    #expect(rig.send(rig.connect(), "MODULE.THING a") == ["-ERR unknown command 'MODULE.THING'"])
  }

  @Test func databasesAndProtocolsHaveLinksOfTheirOwn() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(
      rig.send(client, "SET a zero", "SELECT 3", "GET a", "SET a three") == [
        "+OK", "+OK", "nil", "+OK",
      ])
    #expect(rig.send(client, "SELECT 0", "GET a").last == "zero")
    let hello = rig.send(client, "HELLO 3", "GET b")
    #expect(hello.count == 2)
    #expect(client.received.suffix(3).elementsEqual("_\r\n".utf8))
    #expect(rig.send(client, "SELECT 99") == ["-ERR DB index is out of range"])
    #expect(rig.send(client, "SELECT x") == ["-ERR value is not an integer or out of range"])
    #expect(rig.send(client, "HELLO 4") == ["-NOPROTO unsupported protocol version"])
    #expect(rig.send(client, "RESET", "GET a") == ["+RESET", "zero"])
    #expect(client.received.suffix(10).elementsEqual("$4\r\nzero\r\n".utf8))
  }

  @Test func databaseThatRedisRefuses() {
    let master = FakeMaster()
    master.databasesMax = 2
    let rig = Rig.serving(master)
    let client = rig.connect()
    #expect(
      rig.send(client, "SELECT 7", "GET a", "PING") == [
        "+OK", "-ERR DB index is out of range", "+PONG",
      ])
    #expect(rig.send(client, "SELECT 1", "SET a 1") == ["+OK", "+OK"])
  }

  @Test func stateChangesWaitForWhatIsInFlight() {
    let rig = Rig.serving()
    let client = rig.connect()
    let replies = rig.send(
      client, "SET a 0", "SELECT 1", "SET a 1", "SELECT 0", "GET a", "SELECT 1", "GET a")
    #expect(replies == ["+OK", "+OK", "+OK", "+OK", "0", "+OK", "1"])
  }

  @Test(arguments: ["QUIT", "*1\r\n!"])
  func whatWasAskedBeforeTheEndIsAnswered(_ end: String) {
    let rig = Rig.serving()
    let client = rig.connect()
    let other = rig.connect()
    rig.push(client, Rig.bytes(["SET a 1", "GET a"]) + Array("\(end)\r\nPING\r\n".utf8))
    rig.push(other, "GET a")
    rig.pump()
    let last = end == "QUIT" ? "+OK" : "-ERR Protocol error: expected '$', got '!'"
    #expect(client.replies() == ["+OK", "1", last])
    #expect(client.isClosed)
    #expect(other.replies() == ["1"])
    #expect(!other.isClosed)
    rig.expectNothingHeld()
  }

  @Test(arguments: ["*x\r\n", "*1\r\n$-5\r\n", "*1\r\n$99999999999\r\n", "*-2\r\n", "\"abc\r\n"])
  func garbageClosesOnlyItsClient(_ garbage: String) {
    let rig = Rig.serving()
    let client = rig.connect()
    let other = rig.connect()
    rig.push(client, Array(garbage.utf8))
    rig.pump()
    let replies = client.replies()
    let isEmptyArray = garbage == "*-2\r\n" && replies.isEmpty
    #expect(isEmptyArray || (replies.count == 1 && replies[0].hasPrefix("-ERR Protocol error")))
    #expect(client.isClosed == !isEmptyArray)
    #expect(rig.send(other, "PING") == ["+PONG"])
    rig.expectNothingHeld()
  }

  @Test func badRequestsAreToldWhatIsWrong() {
    let rig = Rig.serving()
    let client = rig.connect()
    let cases = [
      ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
      ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
      ("MULTI x", "-ERR wrong number of arguments for 'multi' command"),
      ("EXEC", "-ERR EXEC without MULTI"),
      ("DISCARD", "-ERR DISCARD without MULTI"),
      ("UNWATCH", "+OK"),
      ("CLIENT SETNAME é", "-ERR Client names cannot contain"),
      ("CLIENT REPLY MAYBE", "-ERR syntax error"),
      ("HELLO 3 WHAT", "-ERR Syntax error in HELLO option 'WHAT'"),
      ("AUTH a b", "-WRONGPASS"),
      ("AUTH x", "-ERR AUTH <password> called without any password"),
      ("FLUSHALL", "-DENIED FLUSHALL is refused:"),
      ("CONFIG SET a b", "-DENIED CONFIG SET is refused:"),
      ("CLIENT KILL ID 1", "-DENIED CLIENT KILL is refused:"),
      ("CLIENT PAUSE 1", "-DENIED CLIENT PAUSE is refused:"),
      ("PSYNC a b", "-DENIED PSYNC is refused:"),
      ("WAIT x 1", "-ERR value is not an integer"),
      ("WAITAOF 1 1 1", "-DENIED WAITAOF"),
      ("HOLDFAST.DURABILITY MAYBE", "-ERR syntax"),
      ("PUBLISH __sentinel__:hello x", "-DENIED PUBLISH is refused:"),
    ]
    for (command, start) in cases {
      let replies = rig.send(client, command)
      #expect(replies.count == 1 && replies[0].hasPrefix(start), "\(command): \(replies)")
    }
    #expect(!client.isClosed)
    rig.expectNothingHeld()
  }

  @Test func settingOpensARefusedCommand() {
    let rig = Rig.serving { $0.opened = ["FLUSHALL"] }
    let client = rig.connect()
    #expect(rig.send(client, "FLUSHALL") == ["-ERR unknown command 'FLUSHALL'"])
    #expect(rig.send(client, "FLUSHDB")[0].hasPrefix("-DENIED"))
  }

  @Test func replyOffAndSkip() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(rig.send(client, "CLIENT REPLY OFF", "SET a 1", "PING", "INCR a").isEmpty)
    #expect(rig.send(client, "CLIENT REPLY ON", "GET a") == ["+OK", "2"])
    #expect(rig.send(client, "CLIENT REPLY SKIP", "INCR a", "GET a") == ["3"])
    #expect(rig.send(client, "CLIENT REPLY SKIP", "PING", "PING") == ["+PONG"])
    rig.expectNothingHeld()
  }

  @Test func replyOffCoversTransactions() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(rig.send(client, "CLIENT REPLY OFF", "MULTI", "SET a 1", "EXEC").isEmpty)
    #expect(rig.send(client, "CLIENT REPLY ON", "GET a") == ["+OK", "1"])
  }

  @Test func inlineCommands() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.push(client, Array("SET a 1\r\n\r\nGET a\nPING\r\n".utf8))
    rig.pump()
    #expect(client.replies() == ["+OK", "1", "+PONG"])
  }

  @Test func keysIsAnsweredThroughScan() {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.keysMax = 6 }
    let client = rig.connect()
    let other = rig.connect()
    rig.send(client, "MSET a 1 b 2 c 3 d 4 e 5")
    rig.push(client, "KEYS *", "PING")
    rig.push(other, "GET a")
    rig.pump()
    let replies = client.replies()
    #expect(replies.count == 2)
    #expect(replies[0].filter(\.isLetter).sorted() == ["a", "b", "c", "d", "e"])
    #expect(replies[1] == "+PONG")
    #expect(other.replies() == ["1"])
    #expect(!master.log.contains { $0.hasPrefix("KEYS") })
    rig.send(client, "MSET f 1 g 1 h 1")
    #expect(rig.send(client, "KEYS *", "PING").map { $0.prefix(11) } == ["-DENIED KEY", "+PONG"])
    rig.expectNothingHeld()
  }

  @Test func keysSurvivesALostLink() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "MSET a 1 b 2 c 3")
    var isDropped = false
    master.fault = { line, _ in
      guard line.hasPrefix("SCAN 2"), !isDropped else { return nil }
      isDropped = true
      return .dropBefore
    }
    rig.push(client, "KEYS *", "PING")
    rig.pump()
    rig.advance(1_000)
    #expect(isDropped)
    #expect(client.replies().map { $0.filter(\.isLetter).count } == [3, 4])
  }
}
