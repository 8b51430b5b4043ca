// SPDX-License-Identifier: Apache-2.0
import Failover
import Gateway
import Proxy
import SentinelMonitor
import Sessions
import Settings
import Systemd

/// All figures of the daemon, put together when they are asked for.
struct Metrics: Sendable {
  let gateway: Gateway
  let monitor: SentinelMonitor
  let events: EventLog
  let live: LiveSettings
  let samples: SessionSamples

  func text() async throws -> String {
    var text = MetricsText()
    let counts = try await gateway.statistics()
    text.begin("holdfast_build_info", .gauge, "The daemon's version.")
    text.add("holdfast_build_info", [("version", Holdfastd.version)], 1)
    if let traffic = try await gateway.traffic() { write(traffic, &text) }
    write(counts, &text)
    write(try await gateway.upstreams(), &text)
    write(await monitor.status(), &text)
    write(gateway.refreshReports(), &text)
    write(gateway.lockStatistics, &text)
    writeSessions(&text)
    text.one(
      "holdfast_journal_dropped_total", .counter, "Log events lost because too many waited.",
      events.journal.droppedCount)
    return text.text
  }

  // MARK: Requests

  private func write(_ traffic: Traffic, _ text: inout MetricsText) {
    let classes = TrafficClass.allCases.map { ($0.name, traffic.classes[Int($0.rawValue)]) }
    text.begin("holdfast_requests_total", .counter, "Commands that Redis answered.")
    for (name, one) in classes { text.add("holdfast_requests_total", [("class", name)], one.count) }
    text.begin("holdfast_request_errors_total", .counter, "Of these, those answered by an error.")
    for (name, one) in classes {
      text.add("holdfast_request_errors_total", [("class", name)], one.errors)
    }
    let name = "holdfast_request_duration_seconds"
    text.begin(name, .histogram, "From handing a command on to Redis' reply.")
    for (kind, one) in classes {
      for (bound, count) in zip(Traffic.boundsMicroseconds, one.cumulative) {
        text.add("\(name)_bucket", [("class", kind), ("le", "\(Double(bound) / 1e6)")], count)
      }
      text.add("\(name)_bucket", [("class", kind), ("le", "+Inf")], one.count)
      text.add("\(name)_sum", [("class", kind)], Double(one.sumMicroseconds) / 1e6)
      text.add("\(name)_count", [("class", kind)], one.count)
    }
    text.one(
      "holdfast_sessions_created_total", .counter, "Sessions made here.", traffic.sessionsCreated)
    text.one(
      "holdfast_sessions_destroyed_total", .counter, "Sessions ended by command here.",
      traffic.sessionsDestroyed)
    text.begin("holdfast_logins_total", .counter, "Logins told here by SESSION.LOGIN.")
    text.add("holdfast_logins_total", [("outcome", "ok")], traffic.logins.good)
    text.add("holdfast_logins_total", [("outcome", "fail")], traffic.logins.failed)
  }

  private func write(_ counts: ShardStatistics, _ text: inout MetricsText) {
    let limits = live.current.limits
    let gauges = [
      ("holdfast_clients", "App connections.", counts.clients),
      ("holdfast_clients_limit", "The most there may be.", limits.clients),
      ("holdfast_in_flight", "Commands without a reply.", counts.inFlight),
      ("holdfast_in_flight_limit", "The most there may be.", limits.inFlightTotal),
      ("holdfast_in_flight_bytes", "Bytes of these, and of unfinished ones.", counts.inFlightBytes),
      ("holdfast_in_flight_bytes_limit", "The most there may be.", limits.inFlightBytesTotal),
      ("holdfast_unread_bytes", "Bytes of replies that clients have not read.", counts.unreadBytes),
      ("holdfast_unread_bytes_limit", "The most there may be.", limits.outputBytesTotal),
      (
        "holdfast_waiting_clients", "Clients that wait for a master or a connection.",
        counts.waiting
      ),
      ("holdfast_links_ready", "Connections to Redis that can be used.", counts.linksReady),
    ]
    for (name, help, value) in gauges { text.one(name, .gauge, help, value) }
    let counters: [(String, String, UInt64)] = [
      ("holdfast_commands_total", "Commands taken from clients.", counts.commands),
      ("holdfast_replayed_total", "Commands sent again after a lost link.", counts.resent),
      ("holdfast_uncertain_total", "Commands answered UNCERTAIN.", counts.uncertain),
      ("holdfast_nomaster_total", "Commands answered NOMASTER.", counts.noMaster),
      ("holdfast_overloaded_total", "Commands answered OVERLOADED.", counts.overloaded),
      ("holdfast_unreplicated_total", "Writes answered UNREPLICATED.", counts.unreplicated),
      ("holdfast_denied_total", "Commands refused by rules of access.", counts.denied),
      ("holdfast_refused_clients_total", "Clients refused or cut off.", counts.refusedClients),
    ]
    for (name, help, value) in counters { text.one(name, .counter, help, value) }
    text.one(
      "holdfast_longest_wait_seconds", .gauge, "Longest wait for a master since the start.",
      Double(counts.longestWaitMilliseconds) / 1000)
  }

