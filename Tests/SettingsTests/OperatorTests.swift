// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Settings

/// Rules of access, and what a reload may change.
struct OperatorSettingsTests {
  @Test func aRuleOfAllWords() throws {
    let rule = try #require(
      AccessRule(
        "uid=www-data+33 gid=web allow=read+admin commands=eval keys=a:+b: databases=0+2 "
          + "connections=5 requests=6 bytes=7"))
    #expect(rule.users == ["www-data", "33"] && rule.groups == ["web"])
    #expect(rule.kinds == [.read, .admin] && rule.commands == ["EVAL"])
    #expect(rule.keys == ["a:", "b:"] && rule.databases == [0, 2])
    #expect(rule.connections == 5 && rule.requests == 6 && rule.bytes == 7)
  }

  @Test(arguments: [
    "", "allow=read", "uid", "uid=", "uid=1 allow=everything", "uid=1 connections=0",
    "uid=1 databases=x", "uid=1 nonsense=1", "uid=1 bytes=1+2",
  ]) func noRule(text: String) { #expect(AccessRule(text) == nil) }

  @Test func aChangeIsPutToWorkWhereItCanBe() {
    var old = Settings()
    old.sentinel.master = "main"
    var new = old
    new.failover.waitMilliseconds = 1
    new.pool.shards = 3
    new.sentinel.master = "other"
    let change = old.change(to: new)
    #expect(change.live == ["failover.waitMilliseconds"])
    #expect(change.restart == ["sentinel.master", "pool.shards"])
    #expect(change.effective.failover.waitMilliseconds == 1)
    #expect(change.effective.pool.shards == old.pool.shards)
    #expect(old.change(to: old).live.isEmpty)
  }
}
