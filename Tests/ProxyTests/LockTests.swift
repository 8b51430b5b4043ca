// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions
import Testing

@testable import Proxy

/// What a shard does for the queue of locks: commands go there in order, calls come from there, ends are told.
@Suite struct LockCommands {
  private let lock = "SESSION.LOCK \(NativeCommands.id)"

  @Test func areAskedOnceAllBeforeThemIsDone() throws {
    let master = NativeCommands.master()
    let rig = Rig.serving(master)
    let client = rig.connect()
    rig.send(client, "PING")
    master.isHoldingReplies = true
    rig.push(client, "SET a 1", lock, "GET a")
    rig.pump()
    #expect(rig.asks.isEmpty, "the write before it may still be under way")
    master.isHoldingReplies = false
    rig.pump()
    #expect(client.replies() == ["+OK"])
    let ask = try #require(rig.asks.first)
    #expect(ask.arguments.count == 2 && ask.client == client.id)
    #expect(!master.log.contains("GET a"), "what follows waits for the lock")
    rig.shard.answerAsk(client.id, ask.position, .value(.integer(3)), nowMilliseconds: rig.now)
    rig.pump()
    #expect(client.replies() == [":3", "1"])
    rig.expectNothingHeld()
  }

  @Test func callsGoToTheMasterAndAreRepeatedOnTheNext() {
    let old = NativeCommands.master()
    let rig = Rig.serving(old)
    let call = RedisCall(
      .script(Script("test", "return 1"), keys: [[1]], arguments: []), replay: .guarded,
      isWrite: true)
    rig.shard.run(call, ticket: 5, nowMilliseconds: rig.now)
    rig.pump()
    #expect(rig.callAnswers.map(\.0) == [5] && rig.callAnswers[0].1 == "[OK :7]")
    old.isFrozen = true
    rig.shard.run(call, ticket: 6, nowMilliseconds: rig.now)
    rig.pump()
    rig.serve(NativeCommands.master([.integer(8)]))
    #expect(rig.callAnswers.last?.0 == 6 && rig.callAnswers.last?.1 == "[OK :8]")
    rig.expectNothingHeld()
  }

  @Test func callsEndInTimeWithoutAMaster() {
    let rig = Rig { $0.waitMilliseconds = 500 }
    rig.shard.run(
      RedisCall(.command([Array("GET".utf8), [1]]), replay: .read, isWrite: false), ticket: 1,
      nowMilliseconds: rig.now)
    rig.advance(700)
    #expect(rig.callAnswers.first?.1.hasPrefix("-NOMASTER") == true)
    rig.expectNothingHeld()
  }

  @Test func aProcessIsSettledOnceWhatItSentIsAnswered() {
    let master = NativeCommands.master()
    let rig = Rig.serving(master)
    let client = rig.connect(Peer(pid: 1, uid: 2, gid: 3, processKey: 9))
    rig.send(client, "PING")
    master.isHoldingReplies = true
    rig.push(client, "SET a 1")
    rig.pump()
    rig.shard.processGone(9, nowMilliseconds: rig.now)
    rig.pump()
    #expect(rig.endings.isEmpty, "its connection is still open")
    rig.leave(client)
    rig.pump()
    #expect(rig.endings.isEmpty, "its write is still under way")
    master.isHoldingReplies = false
    rig.pump()
    #expect(rig.endings == [.processSettled(9)])
  }

  @Test func aProcessWhoseSocketLivesOnElsewhereIsWaitedForBriefly() {
    let rig = Rig.serving(NativeCommands.master())
    _ = rig.connect(Peer(pid: 1, uid: 2, gid: 3, processKey: 9))
    rig.shard.processGone(9, nowMilliseconds: rig.now)
    rig.advance(500)
    #expect(rig.endings.isEmpty)
    rig.advance(600)
    #expect(rig.endings == [.processSettled(9)])
  }

  @Test func theEndOfAConnectionIsTold() {
    let rig = Rig.serving(NativeCommands.master())
    let client = rig.connect()
    let other = rig.connect()
    rig.push(client, lock)
    rig.pump()
    rig.leave(other)
    #expect(rig.endings.isEmpty, "it never asked for a lock")
    rig.leave(client)
    rig.pump()
    #expect(rig.endings == [.connectionGone(client.id), .connectionSettled(client.id)])
    rig.shard.answerAsk(client.id, 0, .value(.null), nowMilliseconds: rig.now)
    rig.expectNothingHeld()
  }
}
