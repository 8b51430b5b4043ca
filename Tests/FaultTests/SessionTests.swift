// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Synchronization
import Testing

/// What tasks have found, in order.
private final class Collected<Value: Sendable>: Sendable {
  private let all = Mutex<[Value]>([])

  var values: [Value] { all.withLock { $0 } }
  func append(_ value: Value) { all.withLock { $0.append(value) } }
}

private final class Flag: Sendable {
  private let flag = Atomic<Bool>(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}

/// An app's view of native sessions, on a connection of its own.
private struct SessionClient: Sendable {
  let client: LabClient

  static func connect(_ daemon: Daemon) async throws -> SessionClient {
    SessionClient(client: try await daemon.connect())
  }

  /// A command's reply; errors are values.
  func call(_ words: String...) async throws -> RESPValue {
    try await client.command(words, timeoutMilliseconds: 40_000)
  }

  func create(_ data: String, _ options: String...) async throws -> String {
    let reply = try await client.command(
      ["SESSION.CREATE", data] + options, timeoutMilliseconds: 40_000)
    return try #require(reply.elements?.first?.text, "\(reply)")
  }

  /// Adds one under the lock. Nil: not known.
  func addLocked(_ id: String) async throws -> Int? {
    let lock = try await call("SESSION.LOCK", id, "WAIT", "30000", "RETRIES", "100000")
    guard let token = lock.elements?.first?.text else { throw LabError.failed("LOCK: \(lock)") }
    let found = try await call("SESSION.GET", id)
    let value = found.elements?.first?.text.flatMap { Int($0) }
    var result: Int?
    if let value {
      let reply = try await call("SESSION.SET", id, "\(value + 1)", "TOKEN", token)
      if reply.integerValue != nil { result = value + 1 }
      if let word = reply.errorWord, word != "LOCKLOST" { throw LabError.failed("SET: \(reply)") }
    }
    _ = try await call("SESSION.UNLOCK", id, token)
    return result
  }

  /// Adds one unless somebody else has written meanwhile, until nobody has.
  func addVersioned(_ id: String) async throws -> Int {
    for _ in 0..<10_000 {
      let found = try await call("SESSION.GET", id, "NOTOUCH").elements
      guard let found, let value = found[0].text.flatMap({ Int($0) }),
        let version = found[1].integerValue
      else { throw LabError.failed("GET: no session") }
      let reply = try await call("SESSION.SET", id, "\(value + 1)", "VERSION", "\(version)")
      if reply.integerValue != nil { return value + 1 }
      guard reply.errorWord == "CONFLICT" else { throw LabError.failed("SET: \(reply)") }
    }
    throw LabError.failed("never without a conflict")
  }
}

@Suite("Native sessions through the daemon")
struct SessionTests {
  private static func each(
    _ count: Int, on daemon: Daemon,
    _ body: @escaping @Sendable (Int, SessionClient) async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<count {
        group.addTask { try await body(index, try await SessionClient.connect(daemon)) }
      }
      try await group.waitForAll()
    }
  }

  /// No key without an end is left.
  private static func expectAllExpire(_ node: Node) async throws {
    let client = try await LabClient.connect(node.endpoint)
    _ = try await client.command(["SELECT", "1"])
    let keys = try await client.command(["KEYS", "*"]).elements ?? []
    for key in keys.compactMap(\.text) {
      let ttl = try await client.command(["PTTL", key]).integerValue ?? -1
      #expect(ttl != -1, "\(key) never expires")
    }
  }

  @Test("Parallel increments end at the right number", arguments: [10, 100], [false, true])
  func increments(_ count: Int, underLock: Bool) async throws {
    try await withFixed { lab, daemon in
      let first = try await SessionClient.connect(daemon)
      let id = try await first.create("0")
      try await Self.each(count, on: daemon) { _, client in
        if underLock {
          #expect(try await client.addLocked(id) != nil)
        } else {
          _ = try await client.addVersioned(id)
        }
      }
      let found = try await first.call("SESSION.GET", id).elements
      #expect(found?.first?.text == "\(count)")
      try await Self.expectAllExpire(lab.initialMaster)
    }
  }

