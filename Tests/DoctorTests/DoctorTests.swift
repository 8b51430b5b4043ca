// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Doctor

/// A good deployment gives nothing to change; each fault is found.
struct DoctorTests {
  private static func server(_ host: String, _ port: Int, _ role: String) -> DeploymentFacts.Server
  {
    var server = DeploymentFacts.Server(host: host, port: port)
    server.info = ["role": role, "redis_version": "7.0.15", "redis_mode": "standalone"]
    server.skewMilliseconds = 3
    return server
  }

  private static var healthy: DeploymentFacts {
    var facts = DeploymentFacts()
    facts.masterName = "main"
    facts.isAuthenticated = true
    facts.allowedNetworks = ["localhost", "10.0.0.0/8"]
    facts.sentinels = (1...3).map { index in
      var sentinel = server("10.0.1.\(index)", 26379, "sentinel")
      sentinel.settings = [
        "quorum": "2", "down-after-milliseconds": "5000", "failover-timeout": "60000",
        "parallel-syncs": "1",
      ]
      return sentinel
    }
    facts.nodes = (1...3).map { index in
      var node = server("10.0.0.\(index)", 6379, index == 1 ? "master" : "slave")
      node.settings = [
        "maxmemory": "1073741824", "maxmemory-policy": "noeviction", "save": "3600 1",
        "appendonly": "yes", "min-replicas-to-write": "1", "repl-backlog-size": "67108864",
        "replica-priority": "100", "replica-read-only": "yes", "timeout": "0",
        "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 1 1 1",
      ]
      node.info["used_memory"] = "1000000"
      node.info["evicted_keys"] = "0"
      if index > 1 { node.info["master_link_status"] = "up" }
      return node
    }
    return facts
  }

  @Test func aGoodDeploymentGivesNothingToChange() {
    #expect(Doctor.examine(Self.healthy).isEmpty)
  }

  @Test func nothingKnownIsNothingJudged() {
    var facts = DeploymentFacts()
    facts.masterName = "main"
    facts.sentinels = Self.healthy.sentinels.map {
      DeploymentFacts.Server(host: $0.host, port: $0.port)
    }
    #expect(Doctor.examine(facts).isEmpty)
  }

  typealias Change = @Sendable (inout DeploymentFacts) -> Void

