// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Sessions

/// The host's queue of locks, without Redis.
@Suite struct LockTableTests {
  private let lock = "SESSION.LOCK \(LockRig.id)"

  @Test func oneHoldsItAndTheOthersAreToldForHowLong() {
    var rig = LockRig()
    rig.send(1, lock + " TTL 500")
    #expect(rig.holds(1))
    rig.now += 100
    rig.send(2, lock)
    #expect(
      rig.answers[2] == [.error("LOCKBUSY the lock is held for 400 ms more, unless it is freed")])
    rig.now += 400
    rig.send(2, lock)
    #expect(rig.holds(2), "its time is over")
    #expect((rig.fencing(2) ?? 0) > (rig.fencing(1) ?? 0))
  }

  @Test func waitersAreServedInOrderWithoutAskingRedisMeanwhile() throws {
    var rig = LockRig()
    rig.send(1, lock)
    for waiter: UInt64 in 2...5 { rig.send(waiter, lock + " WAIT 5000") }
    #expect(rig.order == [1])
    rig.advance(1000)
    #expect(rig.model.given.values.first?.count == 1)
    for holder: UInt64 in 1...4 {
      let token = try #require(rig.last(holder))
      rig.send(holder, "SESSION.UNLOCK \(LockRig.id) \(token)")
      #expect(rig.last(holder) == "1" && rig.holds(holder + 1))
    }
    #expect(rig.table.statistics.handedOver == 4)
    #expect(rig.order == [1, 1, 2, 2, 3, 3, 4, 4, 5])
  }

  @Test func aWaitEnds() {
    var rig = LockRig()
    rig.send(1, lock)
    rig.send(2, lock + " WAIT 300")
    rig.advance(299)
    #expect(rig.answers[2] == nil)
    rig.advance(2)
    #expect(rig.last(2) == "LOCKBUSY")
    rig.send(1, "SESSION.UNLOCK \(LockRig.id) \(rig.last(1) ?? "")")
    #expect(rig.answers[2]?.count == 1)
    #expect(rig.table.entries.isEmpty, "nothing is left behind")
    #expect(rig.table.waiterCount == 0 && rig.table.heldCounts.isEmpty)
  }

  @Test func anotherHostsLockIsAskedForAfterPauses() {
    var other = LockRig(seed: 2)
    other.send(1, lock + " TTL 2000")
    var rig = LockRig()
    rig.model = other.model
    rig.send(1, lock)
    #expect(rig.last(1) == "LOCKBUSY")
    rig.send(2, lock + " WAIT 5000")
    rig.isKeeping = true
    var asked = 0
    while rig.answers[2] == nil, rig.now < 1_010_000 {
      rig.advance(1)
      asked += rig.kept.count
      for (ticket, call) in rig.kept { rig.answer(ticket, call) }
      rig.kept = []
      rig.settle()
    }
    #expect(rig.holds(2))
    #expect((3...12).contains(asked), "\(asked) attempts in two seconds")
    #expect(rig.now - 1_000_000 <= 2_010, "at once when the holder's time is over")
  }

  @Test func retriesAreCapped() {
    var other = LockRig(seed: 2)
    other.send(1, lock + " TTL 60000")
    var rig = LockRig()
    rig.model = other.model
    rig.send(2, lock + " WAIT 60000 RETRIES 3")
    rig.advance(10_000)
    #expect(rig.last(2) == "LOCKBUSY")
    #expect(rig.table.entries.isEmpty)
  }

  @Test func withoutAVerifiedMasterNobodyIsGivenAny() {
    var rig = LockRig(isVerified: false)
    rig.send(1, lock)
    #expect(rig.last(1) == "NOMASTER")
    rig.send(2, lock + " WAIT 1000")
    rig.send(3, lock + " WAIT 100")
    rig.advance(500)
    #expect(rig.answers[2] == nil && rig.last(3) == "NOMASTER")
    rig.verified(true)
    #expect(rig.holds(2))
    rig.verified(false)
    rig.send(2, "SESSION.UNLOCK \(LockRig.id) \(rig.last(2) ?? "")")
    #expect(rig.last(2) == "1", "freeing is no grant")
  }

  @Test func aDeadProcessFreesItsLocksOnceItIsSettled() {
    var rig = LockRig()
    rig.send(1, process: 50, lock)
    rig.send(2, process: 50, lock + " WAIT 5000")
    rig.send(3, process: 51, lock + " WAIT 5000")
    rig.gone(.connection(1))
    rig.settled(.connection(1))
    rig.advance(100)
    #expect(rig.answers[3] == nil, "the process lives: its pool was reconnected")
    rig.gone(.process(50))
    #expect(rig.answers[3] == nil, "what it has sent may still be under way")
    rig.settled(.process(50))
    #expect(rig.holds(3) && rig.answers[2] == nil)
    #expect(rig.table.statistics.freedByDeath == 1)
  }

  @Test func aConnectionsLockEndsWithIt() {
    var rig = LockRig()
    rig.send(1, process: 50, lock + " SCOPE CONNECTION")
    rig.send(2, process: 50, lock + " WAIT 5000")
    rig.gone(.connection(1))
    rig.settled(.connection(1))
    #expect(rig.holds(2))
  }

  @Test func whoIsGoneBeforeTheAnswerHoldsNothing() {
    var rig = LockRig()
    rig.isKeeping = true
    rig.send(1, lock)
    rig.send(2, lock + " WAIT 5000")
    rig.gone(.connection(1))
    rig.answerKept()
    #expect(rig.answers[1] == nil && rig.holds(2))
    #expect(rig.model.given.values.first?.count == 2)
  }

  @Test func whoHasWaitedLongEnoughIsToldSoAndHoldsNothing() {
    var rig = LockRig()
    rig.isKeeping = true
    rig.send(1, lock + " WAIT 100")
    rig.advance(200)
    #expect(rig.last(1) == "LOCKBUSY")
    rig.answerKept()
    #expect(rig.answers[1]?.count == 1)
    rig.send(2, lock)
    #expect(rig.holds(2), "it was freed again")
  }

  @Test func aLostAnswerIsAskedForAgainWithTheSameToken() {
    var rig = LockRig()
    rig.isKeeping = true
    rig.send(1, lock + " WAIT 5000")
    for (_, call) in rig.kept { _ = rig.model.run(call, at: rig.now) }
    rig.fail("NOMASTER none for 15 s")
    rig.isKeeping = false
    rig.advance(1000)
    #expect(rig.holds(1))
    #expect(rig.model.given.values.first?.count == 1, "it was its own already")
  }

  @Test(arguments: ["OOM command not allowed", "NOPERM no", "MISCONF x"])
  func whatRedisRefusesIsSaid(_ text: String) {
    var rig = LockRig()
    rig.isKeeping = true
    rig.send(1, lock + " WAIT 5000")
    rig.fail(text)
    #expect(rig.answers[1] == [.error(text)])
    #expect(rig.table.waiterCount == 0)
  }

  @Test func aReleaseOfTheDeadIsTriedUntilItsTimeIsOver() {
    var rig = LockRig()
    rig.send(1, process: 50, lock + " TTL 3000")
    rig.isKeeping = true
    rig.gone(.process(50))
    rig.settled(.process(50))
    #expect(rig.kept.count == 1)
    for _ in 0..<5 {
      rig.fail("NOMASTER")
      rig.advance(150)
      #expect(rig.kept.count == 1)
    }
    rig.answerKept()
    #expect(rig.table.entries.isEmpty)
    rig.send(2, lock)
    #expect(rig.holds(2))
  }

  @Test func extendsAndFreesOnlyWithTheToken() {
    var rig = LockRig()
    rig.send(1, lock + " TTL 1000")
    let token = rig.last(1) ?? ""
    rig.send(1, "SESSION.EXTEND \(LockRig.id) \(token) 5000")
    #expect(rig.last(1) == "1")
    rig.send(2, "SESSION.UNLOCK \(LockRig.id) other")
    #expect(rig.last(2) == "0")
    rig.now += 3000
    rig.send(3, lock)
    #expect(rig.last(3) == "LOCKBUSY")
    rig.send(2, "SESSION.UNLOCK \(LockRig.id) \(token)")
    #expect(rig.last(2) == "1")
    rig.send(2, "SESSION.EXTEND \(LockRig.id) \(token) 5000")
    #expect(rig.last(2) == "0")
  }

  @Test func hasLimits() {
    var configuration = LockConfiguration()
    configuration.waitersPerLockMax = 2
    configuration.locksPerOwnerMax = 1
    var rig = LockRig(configuration)
    rig.send(1, lock)
    for waiter: UInt64 in 2...4 { rig.send(waiter, lock + " WAIT 1000") }
    #expect(rig.last(4) == "OVERLOADED")
    rig.send(1, "SESSION.LOCK \(String(repeating: "cd", count: 32))")
    #expect(rig.last(1) == "OVERLOADED")
  }

  @Test(
    arguments: [
      ("LOCK", "ERR"), ("LOCK x", "NOSESSION"), ("LOCK ID WAIT", "ERR"), ("LOCK ID WAIT x", "ERR"),
      ("LOCK ID WAIT -1", "ERR"), ("LOCK ID TTL 0", "ERR"), ("LOCK ID SCOPE HOST", "ERR"),
      ("LOCK ID NOW", "ERR"), ("LOCK ID WAIT 1 WAIT 1", "ERR"), ("UNLOCK x", "ERR"),
      ("EXTEND ID y z", "ERR"), ("UNLOCK x y", "NOSESSION"), ("GET ID", "ERR"), ("GOT ID", "ERR"),
      ("LOCK ID wait 10 retries 2 ttl 5 scope connection", nil),
    ] as [(String, String?)])
  func readsItsArguments(_ line: String, _ word: String?) {
    var rig = LockRig()
    rig.send(1, "SESSION." + line.replacing("ID", with: LockRig.id))
    #expect(rig.answers[1]?.count == 1)
    if let word { #expect(rig.last(1) == word) } else { #expect(rig.holds(1)) }
  }

  @Test(arguments: [false, true]) func aDriversLockEndsWithItsOwner(isConnectionScope: Bool) {
    var rig = LockRig()
    let name = LockName(Array("S_LOCK".utf8), database: 3)
    rig.model.values[name.key] = .init(token: [5], expiryMilliseconds: rig.now + 30_000)
    let client = LockClient(connection: 1, position: 0, process: 50)
    rig.table.driverTook(
      name, token: [5], ttlMilliseconds: 30_000, client, isConnectionScope: isConnectionScope,
      nowMilliseconds: rig.now)
    rig.gone(.connection(1))
    rig.settled(.connection(1))
    #expect((rig.model.values[name.key] == nil) == isConnectionScope)
    rig.gone(.process(50))
    rig.settled(.process(50))
    #expect(rig.model.values[name.key] == nil && rig.freed == [name])
    #expect(rig.table.entries.isEmpty && rig.table.heldCounts.isEmpty)
  }

  @Test func aDriversLockThatIsAnothersByNowIsLeftAlone() {
    var rig = LockRig()
    let name = LockName(Array("S_LOCK".utf8), database: 0)
    rig.model.values[name.key] = .init(token: [6], expiryMilliseconds: rig.now + 30_000)
    let client = LockClient(connection: 1, position: 0, process: 50)
    rig.table.driverTook(
      name, token: [5], ttlMilliseconds: 30_000, client, isConnectionScope: false,
      nowMilliseconds: rig.now)
    rig.gone(.process(50))
    rig.settled(.process(50))
    #expect(rig.model.values[name.key]?.token == [6])
    rig.table.driverTook(
      name, token: [7], ttlMilliseconds: 30_000, client, isConnectionScope: false,
      nowMilliseconds: rig.now)
    rig.table.driverFreed(name)
    #expect(rig.table.entries.isEmpty)
  }

  @Test func theOperatorSeesWhoHoldsItButNotWhat() {
    var rig = LockRig()
    rig.send(1, lock)
    rig.send(2, lock + " WAIT 1000")
    let views = rig.table.views(nowMilliseconds: rig.now)
    #expect(views.count == 1)
    #expect(views.first?.pid == 7 && views.first?.uid == 8 && views.first?.waiters == 1)
    #expect(views.first?.handle.count == 8)
    rig.send(3, "holdfast.locks")
    guard case .value(.array(let rows))? = rig.answers[3]?.last else {
      Issue.record("no list")
      return
    }
    #expect(rows.count == 1 && rows[0].dictionary?["pid"] == .integer(7))
    rig.table.answered(999, .null, nowMilliseconds: rig.now, random: &rig.random)
  }
}
