// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Proxy

/// Rules about clients, and who may administer.
struct AccessTests {
  private static func rig(_ change: (inout AccessPolicy.Rule) -> Void) -> Rig {
    var rule = AccessPolicy.Rule(text: "uid=33")
    rule.uids = [33]
    rule.kinds = [.read, .write, .session]
    change(&rule)
    var policy = AccessPolicy()
    policy.rules = [rule]
    policy.adminUIDs = [0]
    policy.adminGIDs = [50]
    return Rig.serving(FakeMaster()) { $0.access = policy }
  }

  private static let bound = Peer(pid: 1, uid: 33, gid: 33)
  private static let other = Peer(pid: 2, uid: 34, gid: 34)

  @Test(arguments: [
    ("GET a", true), ("SET a 1", false), ("PING", true), ("HELLO 3", true), ("INCR a", false),
    ("KEYS *", true), ("EVAL x 0", false), ("NOBODY-KNOWS-IT a", false), ("SESSION.HELP", false),
    ("SELECT 1", true),
  ]) func readersOnlyRead(command: String, isAllowed: Bool) throws {
    let rig = Self.rig { $0.kinds = [.read] }
    let client = rig.connect(Self.bound)
    let reply = try #require(rig.send(client, command).first)
    #expect(reply.hasPrefix("-DENIED") != isAllowed, "\(reply)")
    if !isAllowed {
      #expect(reply.contains("\"uid=33\" of access.rules"))
      #expect(rig.shard.counters.denied == 1 && rig.shardNotes.count == 1)
    }
    #expect(rig.send(rig.connect(Self.other), "SET a 1").first == "+OK", "no rule names it")
  }

  /// It may change keys that are no session of anybody's.
  @Test(arguments: [
    ("SESSION.SWEEP", false), ("SESSION.SWEEP REMOVE PATTERN x*", false),
    ("SESSION.SWEEP PATTERN DRYRUN", false), ("SESSION.SWEEP DRYRUN", true),
  ])
  func sweepsAreForAdministrators(command: String, isAllowed: Bool) {
    let rig = Self.rig { _ in }
    for peer in [Self.other, nil] {
      let replies = rig.send(rig.connect(peer), command)
      #expect(replies.first?.hasPrefix("-DENIED") ?? false != isAllowed, "\(replies)")
    }
    let root = rig.send(rig.connect(Peer(pid: 3, uid: 0, gid: 0)), command)
    #expect(root.first?.hasPrefix("-DENIED") != true)
  }

  @Test func keysMustHaveAPrefix() {
    let rig = Self.rig { rule in
      rule.keyPrefixes = [Array("cart:".utf8), Array("s:".utf8)]
      rule.commands = ["DBSIZE"]
    }
    let client = rig.connect(Self.bound)
    #expect(rig.send(client, "SET cart:1 x") == ["+OK"])
    for command in ["SET user:1 x", "MSET cart:1 a user:2 b", "DEL s:1 t:1", "SCAN 0", "GET car"] {
      #expect(rig.send(client, command).first?.hasPrefix("-DENIED") == true, "\(command)")
    }
    #expect(rig.send(client, "DBSIZE").first?.hasPrefix("-DENIED") == false, "named by the rule")
  }

  @Test func databases() {
    let rig = Self.rig { $0.databases = [1] }
    let client = rig.connect(Self.bound)
    #expect(rig.send(client, "GET a").first?.contains("in database 0") == true)
    #expect(rig.send(client, "SELECT 2").first?.hasPrefix("-DENIED") == true)
    #expect(rig.send(client, "SELECT 1") == ["+OK"])
    #expect(rig.send(client, "GET a").first?.hasPrefix("-") == false)
  }

  @Test func aRefusedCommandEndsItsTransaction() {
    let rig = Self.rig { $0.kinds = [.read] }
    let client = rig.connect(Self.bound)
    _ = rig.send(client, "MULTI")
    #expect(rig.send(client, "SET a 1").first?.hasPrefix("-DENIED") == true)
    #expect(rig.send(client, "EXEC").first?.hasPrefix("-EXECABORT") == true)
  }

  @Test func connectionsAreCounted() {
    let rig = Self.rig { $0.connectionsMax = 1 }
    let first = rig.connect(Self.bound)
    let second = rig.connect(Self.bound)
    rig.pump()
    #expect(second.isClosed && !first.isClosed)
    #expect(second.replies().first?.contains("more than 1 connections") == true)
    #expect(!rig.connect(Self.other).isClosed)
  }

  @Test func aReloadBindsThoseWhoAreConnected() {
    let rig = Self.rig { $0.kinds = [.read] }
    let client = rig.connect(Self.bound)
    #expect(rig.send(client, "SET a 1").first?.hasPrefix("-DENIED") == true)
    var configuration = rig.shard.configuration
    configuration.access?.rules = []
    configuration.inFlightPerClientMax = 7
    rig.shard.reconfigure(configuration)
    #expect(rig.send(client, "SET a 1") == ["+OK"])
    #expect(rig.shard.clients[client.id]?.requestsMax == 7)
    configuration.access?.rules = [AccessPolicy.Rule(text: "gid=9")]
    configuration.access?.rules[0].gids = [9]
    rig.shard.groupsOf = { _ in [9] }
    rig.shard.reconfigure(configuration)
    #expect(rig.send(client, "GET a").first?.contains("\"gid=9\"") == true)
  }

  @Test func refusalsAreNotedNowAndThen() {
    let rig = Self.rig { $0.kinds = [.read] }
    let client = rig.connect(Self.bound)
    for _ in 0..<5 { _ = rig.send(client, "SET a 1") }
    #expect(rig.shardNotes.count == 1 && rig.shard.counters.denied == 5)
    rig.advance(10_000)
    _ = rig.send(client, "SET a 1")
    #expect(rig.shardNotes.count == 2)
  }

  @Test(arguments: ["HOLDFAST.FAILOVERS", "HOLDFAST.STATUS", "HOLDFAST.LOCKS", "HOLDFAST.RELOAD"])
  func administrationIsForAdministrators(command: String) {
    let rig = Self.rig { _ in }
    #expect(rig.send(rig.connect(Self.other), command).first?.hasPrefix("-DENIED") == true)
    rig.shard.groupsOf = { _ in [7, 50] }
    let isAsked = command != "HOLDFAST.FAILOVERS"
    #expect(rig.send(rig.connect(Self.other), command).isEmpty == isAsked, "by its group")
    #expect(rig.send(rig.connect(Peer(pid: 3, uid: 0, gid: 0)), command).isEmpty == isAsked)
    #expect(rig.asks.count == (isAsked ? 2 : 0))
  }

  @Test func watchersArePushedEvents() {
    let rig = Rig.serving(FakeMaster())
    let client = rig.connect()
    _ = rig.send(client, "HELLO 3")
    _ = client.replies()
    rig.shard.setWatching(client.id, true)
    rig.shard.pushEvent(.push([.text("holdfast.event"), .integer(1)]), nowMilliseconds: rig.now)
    rig.pump()
    #expect(
      String(decoding: client.received, as: UTF8.self).contains(">2\r\n$14\r\nholdfast.event\r\n:1")
    )
    rig.shard.setWatching(client.id, false)
    client.received = []
    rig.shard.pushEvent(.push([.integer(2)]), nowMilliseconds: rig.now)
    rig.pump()
    #expect(client.received.isEmpty)
  }
}
