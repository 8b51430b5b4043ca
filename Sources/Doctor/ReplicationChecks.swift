// SPDX-License-Identifier: Apache-2.0

// Whether a failover finds a good replica, and loses little.
extension Doctor {
  static let replicationChecks: [Check] = [
    reach, versions, replicaCount, priorities, replicaLinks, minReplicas, persistence, masterHost,
    backlog, clocks, mode,
  ]

  private static let reach: Check = { facts in
    facts.nodes.compactMap { node in
      guard let failure = node.failure else { return nil }
      return Finding(
        .warning, "node-unreachable", node.address, "does not answer this host: \(failure)",
        "If it is promoted this host is without a master. Start it, or mend the network or the "
          + "address filter of the unit.")
    }
  }

  private static let versions: Check = { facts in
    let all = (facts.reachableNodes + facts.reachableSentinels)
      .compactMap { server in server.info["redis_version"].map { (server, $0) } }
    var findings = all.compactMap { server, version -> Finding? in
      let parts = version.split(separator: ".").compactMap { Int($0) }
      guard parts.count > 1, (parts[0], parts[1]) < (6, 2) else { return nil }
      return Finding(
        .critical, "version-old", server.address, "version \(version)",
        "Sentinels before 6.2 have no identity that can be asked for, and are not supported.")
    }
    let versions = Set(all.map(\.1))
    if versions.count > 1 {
      findings.append(
        Finding(
          .advice, "versions-differ", deployment,
          "different versions: \(versions.sorted().joined(separator: ", "))",
          "Fine during an upgrade. A newer master cannot replicate to an older replica for ever: end it."
        ))
    }
    return findings
  }

  private static let replicaCount: Check = { facts in
    guard facts.masterName != nil, facts.master != nil else { return [] }
    let count = facts.replicas.count
    guard count < 2 else { return [] }
    return [
      Finding(
        count == 0 ? .critical : .warning, "replicas-too-few", deployment,
        count == 0 ? "no replica answers" : "one replica only",
        count == 0
          ? "When the master fails there is nothing to promote."
          : "After a failover there is no replica left until the old master is back. Run two.")
    ]
  }

  private static let priorities: Check = { facts in
    guard !facts.replicas.isEmpty else { return [] }
    let zero = facts.replicas.filter {
      ($0.settings["replica-priority"] ?? $0.info["slave_priority"]) == "0"
    }
    if zero.count == facts.replicas.count {
      return [
        Finding(
          .critical, "priority-zero", deployment, "all replicas have replica-priority 0",
          "None may be promoted: a failover is impossible. CONFIG SET replica-priority 100.")
      ]
    }
    return zero.map {
      Finding(
        .advice, "priority-zero", $0.address, "replica-priority is 0",
        "It is never promoted; right for a backup node, wrong otherwise.")
    }
  }

  private static let replicaLinks: Check = { facts in
    facts.replicas.flatMap { replica -> [Finding] in
      var findings: [Finding] = []
      if let status = replica.info["master_link_status"], status != "up" {
        findings.append(
          Finding(
            .warning, "replica-link-down", replica.address, "its link to the master is \(status)",
            "It falls behind, and Sentinel does not promote it. Look at its log: masterauth, network, "
              + "or a full resynchronization."))
      }
      if replica.settings["replica-read-only"] == "no" {
        findings.append(
          Finding(
            .warning, "replica-writable", replica.address, "replica-read-only is no",
            "What is written there is lost at the next resynchronization. CONFIG SET "
              + "replica-read-only yes."))
      }
      return findings
    }
  }

  private static let minReplicas: Check = { facts in
    guard let master = facts.master, let value = master.number("min-replicas-to-write") else {
      return []
    }
    if value > Int64(facts.replicas.count) {
      return [
        Finding(
          .critical, "min-replicas-too-many", master.address,
          "min-replicas-to-write is \(value), and \(facts.replicas.count) replicas answer",
          "Redis refuses all writes (NOREPLICAS). Start replicas, or CONFIG SET min-replicas-to-write 1."
        )
      ]
    }
    guard value == 0, !facts.isDurabilityReplicated, !facts.replicas.isEmpty else { return [] }
    return [
      Finding(
        .advice, "min-replicas-zero", master.address, "min-replicas-to-write is 0",
        "A master that is cut off goes on taking writes that will be lost. CONFIG SET "
          + "min-replicas-to-write 1 and min-replicas-max-lag 2 bound that; durability.mode: replicated "
          + "acknowledges only what replicas have.")
    ]
  }

  private static let persistence: Check = { facts in
    let isOff = facts.reachableNodes.filter {
      $0.settings["save"] == "" && $0.settings["appendonly"] == "no"
    }
    guard let first = isOff.first, facts.masterName != nil else { return [] }
    let areAll = isOff.count == facts.reachableNodes.count
    return [
      Finding(
        .warning, "persistence-off", areAll ? deployment : first.address,
        areAll ? "no node writes to disk" : "save and appendonly are off",
        "A master that is restarted by its service manager before Sentinel notices comes back empty, "
          + "and its replicas copy the emptiness. Turn Restart= of its unit off, or CONFIG SET "
          + "appendonly yes.")
    ]
  }

  private static let masterHost: Check = { facts in
    guard let master = facts.master, !isLoopback(master.host) else { return [] }
    let together = facts.sentinels.filter { $0.host == master.host }.count
    guard together > 0, facts.sentinels.count - together < facts.sentinels.count / 2 + 1 else {
      return []
    }
    return [
      Finding(
        .critical, "majority-with-master", master.host,
        "\(together) of \(facts.sentinels.count) sentinels run on the master's host",
        "When that host fails the rest is no majority. Put sentinels on the app hosts or on three others."
      )
    ]
  }

  private static let backlog: Check = { facts in
    guard let master = facts.master, let bytes = master.number("repl-backlog-size"),
      bytes < 16 << 20,
      !facts.replicas.isEmpty
    else { return [] }
    return [
      Finding(
        .advice, "backlog-small", master.address, "repl-backlog-size is \(bytes) bytes",
        "After a failover the other replicas copy everything instead of what they missed. CONFIG SET "
          + "repl-backlog-size 64mb, on every node.")
    ]
  }

  private static let clocks: Check = { facts in
    (facts.reachableNodes + facts.reachableSentinels).compactMap { server in
      guard let skew = server.skewMilliseconds, abs(skew) > 1000 else { return nil }
      return Finding(
        .warning, "clock-skew", server.address,
        "its clock is \(abs(skew)) ms \(skew > 0 ? "ahead of" : "behind") this host's",
        "Sessions expire by Redis' clock, and their ends move at a failover. Run chrony or timesyncd."
      )
    }
  }

  private static let mode: Check = { facts in
    facts.reachableNodes.compactMap { node in
      guard node.info["redis_mode"] == "cluster" else { return nil }
      return Finding(
        .critical, "cluster-mode", node.address, "it runs in cluster mode",
        "Sentinel does not manage clusters, and this daemon does not follow MOVED. cluster-enabled no."
      )
    }
  }
}
