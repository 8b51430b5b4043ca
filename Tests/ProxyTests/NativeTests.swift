// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions
import Testing

@testable import Proxy

/// `SESSION.*` in the data path: order, replay, fences, confirmation. What scripts do is tested on a real Redis.
@Suite struct NativeCommands {
  static let id = String(repeating: "ab", count: 32)

  /// A master whose scripts answer `OK` and these values.
  static func master(_ values: [RESPValue] = [.integer(7)], replicas: Int = 2) -> FakeMaster {
    let master = FakeMaster()
    master.digest = { Script("test", $0).digest }
    master.replicaCount = replicas
    master.isHoldingWaits = replicas == 0
    master.scriptAnswer = { _ in answer(values) }
    return master
  }

  static func answer(_ values: [RESPValue]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.write(.array([.bulk(Array("OK".utf8))] + values), .two)
    return bytes
  }

  @Test func runsOnTheDatabaseOfSessions() {
    let master = Self.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    #expect(rig.send(client, "SESSION.TOUCH \(Self.id)") == [":7"])
    let script = master.readyConnections.first { $0.database == 1 }
    #expect(script != nil, "database 1, though the client is on 0")
    #expect(rig.send(client, "SET a 1", "GET a") == ["+OK", "1"])
    #expect(master.store.values[0]?["a"] == "1")
    rig.expectNothingHeld()
  }