  @Test(
    "A hundred parallel regenerates give one successor; logout beats a slow writer; limits hold")
  func races() async throws {
    try await withFixed { lab, daemon in
      let first = try await SessionClient.connect(daemon)
      let id = try await first.create("x", "USER", "u")
      let successors = Collected<String>()
      try await Self.each(100, on: daemon) { _, client in
        let reply = try await client.call("SESSION.REGENERATE", id)
        if let fields = reply.elements, fields[1].integerValue == 1, let new = fields[0].text {
          successors.append(new)
        }
      }
      #expect(successors.values.count == 1)
      let new = try #require(successors.values.first)
      #expect(try await first.call("SESSION.GET", new).elements?[0].text == "x")

      let writer = Task {
        let client = try await SessionClient.connect(daemon)
        for number in 0..<100_000 {
          let reply = try await client.call("SESSION.SET", new, "w\(number)")
          if reply.errorWord == "NOSESSION" { return true }
        }
        return false
      }
      _ = try await first.call("SESSION.LOGOUTALL", "u")
      #expect(try await writer.value)
      #expect(try await first.call("SESSION.GET", new) == .null)

      try await Self.each(40, on: daemon) { number, client in
        _ = try await client.create("\(number)", "USER", "v", "LIMIT", "5", "EVICT")
      }
      let rows = try await first.call("SESSION.LIST", "v", "COUNT", "100").elements?[1].elements
      #expect(rows?.count == 5)
      try await Self.expectAllExpire(lab.initialMaster)
    }
  }

