// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions
import Testing

@testable import Proxy

/// Locks that frameworks' drivers take with `SET NX PX`: seen as they pass, and asked for again where the settings
/// say so.
@Suite struct DriverLockCommands {
  private func rig(_ wait: Int64 = 0) -> (Rig, FakeMaster) {
    let master = FakeMaster()
    let rig = Rig.serving(master) {
      $0.driverLocks = DriverLocks(prefixes: [Array("S:".utf8)])
      $0.driverLocks?.waitMilliseconds = wait
    }
    return (rig, master)
  }

  private let name = LockName(Array("S:a_LOCK".utf8), database: 0)

  @Test(
    arguments: [
      ("SET S:a_LOCK t NX PX 30000", 30_000), ("set S:a_LOCK t ex 30 nx", 30_000),
      ("SET S:a_LOCK t PX 500 NX", 500), ("SET S:a_LOCK t NX", 86_400_000),
    ] as [(String, Int64)])
  func areSeen(_ line: String, _ milliseconds: Int64) {
    let (rig, _) = rig()
    let client = rig.connect()
    #expect(rig.send(client, line) == ["+OK"])
    #expect(
      rig.endings == [
        .driverLock(
          client.id, nil, name, token: Array("t".utf8), ttlMilliseconds: milliseconds)
      ])
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    "SET S:a t", "SET S:a t PX 500", "SET S:a t NX GET", "SET T:a t NX PX 500",
    "SET S:a t XX PX 500",
    "SET S:a t NX PX 0", "GET S:a",
  ])
  func othersAreNot(_ line: String) {
    let (rig, _) = rig()
    let client = rig.connect()
    rig.send(client, line)
    #expect(rig.endings.isEmpty)
    rig.expectNothingHeld()
  }

  @Test func aReleaseIsSeen() {
    let (rig, _) = rig()
    let client = rig.connect()
    rig.send(client, "SET S:a_LOCK t NX PX 30000", "DEL S:a_LOCK", "DEL S:a_LOCK")
    #expect(rig.endings.filter { $0 == .driverFreed(name) }.count == 1)
  }

  @Test func aRefusedOneHearsAtOnceByDefault() {
    let (rig, _) = rig()
    let client = rig.connect()
    #expect(
      rig.send(client, "SET S:a_LOCK t NX PX 9000", "SET S:a_LOCK u NX PX 9000") == ["+OK", "nil"])
  }

  @Test func waitersAreServedInOrder() {
    let (rig, master) = rig(5_000)
    let clients = (0..<4).map { _ in rig.connect() }
    for (index, client) in clients.enumerated() {
      rig.push(client, "SET S:a_LOCK t\(index) NX PX 60000")
      rig.pump()
    }
    rig.advance(300)
    #expect(clients[0].replies() == ["+OK"] && clients[1].replies().isEmpty)
    let asked = master.log.filter { $0.hasPrefix("SET S:a_LOCK t3") }.count
    #expect(asked == 0, "those behind the first do not ask")
    for index in 0..<3 {
      rig.send(clients[index], "DEL S:a_LOCK")
      rig.shard.driverFreed(name, nowMilliseconds: rig.now)
      rig.advance(40)
      #expect(clients[index + 1].replies() == ["+OK"], "number \(index + 1)")
    }
    rig.expectNothingHeld()
  }

  @Test func aWaitEndsWithRedisOwnRefusal() {
    let (rig, _) = rig(500)
    let holder = rig.connect()
    let waiter = rig.connect()
    rig.send(holder, "SET S:a_LOCK t NX PX 60000")
    rig.push(waiter, "SET S:a_LOCK u NX PX 60000", "GET S:a_LOCK")
    rig.advance(400)
    #expect(waiter.replies().isEmpty)
    rig.advance(300)
    #expect(waiter.replies() == ["nil", "t"])
    rig.expectNothingHeld()
  }

  @Test func whoLeavesWaitsForNothing() {
    let (rig, _) = rig(5_000)
    let holder = rig.connect()
    let waiters = [rig.connect(), rig.connect()]
    rig.send(holder, "SET S:a_LOCK t NX PX 60000")
    for waiter in waiters { rig.push(waiter, "SET S:a_LOCK u NX PX 60000") }
    rig.advance(100)
    rig.leave(waiters[0])
    rig.send(holder, "DEL S:a_LOCK")
    rig.advance(200)
    #expect(waiters[1].replies() == ["+OK"])
    rig.expectNothingHeld()
  }
}