  private func write(_ links: [UpstreamView], _ text: inout MetricsText) {
    text.begin("holdfast_links", .gauge, "Connections to Redis by use and state.")
    let groups = Dictionary(grouping: links) { [$0.use, $0.state] }
    for (key, all) in groups.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      text.add("holdfast_links", [("use", key[0]), ("state", key[1])], all.count)
    }
  }

  // MARK: Control plane

  private func write(_ status: MonitorStatus, _ text: inout MetricsText) {
    let view = status.view
    let gauges: [(String, String, Int)] = [
      ("holdfast_master_serving", "1 while a verified master is used.", view.isServing ? 1 : 0),
      (
        "holdfast_master_provisional", "1 while no majority of sentinels follows it yet.",
        view.state == .serving(isProvisional: true) ? 1 : 0
      ),
      ("holdfast_writes_fenced", "1 while writes wait for a failover.", view.fence == nil ? 0 : 1),
      ("holdfast_generation", "Rises with each master.", Int(clamping: view.generation)),
      (
        "holdfast_config_epoch", "The epoch by which it is named.",
        Int(clamping: status.configEpoch)
      ),
      ("holdfast_sentinels_known", "Sentinels known.", status.sentinelsKnown),
      ("holdfast_sentinels_reachable", "Sentinels that answer.", status.sentinelsReachable),
      ("holdfast_replicas_promotable", "Replicas that may be promoted.", view.replicaCount),
    ]
    for (name, help, value) in gauges { text.one(name, .gauge, help, value) }
    text.begin("holdfast_sentinel_up", .gauge, "1 where a sentinel answers.")
    for sentinel in status.sentinels {
      text.add(
        "holdfast_sentinel_up", [("sentinel", "\(sentinel.address)")], sentinel.isReachable ? 1 : 0)
    }
    text.begin("holdfast_replica_linked", .gauge, "1 where a replica is linked to the master.")
    for replica in status.replicas {
      text.add(
        "holdfast_replica_linked", [("replica", "\(replica.address)")],
        replica.isLinkedToMaster ? 1 : 0)
    }
  }

  private func write(_ reports: [FailoverReport], _ text: inout MetricsText) {
    text.one(
      "holdfast_failovers_total", .counter, "Failovers seen.",
      reports.last.map { Int(clamping: $0.timeline.number) } ?? 0)
    text.one(
      "holdfast_possibly_lost_writes", .gauge,
      "Acknowledged writes that the last failovers may have lost.",
      reports.reduce(0) { $0 + $1.figures.possiblyLost.count })
  }

  // MARK: Locks and sessions

  private func write(_ locks: LockStatistics, _ text: inout MetricsText) {
    text.begin("holdfast_locks_total", .counter, "Locks by what became of them.")
    for (outcome, count) in [
      ("granted", locks.granted), ("handed_over", locks.handedOver), ("busy", locks.busy),
      ("freed_by_death", locks.freedByDeath),
    ] {
      text.add("holdfast_locks_total", [("outcome", outcome)], count)
    }
  }

  private func writeSessions(_ text: inout MetricsText) {
    if let active = samples.active {
      text.one("holdfast_sessions_active", .gauge, "Living sessions, of all hosts.", active)
    }
    if let count = samples.withoutTTL {
      text.one(
        "holdfast_keys_without_ttl", .gauge,
        "Session keys without a time to live, at the last look.",
        count)
    }
  }
}
