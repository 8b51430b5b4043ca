// SPDX-License-Identifier: Apache-2.0

// Whether the sentinels can do their work.
extension Doctor {
  static let sentinelChecks: [Check] = [
    sentinelCount, sentinelReach, sentinelHosts, quorum, agreement, downAfter, retryTime,
    scripts,
  ]

  private static let sentinelCount: Check = { facts in
    guard facts.masterName != nil else {
      return [
        Finding(
          .advice, "no-sentinel", deployment, "one fixed Redis, without Sentinel",
          "Nobody replaces it when it fails. For production run three sentinels and two replicas, and set "
            + "sentinel.addresses.")
      ]
    }
    let count = facts.sentinels.count
    if count < 3 {
      return [
        Finding(
          .critical, "sentinels-too-few", deployment, "\(count) sentinels",
          "A failover needs a majority of all sentinels: with fewer than three, one dead host ends "
            + "all failovers. Run three, on three hosts.")
      ]
    }
    guard count.isMultiple(of: 2) else { return [] }
    return [
      Finding(
        .advice, "sentinels-even", deployment, "\(count) sentinels, an even number",
        "A majority of \(count) survives no more losses than one of \(count - 1), and a cut in two "
          + "halves leaves none. Add or remove one.")
    ]
  }

  private static let sentinelReach: Check = { facts in
    facts.sentinels.compactMap { sentinel in
      guard let failure = sentinel.failure else { return nil }
      let isMajority = facts.reachableSentinels.count * 2 > facts.sentinels.count
      return Finding(
        isMajority ? .warning : .critical, "sentinel-unreachable", sentinel.address,
        "does not answer this host: \(failure)",
        "Start it, or mend the network. If it is gone for good, run SENTINEL RESET "
          + "\(facts.masterName ?? "") on the others, one after another: they count it still.")
    }
  }

  private static let sentinelHosts: Check = { facts in
    let byHost = Dictionary(grouping: facts.sentinels) { $0.host }
    let needed = facts.sentinels.count / 2 + 1
    return byHost.sorted { $0.key < $1.key }.compactMap { host, sentinels in
      guard sentinels.count > 1, !isLoopback(host) else { return nil }
      let isFatal = facts.sentinels.count - sentinels.count < needed
      return Finding(
        isFatal ? .critical : .warning, "sentinels-share-host", host,
        "\(sentinels.count) of \(facts.sentinels.count) sentinels run on this host",
        isFatal
          ? "When it fails the others are no majority, and nothing fails over. Spread them."
          : "They fail together. Spread them over hosts, best over rooms.")
    }
  }

  private static let quorum: Check = { facts in
    facts.reachableSentinels.compactMap { sentinel -> Finding? in
      guard let quorum = sentinel.number("quorum") else { return nil }
      let count = Int64(facts.sentinels.count)
      if quorum > Int64(facts.reachableSentinels.count) {
        return Finding(
          .critical, "quorum-unreachable", sentinel.address,
          "quorum \(quorum), and \(facts.reachableSentinels.count) sentinels answer",
          "The master can never be taken for down. SENTINEL SET \(facts.masterName ?? "") quorum "
            + "\(count / 2 + 1), on every sentinel.")
      }
      if quorum < 2, count > 1 {
        return Finding(
          .warning, "quorum-one", sentinel.address, "quorum \(quorum)",
          "One sentinel with a bad network begins failovers. SENTINEL SET \(facts.masterName ?? "") "
            + "quorum \(count / 2 + 1), on every sentinel.")
      }
      return nil
    }
  }

  private static let agreement: Check = { facts in
    ["quorum", "down-after-milliseconds", "failover-timeout", "parallel-syncs"].compactMap { name in
      let values = Set(facts.reachableSentinels.compactMap { $0.settings[name] })
      guard values.count > 1 else { return nil }
      return Finding(
        .warning, "sentinels-differ", deployment,
        "sentinels have different values of \(name): \(values.sorted().joined(separator: ", "))",
        "Which one counts depends on who leads. SENTINEL SET \(facts.masterName ?? "") \(name) VALUE, "
          + "on every sentinel: they do not tell each other.")
    }
  }

  private static let downAfter: Check = { facts in
    guard
      let value = facts.reachableSentinels.compactMap({ $0.number("down-after-milliseconds") })
        .max()
    else { return [] }
    let set =
      "SENTINEL SET \(facts.masterName ?? "") down-after-milliseconds 5000, on every sentinel"
    if value + 3000 > facts.waitMilliseconds {
      return [
        Finding(
          .critical, "down-after-beyond-wait", deployment,
          "down-after-milliseconds is \(value), and requests wait \(facts.waitMilliseconds) ms",
          "Requests fail before Sentinel has replaced a dead master. \(set), or raise "
            + "failover.waitMilliseconds.")
      ]
    }
    if value < 1000 {
      return [
        Finding(
          .warning, "down-after-short", deployment, "down-after-milliseconds is \(value)",
          "A pause of Redis (a fork, a slow command) becomes a failover. \(set).")
      ]
    }
    guard value > 10_000 else { return [] }
    return [
      Finding(
        .advice, "down-after-long", deployment, "down-after-milliseconds is \(value)",
        "Pages hang for that long when the master dies. \(set).")
    ]
  }

  private static let retryTime: Check = { facts in
    guard let value = facts.reachableSentinels.compactMap({ $0.number("failover-timeout") }).max(),
      value >= 180_000
    else { return [] }
    return [
      Finding(
        .advice, "failover-timeout-long", deployment, "failover-timeout is \(value)",
        "After a failed failover Sentinel waits twice that long for the next attempt. SENTINEL SET "
          + "\(facts.masterName ?? "") failover-timeout 60000, on every sentinel.")
    ]
  }

  private static let scripts: Check = { facts in
    facts.reachableSentinels.flatMap { sentinel in
      ["notification-script", "client-reconfig-script"].compactMap { name in
        guard let path = sentinel.settings[name], !path.isEmpty else { return nil }
        return Finding(
          .advice, "sentinel-script", sentinel.address, "\(name) is \(path)",
          "It was for clients that do not follow failovers: see that it does not restart or "
            + "reconfigure apps that use this daemon.")
      }
    }
  }

  static func isLoopback(_ host: String) -> Bool {
    host.hasPrefix("127.") || host == "::1" || host == "localhost"
  }
}
