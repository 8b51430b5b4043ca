// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Proxy

@Suite struct LinkHandshakeTests {
  private struct Case {
    var version = RESPVersion.two
    var database = 0
    var credentials: Credentials?
    var runID: String? = "a"
    var predecessors: [Int64?] = []
    var isReset = false
  }

  private func begin(_ given: Case = Case()) -> (LinkHandshake, [String]) {
    var request: [UInt8] = []
    let handshake = LinkHandshake(
      version: given.version, database: given.database, credentials: given.credentials,
      expectedRunID: given.runID, predecessors: given.predecessors, isReset: given.isReset,
      request: &request)
    return (handshake, lines(request))
  }

  private func lines(_ request: [UInt8]) -> [String] {
    var lines: [String] = []
    var offset = 0
    request.withUnsafeBytes { bytes in
      while let (value, count) = try? RESPValue.parse(bytes, from: offset, limits: ScanLimits()) {
        lines.append((value.elements ?? []).compactMap(\.text).joined(separator: " "))
        offset += count
      }
    }
    return lines
  }

  private let info = RESPValue.bulk(Array("# Server\r\nredis_version:7.0.1\r\nrun_id:a\r\n".utf8))
  private let master = RESPValue.array([.bulk(Array("master".utf8)), .integer(0), .array([])])
  private var plain: [RESPValue] { [.simple("OK"), .integer(7), info, master] }
  private let facts = LinkFacts(clientID: 7, runID: "a", redisVersion: "7.0.1")

  @Test func requests() {
    let secret = Credentials(username: nil, password: "pw")
    let named = Credentials(username: "app", password: "pw")
    let end = ["CLIENT ID", "INFO server", "ROLE"]
    let name = ["CLIENT SETNAME holdfast"]
    #expect(begin().1 == name + end)
    #expect(begin(Case(database: 3)).1 == name + ["SELECT 3"] + end)
    #expect(begin(Case(credentials: secret)).1 == ["AUTH pw"] + name + end)
    #expect(begin(Case(credentials: named)).1 == ["AUTH app pw"] + name + end)
    #expect(begin(Case(version: .three)).1 == ["HELLO 3"] + name + end)
    #expect(
      begin(Case(version: .three, credentials: secret)).1 == ["HELLO 3 AUTH default pw"] + name
        + end)
    #expect(
      begin(Case(credentials: secret, isReset: true)).1 == ["RESET", "AUTH pw"] + name + end)
  }

  @Test func readyOnceAllIsAnswered() {
    var (handshake, _) = begin()
    #expect(plain.map { handshake.receive($0) } == [.more, .more, .more, .ready(facts)])
    #expect(handshake.receive(.simple("OK")) == .failed(.refused("a reply that nobody asked for")))
  }

  @Test func predecessorsAreEndedOnlyOnceTheProcessIsKnown() {
    var (handshake, request) = begin(Case(predecessors: [3, 4]))
    #expect(!request.contains { $0.contains("KILL") })
    for reply in plain.dropLast() { #expect(handshake.receive(reply) == .more) }
    guard case .send(let kills) = handshake.receive(master) else {
      return #expect(Bool(false), "nothing is killed")
    }
    #expect(lines(kills) == ["CLIENT KILL ID 3", "CLIENT KILL ID 4"])
    #expect(handshake.receive(.integer(1)) == .more)
    #expect(handshake.receive(.integer(0)) == .ready(facts), "already gone is as good")
  }

  @Test func predecessorThatCannotBeEnded() {
    var uncertain = facts
    uncertain.isPredecessorVoid = false
    var (refused, _) = begin(Case(predecessors: [3]))
    for reply in plain { _ = refused.receive(reply) }
    #expect(refused.receive(.error("NOPERM no")) == .ready(uncertain))
    var (nameless, _) = begin(Case(predecessors: [nil]))
    #expect(plain.map { nameless.receive($0) }.last == .ready(uncertain))
    var (mixed, _) = begin(Case(predecessors: [nil, 3]))
    for reply in plain { _ = mixed.receive(reply) }
    #expect(mixed.receive(.integer(1)) == .ready(uncertain))
  }

  @Test func anotherProcessIsToldApartBeforeAnythingIsKilled() {
    var (handshake, _) = begin(Case(runID: "b", predecessors: [3]))
    _ = handshake.receive(.simple("OK"))
    _ = handshake.receive(.integer(7))
    #expect(handshake.receive(info) == .failed(.runIDChanged("a")))
    var (unknown, _) = begin(Case(runID: nil))
    #expect(plain.map { unknown.receive($0) }.last == .ready(facts))
  }

  @Test func whatAnACLForbidsIsDoneWithout() {
    var (handshake, _) = begin()
    let no = RESPValue.error("NOPERM no permissions")
    #expect(handshake.receive(no) == .more)
    #expect(handshake.receive(no) == .more)
    #expect(handshake.receive(no) == .more)
    #expect(handshake.receive(master) == .ready(LinkFacts()))
  }

  @Test func failures() {
    let given = Case(database: 3, credentials: Credentials(username: nil, password: "pw"))
    let replies: [RESPValue] = [
      .simple("OK"), .simple("OK"), .simple("OK"), .integer(7), info, master,
    ]
    let replica = RESPValue.array([.bulk(Array("slave".utf8))])
    let cases: [(Int, RESPValue, LinkHandshake.Failure)] = [
      (0, .error("WRONGPASS x"), .authentication("WRONGPASS x")),
      (
        0, .error("ERR AUTH <password> called without"),
        .authentication("ERR AUTH <password> called without")
      ),
      (0, .error("ERR max number of clients reached"), .busy),
      (0, .error("LOADING x"), .loading),
      (1, .error("NOAUTH x"), .authentication("NOAUTH x")),
      (2, .error("ERR DB index is out of range"), .database("ERR DB index is out of range")),
      (2, .error("LOADING x"), .loading),
      (4, .error("LOADING x"), .loading),
      (5, .error("NOPERM x"), .refused("NOPERM x")),
      (5, replica, .notMaster("slave")),
      (5, .null, .notMaster("nothing")),
    ]
    for (step, reply, failure) in cases {
      var (handshake, _) = begin(given)
      for index in 0..<step { #expect(handshake.receive(replies[index]) == .more) }
      #expect(handshake.receive(reply) == .failed(failure), "step \(step)")
    }
    var (hello, _) = begin(Case(version: .three))
    #expect(hello.receive(.error("NOPROTO x")) == .failed(.authentication("NOPROTO x")))
  }
}
