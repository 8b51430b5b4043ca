// SPDX-License-Identifier: Apache-2.0
import Foundation
import HoldfastClientCodable
import RESP
import RedisLab
import Synchronization
import Testing

@testable import HoldfastClient

/// Runs the body with a client of a daemon in front of one Redis.
private func withClient(
  _ body: @Sendable (HoldfastClient, Daemon) async throws -> Void
) async throws {
  try await Topology.with(
    TopologyOptions {
      $0.replicas = 0
      $0.sentinels = 0
    }
  ) { lab in
    let daemon = try await Daemon.start(arguments: ["--redis", "\(lab.initialMaster.endpoint)"])
    var configuration = HoldfastClient.Configuration()
    configuration.path = daemon.socketPath
    let client = HoldfastClient(configuration)
    do {
      try await body(client, daemon)
    } catch {
      await client.close()
      await daemon.stop()
      throw error
    }
    await client.close()
    await daemon.stop()
  }
}

private func commands(_ daemon: Daemon) async throws -> Int {
  let text = try await daemon.connect().command(["INFO"]).text ?? ""
  let line = text.split(separator: "\r\n").first { $0.hasPrefix("total_commands_processed:") }
  return line.flatMap { Int($0.split(separator: ":")[1]) } ?? -1
}

@Suite("HoldfastClient and a real daemon")
struct DaemonTests {
  @Test("A session's life")
  func life() async throws {
    try await withClient { client, _ in
      let id = try await client.create(Array("one".utf8), user: "u", meta: "{}")
      var session = try #require(try await client.get(id))
      #expect(session.data == Array("one".utf8) && session.user == "u" && session.version == 1)
      #expect(try await client.set(id, Array("two".utf8), version: 1) == 2)
      await #expect(throws: HoldfastError.conflict(version: 2)) {
        try await client.set(id, [1], version: 1)
      }
      #expect((try await client.touch(id) ?? 0) > 0)
      let (cursor, rows) = try await client.list("u")
      #expect(cursor == "0" && rows.count == 1 && rows[0].meta == "{}")
      try await client.login("u", isGood: true)
      #expect(try await client.activeCount() == 1)

      let new = try await client.regenerate(id)
      #expect(new.hasWon && new.confirmation == .confirmed)
      session = try #require(try await client.get(id))
      #expect(session.newID == new.id, "within its grace the old id tells the new one")
      #expect(try await client.logoutAll("u") == Ended(count: 1, confirmation: .confirmed))
      #expect(try await client.get(new.id) == nil)
      await #expect(throws: HoldfastError.noSession) { try await client.set(new.id, [1]) }
      await #expect(throws: HoldfastError.self) { try await client.command([Array("NONE".utf8)]) }
    }
  }

  @Test("A waiting lock holds up nobody; the lock is freed whatever happens")
  func locks() async throws {
    try await withClient { client, _ in
      let id = try await client.create([1])
      let first = try await client.lock(id)
      await #expect(throws: HoldfastError.self) { try await client.lock(id) }
      async let second = client.lock(id, waitMilliseconds: 20_000)
      #expect(try await client.get(id) != nil)
      #expect(try await client.extend(id, first.token, milliseconds: 5_000))
      #expect(try await client.unlock(id, first.token))
      let next = try await second
      #expect(next.fencing > first.fencing)
      await #expect(throws: HoldfastError.lockLost) {
        try await client.set(id, [2], token: first.token)
      }
      try await client.set(id, [2], token: next.token)
      try await client.unlock(id, next.token)
      await #expect(throws: CancellationError.self) {
        try await client.withLock(id) { _ in throw CancellationError() }
      }
      #expect(try await client.withLock(id, waitMilliseconds: 0) { _ in true })
    }
  }

  @Test("A cancelled wait for a lock ends at once, and its late lock is freed")
  func cancelledWait() async throws {
    try await withClient { client, daemon in
      let id = try await client.create([1])
      let held = try await client.lock(id)
      let before = try await commands(daemon)
      let waiting = Task { try await client.lock(id, waitMilliseconds: 60_000) }
      while try await commands(daemon) == before { try await Task.sleep(for: .milliseconds(5)) }
      waiting.cancel()
      await #expect(throws: CancellationError.self) { try await waiting.value }
      try await client.unlock(id, held.token)
      // Within the time for which the late lock would be held.
      #expect(try await client.withLock(id, waitMilliseconds: 5_000) { _ in true })
    }
  }

  @Test("A request's round trips: none, one, two")
  func roundTrips() async throws {
    try await withClient { client, daemon in
      func counted(_ body: (RequestScope) async throws -> Void, _ id: SessionID?) async throws
        -> (Int, SessionID?)
      {
        let before = try await commands(daemon)
        let scope = RequestScope(client, id: id)
        try await body(scope)
        let result = try await scope.finish()
        return (try await commands(daemon) - before, result)
      }
      _ = try await client.activeCount()
      #expect(try await counted({ _ in }, nil) == (0, nil))
      #expect(try await counted({ _ = try await $0.data() }, nil) == (0, nil))
      #expect(try await counted({ await $0.set([]) }, nil) == (0, nil), "empty: never created")
      let (made, id) = try await counted({ await $0.set([1]) }, nil)
      #expect(made == 1 && id != nil)
      #expect(try await counted({ _ in }, id).0 == 0)
      let reading: @Sendable (RequestScope) async throws -> Void = { scope in
        async let first = scope.data()
        async let second = scope.data()
        let all = try await [first, second, scope.data()]
        #expect(all == [[1], [1], [1]])
      }
      #expect(try await counted(reading, id).0 == 1)
      #expect(
        try await counted({ await $0.set(try await $0.data() ?? []) }, id).0 == 1, "unchanged")
      let writing: @Sendable (RequestScope) async throws -> Void = { scope in
        _ = try await scope.data()
        await scope.set([2])
        await scope.set([3])
        let data = try await scope.data()
        #expect(data == [3])
      }
      #expect(try await counted(writing, id).0 == 2)
      let known = try #require(id)
      #expect(try await client.get(known)?.data == [3])
    }
  }

  @Test("An unknown id is never adopted; conflicts are told or merged; login gives another id")
  func scopes() async throws {
    try await withClient { client, _ in
      let planted = try #require(SessionID(String(repeating: "ab", count: 32)))
      let scope = RequestScope(client, id: planted)
      await scope.set([1])
      let id = try #require(try await scope.finish())
      #expect(id != planted)
      let cookie = try SessionCookie()
      #expect(await cookie.header(after: scope) == cookie.header(for: id))
      #expect(await cookie.header(after: RequestScope(client, id: id)) == nil)

      let mine = RequestScope(client, id: id)
      let merging = RequestScope(client, id: id) { mine, theirs in theirs + mine }
      _ = try await (mine.data(), merging.data())
      try await client.set(id, [9])
      await mine.set([2])
      await #expect(throws: HoldfastError.conflict(version: 2)) { try await mine.finish() }
      await merging.set([3])
      try await merging.finish()
      #expect(try await client.get(id)?.data == [9, 3])

      let login = RequestScope(client, id: id)
      try await login.regenerate(user: "u")
      let after = try #require(await login.id)
      #expect(after != id)
      #expect(try await client.get(id) == nil, "the old one leads nowhere")
      #expect(try await client.get(after)?.user == "u")
      try await login.destroy()
      #expect(await cookie.header(after: login) == cookie.deletion)
    }
  }

  @Test("Parallel requests under the lock lose nothing; Codable values")
  func increments() async throws {
    struct Cart: Codable, Sendable, Equatable { var count = 0 }
    try await withClient { client, _ in
      let first = RequestScope(client, id: nil)
      try await first.setValue(Cart())
      let id = try await first.finish()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<20 {
          group.addTask {
            let scope = RequestScope(client, id: id)
            try await scope.withLock(waitMilliseconds: 60_000) { scope in
              var cart = try await scope.value(Cart.self) ?? Cart()
              cart.count += 1
              try await scope.setValue(cart)
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await RequestScope(client, id: id).value(Cart.self) == Cart(count: 20))
    }
  }

  @Test("The daemon restarts: the next request connects again")
  func reconnects() async throws {
    try await withClient { client, daemon in
      let id = try await client.create([1])
      await daemon.stop()
      await #expect(throws: HoldfastError.self) { try await client.touch(id) }
      await #expect(throws: HoldfastError.self) { try await client.touch(id) }
    }
    var configuration = HoldfastClient.Configuration()
    configuration.path = "/nowhere/holdfast.sock"
    let client = HoldfastClient(configuration)
    await #expect(throws: HoldfastError.self) { try await client.activeCount() }
  }

  @Test("The README's example is this code, and counts")
  func readme() async throws {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let text = try String(contentsOfFile: "/\(root)/README.md", encoding: .utf8)
    let section = try #require(text.components(separatedBy: "### The same in five languages").last)
    let parts = section.components(separatedBy: "```swift\n")
    let example = try #require(parts.count > 1 ? parts[1].components(separatedBy: "```")[0] : nil)
    let own = try String(
      contentsOfFile: "/\(root)/Tests/HoldfastClientTests/ReadmeExample.swift", encoding: .utf8)
    let body = own.components(separatedBy: "// README\n")[1]
    #expect(body.trimmingCharacters(in: .newlines) == example.trimmingCharacters(in: .newlines))
    try await withClient { client, _ in
      let id = try await visit(client, nil)
      #expect(try await visit(client, id) == id)
      let data = try await client.get(try #require(id))?.data ?? []
      #expect(String(decoding: data, as: UTF8.self) == "{\"visits\":2}")
    }
  }
}