  @Test(
    "Increments under lock and version while the master is replaced",
    .timeLimit(.minutes(10)), arguments: [false, true])
  func failover(isPlanned: Bool) async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let first = try await SessionClient.connect(daemon)
      let locked = try await first.create("0")
      let versioned = try await first.create("0")
      let isOver = Flag()
      let (lockedSum, versionedSum) = (Collected<Int>(), Collected<Int>())
      let failures = Collected<String>()
      let work = Task {
        try await Self.each(8, on: daemon) { number, client in
          // A crash may take what no replica has: here every acknowledged write is on one.
          _ = try await client.call("HOLDFAST.DURABILITY", "REPLICATED", "REPLICAS", "1")
          while !isOver.isSet {
            do {
              if number % 2 == 0 {
                if let value = try await client.addLocked(locked) { lockedSum.append(value) }
              } else {
                versionedSum.append(try await client.addVersioned(versioned))
              }
            } catch LabError.failed(let text) where text.contains("UNREPLICATED") {
              continue
            } catch {
              failures.append("\(error)")
              throw error
            }
          }
        }
      }
      try await eventually("work before", within: 60_000) { versionedSum.values.count > 20 }
      if isPlanned {
        try await lab.commandFailoverWhenAllowed()
      } else {
        await old.kill()
      }
      try await daemon.waitUntilServing(insteadOf: old)
      let before = versionedSum.values.count
      try await eventually("work after", within: 90_000) {
        !failures.values.isEmpty || versionedSum.values.count > before + 20
      }
      #expect(failures.values == [])
      isOver.set()
      try await work.value
      for (id, sum) in [(locked, lockedSum), (versioned, versionedSum)] {
        let found = try await first.call("SESSION.GET", id).elements
        let value = try #require(found?.first?.text.flatMap { Int($0) })
        let values = sum.values
        #expect(Set(values).count == values.count, "a number was given twice: an update was lost")
        #expect((values.max() ?? 0) <= value)
      }
      try await Self.expectAllExpire(try await lab.masterAgreed(with: daemon))
    }
  }

  @Test(
    "One successor each, logouts that stay, limits that hold, while the master is killed",
    .timeLimit(.minutes(10)))
  func racesUnderFailover() async throws {
    try await withLab { lab, daemon in
      let old = lab.initialMaster
      let isOver = Flag()
      let (rounds, ended) = (Collected<Int>(), Collected<String>())
      let work = Task {
        try await Self.each(6, on: daemon) { number, client in
          let rival = try await SessionClient.connect(daemon)
          // A crash may take what no replica has: here every acknowledged write is on one.
          for each in [client, rival] {
            _ = try await each.call("HOLDFAST.DURABILITY", "REPLICATED", "REPLICAS", "1")
          }
          while !isOver.isSet {
            switch number % 3 {
            case 0: try await Self.regenerateTwice(client, rival)
            case 1: ended.append(try await Self.logOut("w\(number)", client))
            default:
              _ = try await client.call("SESSION.CREATE", "x", "USER", "v", "LIMIT", "5", "EVICT")
            }
            rounds.append(number)
          }
        }
      }
      try await eventually("work before", within: 60_000) { Set(rounds.values).count == 6 }
      await old.kill()
      try await daemon.waitUntilServing(insteadOf: old)
      let before = rounds.values.count
      try await eventually("work after", within: 90_000) {
        Set(rounds.values.dropFirst(before)).count == 6
      }
      isOver.set()
      try await work.value
      let first = try await SessionClient.connect(daemon)
      for id in ended.values where !id.isEmpty {
        #expect(try await first.call("SESSION.GET", id, "NOTOUCH") == .null, "it lives again")
      }
      let rows = try await first.call("SESSION.LIST", "v", "COUNT", "100").elements?[1].elements
      #expect((1...5).contains(rows?.count ?? 0), "\(rows?.count ?? 0) sessions")
      try await Self.expectAllExpire(try await lab.masterAgreed(with: daemon))
    }
  }

  /// Two regenerate the same session at once: never do both win.
  private static func regenerateTwice(
    _ client: SessionClient, _ rival: SessionClient
  ) async throws {
    let created = try await client.call("SESSION.CREATE", "x")
    guard let id = created.elements?.first?.text else { return }
    async let mine = client.call("SESSION.REGENERATE", id)
    async let theirs = rival.call("SESSION.REGENERATE", id)
    let replies = try await [mine, theirs].compactMap(\.elements)
    let winners = replies.filter { $0[1].integerValue == 1 }
    #expect(winners.count <= 1)
    if replies.count == 2 {
      #expect(winners.count == 1)
      #expect(replies[0][0] == replies[1][0], "both are told the same successor")
    }
  }

  /// The id of a session that was ended by its user's logout; empty where nobody can say.
  private static func logOut(_ user: String, _ client: SessionClient) async throws -> String {
    let created = try await client.call("SESSION.CREATE", "x", "USER", user)
    guard let id = created.elements?.first?.text else { return "" }
    let reply = try await client.call("SESSION.LOGOUTALL", user)
    guard reply.errorWord == nil else { return "" }
    #expect(try await client.call("SESSION.GET", id) == .null)
    return id
  }

  @Test("A wait for a lock ends when it is over, also where nothing else happens on the host")
  func quietWait() async throws {
    try await withFixed { _, daemon in
      let holder = try await SessionClient.connect(daemon)
      let id = try await holder.create("x")
      #expect(try await holder.call("SESSION.LOCK", id, "TTL", "600000").elements?.count == 2)
      let other = try await SessionClient.connect(daemon)
      var shortest = Duration.seconds(60)
      for _ in 0..<3 {
        let start = ContinuousClock.now
        #expect(try await other.call("SESSION.LOCK", id, "WAIT", "500").errorWord == "LOCKBUSY")
        shortest = min(shortest, ContinuousClock.now - start)
      }
      #expect(shortest >= .milliseconds(500) && shortest < .milliseconds(900))
    }
  }

  @Test(
    "A logout survives a kill of the master; a killed holder's lock goes to ten waiters in order")
  func logoutAndLocks() async throws {
    try await withLab { lab, daemon in
      let first = try await SessionClient.connect(daemon)
      let id = try await first.create("x", "USER", "u")
      let reply = try await first.call("SESSION.DESTROY", id)
      #expect(reply.elements?.last?.text == "confirmed")
      let locked = try await first.create("y")
      let holder = try ChildProcess.start(
        "/usr/bin/env",
        arguments: [
          "env", "redis-cli", "-s", daemon.socketPath, "-r", "2", "-i", "600", "SESSION.LOCK",
          locked,
          "TTL", "600000",
        ])
      try await eventually("the holder holds it") {
        try await first.call("SESSION.LOCK", locked).errorWord == "LOCKBUSY"
      }
      let served = Collected<Int>()
      let waiters = Task {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for number in 0..<10 {
            let client = try await SessionClient.connect(daemon)
            try await client.client.send(["SESSION.LOCK", locked, "WAIT", "60000"])
            // Its command is taken before the next one's.
            _ = try await daemon.info()
            group.addTask {
              let reply = try await client.client.receive(timeoutMilliseconds: 40_000)
              served.append(number)
              let token = try #require(reply.elements?.first?.text, "\(reply)")
              #expect(try await client.call("SESSION.UNLOCK", locked, token) == .integer(1))
            }
          }
          await holder.kill()
          try await group.waitForAll()
        }
      }
      try await waiters.value
      #expect(served.values == Array(0..<10))

      let old = lab.initialMaster
      await old.kill()
      try await daemon.waitUntilServing(insteadOf: old)
      #expect(try await first.call("SESSION.GET", id) == .null)
      let again = try await first.call("SESSION.LOCK", locked, "WAIT", "20000")
      #expect((again.elements?.last?.integerValue ?? 0) > 0)
    }
  }
}