  @Test func loadsAScriptThatRedisDoesNotKnow() {
    let master = Self.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "SESSION.TOUCH \(Self.id)")
    master.scripts = []
    #expect(rig.send(client, "SESSION.TOUCH \(Self.id)") == [":7"])
    #expect(master.log.filter { $0.hasPrefix("SCRIPT LOAD") }.count == 2)
    rig.expectNothingHeld()
  }

  @Test func keepsOrderAmongPlainAndNativeCommands() {
    let master = Self.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let touch = "SESSION.TOUCH \(Self.id)"
    let replies = rig.send(client, "SET a 1", touch, "GET a", touch, touch, "INCR n", touch)
    #expect(replies == ["+OK", ":7", "1", ":7", ":7", ":1", ":7"])
    rig.expectNothingHeld()
  }

  @Test func isSentAgainToTheNextMaster() {
    let old = Self.master()
    let rig = Rig.serving(old)
    let client = rig.connect()
    rig.send(client, "SESSION.TOUCH \(Self.id)")
    old.isFrozen = true
    rig.push(client, "SESSION.TOUCH \(Self.id)", "SESSION.TOUCH \(Self.id)")
    rig.pump()
    let next = Self.master([.integer(9)])
    rig.serve(next)
    #expect(client.replies() == [":9", ":9"])
    rig.expectNothingHeld()
  }

  @Test func waitsForAMaster() {
    let rig = Rig { $0.waitMilliseconds = 500 }
    let client = rig.connect()
    rig.push(client, "SESSION.TOUCH \(Self.id)")
    rig.pump()
    #expect(client.replies().isEmpty)
    rig.serve(Self.master())
    #expect(client.replies() == [":7"])
    rig.announce(.waiting(reason: "gone"))
    rig.push(client, "SESSION.TOUCH \(Self.id)")
    rig.advance(700)
    #expect(client.replies().first?.hasPrefix("-NOMASTER") == true)
    rig.expectNothingHeld()
  }

  @Test func underAFenceReadsDoNotSlideAndWritesWait() {
    let master = Self.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    let writer = rig.connect()
    rig.send(client, "SESSION.TOUCH \(Self.id)")
    rig.fence()
    rig.push(writer, "SESSION.TOUCH \(Self.id)", "SESSION.GET \(Self.id)")
    rig.pump()
    #expect(writer.replies().isEmpty)
    #expect(rig.send(client, "SESSION.GET \(Self.id)").count == 1, "a read goes on")
    rig.liftFence()
    #expect(writer.replies().count == 2)
    rig.expectNothingHeld()
  }

  @Test func aLoginThatWaitsIsCountedOnce() {
    let rig = Rig.serving(Self.master([.array([.text("OK"), .integer(1), .integer(0)])]))
    let client = rig.connect()
    rig.send(client, "PING")
    rig.fence()
    rig.push(client, "SESSION.LOGIN u OK")
    rig.pump()
    rig.announce(.waiting(reason: "gone"))
    rig.announce(.serving(isProvisional: false))
    #expect(client.replies().isEmpty)
    rig.liftFence()
    #expect(client.replies().count == 1)
    #expect(rig.shard.traffic.logins.good == 1)
    rig.expectNothingHeld()
  }

  @Test(arguments: [(2, "confirmed"), (0, "pending")])
  func asksAReplica(_ replicas: Int, _ state: String) {
    let master = Self.master([.integer(1)], replicas: replicas)
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.push(client, "SESSION.DESTROY \(Self.id)")
    rig.advance(500)
    #expect(client.replies() == ["[:1 \(state)]"])
    #expect(rig.denied.isEmpty == (state == "confirmed"))
    let isDenied = rig.send(client, "SESSION.TOUCH \(Self.id)") == ["nil"]
    #expect(isDenied == (state == "pending"))
    rig.expectNothingHeld()
  }

  @Test func aPendingEndIsTriedUntilAReplicaHasIt() {
    let master = Self.master([.integer(1)], replicas: 0)
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.push(client, "SESSION.DESTROY \(Self.id)")
    rig.advance(3_000)
    #expect(client.replies() == ["[:1 pending]"])
    #expect(rig.denied.count == 1)
    #expect(rig.shard.isRetryingEnds, "the next tick must not be far away")
    master.replicaCount = 1
    master.isHoldingWaits = false
    rig.advance(10_000)
    #expect(rig.denied.isEmpty && !rig.shard.isRetryingEnds)
    #expect(rig.send(client, "SESSION.TOUCH \(Self.id)") == [":1"], "Redis itself is asked again")
    #expect(rig.shard.isDrained == false)
    rig.leave(client)
    #expect(rig.shard.isDrained, "the daemon's own commands keep nobody from stopping")
  }

  @Test func anotherShardsDenialHolds() throws {
    let rig = Rig.serving(Self.master())
    let client = rig.connect()
    let stored = try #require(rig.storedMember(of: Self.id))
    let denial = PendingDenial(members: [stored])
    rig.shard.deny(denial, isOwner: false, nowMilliseconds: rig.now)
    #expect(rig.send(client, "SESSION.TOUCH \(Self.id)") == ["nil"])
    #expect(rig.send(client, "SESSION.SET \(Self.id) x").first?.hasPrefix("-NOSESSION") == true)
    rig.shard.allow(denial)
    #expect(rig.send(client, "SESSION.TOUCH \(Self.id)") == [":7"])
  }

  @Test(arguments: [
    ("SESSION.TOUCH", "-ERR"), ("SESSION.NONE x", "-ERR"), ("SESSION.TOUCH x y z", "-ERR"),
    ("SESSION.TOUCH short", "nil"), ("SESSION.HELP", "SESSION.CREATE"),
  ])
  func answersWithoutRedis(_ command: String, _ beginning: String) {
    let master = Self.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "PING")
    master.log = []
    let replies = rig.send(client, command, "PING")
    #expect(replies.count == 2 && replies[0].hasPrefix(beginning), "\(replies)")
    #expect(!master.log.contains { $0.hasPrefix("EVALSHA") })
  }

  @Test func isRefusedInATransaction() {
    let rig = Rig.serving(Self.master())
    let client = rig.connect()
    let replies = rig.send(client, "MULTI", "SESSION.TOUCH \(Self.id)", "EXEC")
    #expect(replies.count == 3 && replies[1].hasPrefix("-") && replies[2].hasPrefix("-EXECABORT"))
  }

  @Test func aSilentClientHearsNothing() {
    let rig = Rig.serving(Self.master())
    let client = rig.connect()
    let replies = rig.send(
      client, "CLIENT REPLY OFF", "SESSION.TOUCH \(Self.id)", "CLIENT REPLY ON", "PING")
    #expect(replies == ["+OK", "+PONG"])
    rig.expectNothingHeld()
  }

  @Test func aClientThatLeavesLeavesNothing() {
    let master = Self.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "SESSION.TOUCH \(Self.id)")
    master.isFrozen = true
    rig.push(client, "SESSION.TOUCH \(Self.id)")
    rig.pump()
    rig.leave(client)
    master.isFrozen = false
    rig.pump()
    rig.expectNothingHeld()
  }
}

extension Rig {
  func storedMember(of id: String) -> [UInt8]? {
    SessionID(Array(id.utf8)).map {
      IndexMember.session($0.stored(as: shard.configuration.sessions.idStorage))
    }
  }
}
