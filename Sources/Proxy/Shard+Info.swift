// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

#if canImport(Glibc)
  import Glibc
#endif

// `INFO` and `CONFIG GET`: what clients ask at connect. The rest is Redis' own affair.
extension Shard {
  /// The version that the master said; a plausible one before.
  var redisVersion: String {
    for case let link? in links { if let version = link.facts.redisVersion { return version } }
    return "7.0.0"
  }

  /// More words than there are names would only cost time.
  private static let namesMax = 64

  /// `INFO [section ...]`: the sections that are asked for, all without a name.
  func infoText(_ arguments: RequestArguments) -> String {
    let count = min(arguments.count, Self.namesMax)
    var isEverything = count < 2
    for index in 1..<max(1, count) {
      isEverything =
        isEverything || arguments.matches(index, "ALL") || arguments.matches(index, "DEFAULT")
        || arguments.matches(index, "EVERYTHING")
    }
    return infoSections.filter { section in
      isEverything
        || (1..<count).contains {
          String(decoding: arguments[$0], as: UTF8.self).lowercased() == section.name.lowercased()
        }
    }.map { section in
      "# \(section.name)\r\n" + section.lines.map { "\($0.0):\($0.1)\r\n" }.joined()
    }.joined(separator: "\r\n")
  }

  private var infoSections: [(name: String, lines: [(String, Any)])] {
    let process = processFacts()
    return [
      (
        "Server",
        [
          ("redis_version", redisVersion), ("redis_mode", "standalone"),
          ("process_id", process.id), ("tcp_port", 0),
          ("uptime_in_seconds", process.uptimeSeconds),
        ]
      ),
      (
        "Clients",
        [("connected_clients", connectedCount), ("blocked_clients", statistics.waiting)]
      ),
      (
        "Memory",
        [
          ("used_memory", process.residentBytes), ("used_memory_rss", process.residentBytes),
          ("maxmemory", 0), ("maxmemory_policy", "noeviction"),
        ]
      ),
      ("Persistence", [("loading", 0)]),
      ("Stats", [("total_commands_processed", counters.commands)]),
      ("Replication", [("role", "master"), ("connected_slaves", 0)]),
      (
        "CPU",
        [("used_cpu_sys", process.systemSeconds), ("used_cpu_user", process.userSeconds)]
      ),
      ("Modules", []), ("Errorstats", []), ("Cluster", [("cluster_enabled", 0)]),
      ("Keyspace", []),
      (
        "Holdfast",
        [
          ("holdfast_version", configuration.version),
          ("holdfast_state", view.isServing ? "serving" : "waiting"),
          ("holdfast_generation", view.generation),
          ("holdfast_master", view.address.map { "\($0)" } ?? ""),
          ("holdfast_resent", counters.resent), ("holdfast_uncertain", counters.uncertain),
          ("holdfast_nomaster", counters.noMaster), ("holdfast_overloaded", counters.overloaded),
        ]
      ),
    ]
  }

  /// What clients ask at connect, as a Redis with its defaults has it.
  private static let parameters: [(String, String)] = [
    ("save", ""), ("appendonly", "no"), ("timeout", "0"), ("slave-read-only", "yes"),
    ("replica-read-only", "yes"), ("notify-keyspace-events", ""), ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"), ("maxmemory-samples", "5"), ("maxmemory-clients", "0"),
    ("maxmemory-eviction-tenacity", "10"),
  ]

  /// A name answers in the client's own spelling, a pattern in the parameter's (`config.c`,
  /// `configGetCommand`).
  func configGet(_ client: Client, _ arguments: RequestArguments) {
    let all = Self.parameters + [("databases", "\(configuration.databasesMax)")]
    var found: [(String, String)] = []
    for index in 2..<min(arguments.count, Self.namesMax) {
      let asked = String(decoding: arguments[index], as: UTF8.self)
      // More stars than names have words would only cost time.
      let isPattern =
        asked.contains { "*?[".contains($0) } && asked.filter { $0 == "*" }.count <= 4
      for (name, value) in all
      where !found.contains(where: { $0.0.lowercased() == name }) {
        if isPattern, fnmatch(asked.lowercased(), name, 0) == 0 {
          found.append((name, value))
        } else if asked.lowercased() == name {
          found.append((asked, value))
        }
      }
    }
    let version = client.version
    reply(client) { out in
      out.writeMapHeader(found.count, version)
      for (name, value) in found {
        out.writeBulk(name)
        out.writeBulk(value)
      }
    }
  }
}