  private static let faults: [(String, Finding.Severity, Change)] = [
    ("no-sentinel", .advice, { $0.masterName = nil }),
    ("sentinels-too-few", .critical, { $0.sentinels.removeLast() }),
    ("sentinels-even", .advice, { $0.sentinels.append(server("10.0.1.9", 26379, "sentinel")) }),
    ("sentinel-unreachable", .warning, { $0.sentinels[0].failure = "refused" }),
    (
      "sentinel-unreachable", .critical,
      { facts in for index in 0..<2 { facts.sentinels[index].failure = "refused" } }
    ),
    ("sentinels-share-host", .critical, { $0.sentinels[1].host = "10.0.1.1" }),
    ("quorum-unreachable", .critical, { $0.sentinels[0].settings["quorum"] = "4" }),
    ("quorum-one", .warning, { $0.sentinels[0].settings["quorum"] = "1" }),
    ("sentinels-differ", .warning, { $0.sentinels[0].settings["failover-timeout"] = "1" }),
    (
      "down-after-beyond-wait", .critical,
      { facts in facts.sentinels[0].settings["down-after-milliseconds"] = "30000" }
    ),
    (
      "down-after-short", .warning,
      { facts in
        for index in 0..<3 { facts.sentinels[index].settings["down-after-milliseconds"] = "300" }
      }
    ),
    (
      "down-after-long", .advice,
      { facts in
        for index in 0..<3 { facts.sentinels[index].settings["down-after-milliseconds"] = "11000" }
      }
    ),
    (
      "failover-timeout-long", .advice,
      { facts in
        for index in 0..<3 { facts.sentinels[index].settings["failover-timeout"] = "180000" }
      }
    ),
    ("sentinel-script", .advice, { $0.sentinels[0].settings["notification-script"] = "/x" }),
    ("node-unreachable", .warning, { $0.nodes[2].failure = "refused" }),
    ("version-old", .critical, { $0.nodes[0].info["redis_version"] = "6.0.16" }),
    ("versions-differ", .advice, { $0.nodes[0].info["redis_version"] = "7.2.0" }),
    ("replicas-too-few", .warning, { $0.nodes.removeLast() }),
    ("replicas-too-few", .critical, { $0.nodes.removeLast(2) }),
    (
      "priority-zero", .critical,
      { facts in for index in 1..<3 { facts.nodes[index].settings["replica-priority"] = "0" } }
    ),
    ("priority-zero", .advice, { $0.nodes[1].settings["replica-priority"] = "0" }),
    ("replica-link-down", .warning, { $0.nodes[1].info["master_link_status"] = "down" }),
    ("replica-writable", .warning, { $0.nodes[1].settings["replica-read-only"] = "no" }),
    ("min-replicas-zero", .advice, { $0.nodes[0].settings["min-replicas-to-write"] = "0" }),
    ("min-replicas-too-many", .critical, { $0.nodes[0].settings["min-replicas-to-write"] = "3" }),
    (
      "persistence-off", .warning,
      { facts in
        facts.nodes[0].settings["save"] = ""
        facts.nodes[0].settings["appendonly"] = "no"
      }
    ),
    (
      "majority-with-master", .critical,
      { facts in for index in 0..<2 { facts.sentinels[index].host = "10.0.0.1" } }
    ),
    ("backlog-small", .advice, { $0.nodes[0].settings["repl-backlog-size"] = "1048576" }),
    ("clock-skew", .warning, { $0.nodes[1].skewMilliseconds = -5000 }),
    ("cluster-mode", .critical, { $0.nodes[0].info["redis_mode"] = "cluster" }),
    ("eviction", .critical, { $0.nodes[0].settings["maxmemory-policy"] = "allkeys-lru" }),
    ("eviction", .critical, { $0.nodes[0].settings["maxmemory-policy"] = "volatile-ttl" }),
    ("maxmemory-unset", .advice, { $0.nodes[0].settings["maxmemory"] = "0" }),
    ("memory-nearly-full", .warning, { $0.nodes[0].info["used_memory"] = "1000000000" }),
    ("keys-were-evicted", .warning, { $0.nodes[0].info["evicted_keys"] = "7" }),
    (
      "replica-output-limit", .warning,
      { $0.nodes[0].settings["client-output-buffer-limit"] = "slave 1048576 0 0" }
    ),
    ("idle-timeout", .advice, { $0.nodes[0].settings["timeout"] = "5" }),
    ("no-password", .warning, { $0.isAuthenticated = false }),
    (
      "no-tls", .warning,
      { facts in
        facts.nodes[2].host = "203.0.113.9"
        facts.allowedNetworks = nil
      }
    ),
    ("address-filtered", .critical, { $0.allowedNetworks = ["192.168.0.0/16", "10.0.0.0/24"] }),
    ("acl-default-user", .advice, { $0.nodes[0].info["acl-user"] = "default" }),
  ]

  @Test(arguments: faults.indices) func eachFaultIsFound(index: Int) throws {
    let (code, severity, change) = Self.faults[index]
    var facts = Self.healthy
    change(&facts)
    let findings = Doctor.examine(facts)
    let found = try #require(findings.first { $0.code == code }, "\(code) in \(findings)")
    #expect(found.severity == severity)
    #expect(!found.title.isEmpty && found.advice.hasSuffix(".") || found.advice.contains("="))
    #expect(findings.map(\.severity) == findings.map(\.severity).sorted(by: >))
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.9.8.7", true), ("10.0.0.0/16", "10.1.0.0", false),
    ("fd00::/8", "fd12::1", true), ("fd00::/8", "fe80::1", false), ("::1", "::1", true),
    ("0.0.0.0/0", "203.0.113.9", true), ("10.0.0.0/8", "fd12::1", false),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", true),
  ]) func networks(network: String, address: String, isIn: Bool) throws {
    let (left, right) = (try #require(IPNetwork(network)), try #require(IPNetwork(address)))
    #expect(left.contains(right) == isIn)
  }

  @Test(arguments: [
    "", "redis.example.org", "10.0.0", "10.0.0.256", "10.0.0.0/33", ":::", "1::2::3",
  ])
  func namesAreNoNetworks(text: String) { #expect(IPNetwork(text) == nil) }
}
