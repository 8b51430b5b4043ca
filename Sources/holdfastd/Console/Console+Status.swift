// SPDX-License-Identifier: Apache-2.0
import Failover
import Gateway
import Glibc
import Proxy
import RESP
import SentinelMonitor
import Sessions
import Settings
import Systemd

// `HOLDFAST.STATUS`: all that one screen shows.
extension Console {
  func status() async -> RESPValue {
    let status = await monitor.status()
    guard let counts = try? await gateway.statistics(),
      let upstreams = try? await gateway.upstreams()
    else { return Self.stopping }
    let uptime = started.duration(to: .now).components.seconds
    return .fields(
      [
        ("version", .text(Holdfastd.version)), ("pid", .integer(Int64(getpid()))),
        ("uptime-seconds", .integer(uptime)),
      ] + master(status.view, status.configEpoch) + [
        ("sentinels-reachable", .count(status.sentinelsReachable)),
        ("sentinels-known", .count(status.sentinelsKnown)),
        ("sentinels", .array(status.sentinels.map(Self.row))),
        ("replicas", .array(status.replicas.map { Self.row($0, status.replicas) })),
        ("links", .array(upstreams.map(Self.row))),
        ("clients", .count(counts.clients)), ("waiting", .count(counts.waiting)),
        ("in-flight", .count(counts.inFlight)),
        ("counters", .fields(Self.counters(counts))),
        ("locks", locks()),
        ("events-dropped", .count(events.journal.droppedCount)),
        ("failovers", .array(gateway.refreshReports().suffix(5).reversed().map(\.value))),
      ])
  }

  private func master(_ view: MasterView, _ epoch: UInt64) -> [(String, RESPValue)] {
    let settings = live.current
    let (state, reason) =
      switch view.state {
      case .serving(let isProvisional): (isProvisional ? "provisional" : "serving", "")
      case .waiting(let reason): ("waiting", reason)
      case .hopeless(let reason): ("no-master", reason)
      }
    let now = Int64(clock())
    return [
      ("state", .text(state)), ("reason", .text(reason)),
      ("mode", .text(settings.redis.address == nil ? "sentinel" : "fixed")),
      ("master-name", .text(settings.sentinel.master)),
      ("master", view.address.map { .text("\($0)") } ?? .null),
      ("run-id", view.runID.map { .text($0) } ?? .null),
      ("generation", .integer(Int64(view.generation))), ("epoch", .integer(Int64(epoch))),
      ("fence", view.fence.map { .text($0.reason) } ?? .null),
      ("fenced-ms", view.fence.map { .integer(max(0, now - $0.sinceMilliseconds)) } ?? .null),
    ]
  }

  /// Milliseconds of the clock that fences are dated by.
  private func clock() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  private static func row(_ sentinel: MonitorStatus.Sentinel) -> RESPValue {
    .fields([
      ("address", .text("\(sentinel.address)")), ("id", sentinel.id.map { .text($0) } ?? .null),
      ("reachable", .boolean(sentinel.isReachable)),
      ("master", sentinel.master.map { .text("\($0)") } ?? .null),
      ("epoch", sentinel.configEpoch.map { .integer(Int64($0)) } ?? .null),
    ])
  }

  /// Sentinels tell offsets every ten seconds: what a replica is behind is meant against the furthest of them.
  private static func row(_ replica: ReplicaRecord, _ all: [ReplicaRecord]) -> RESPValue {
    let furthest = all.map(\.offset).max() ?? 0
    return .fields([
      ("address", .text("\(replica.address)")), ("promotable", .boolean(replica.isPromotable)),
      ("linked", .boolean(replica.isLinkedToMaster)), ("priority", .count(replica.priority)),
      ("offset", .integer(Int64(clamping: replica.offset))),
      ("behind-bytes", .integer(Int64(clamping: furthest - replica.offset))),
    ])
  }

  private static func row(_ link: UpstreamView) -> RESPValue {
    .fields([
      ("use", .text(link.use)), ("state", .text(link.state)),
      ("generation", .integer(Int64(link.generation))), ("in-flight", .count(link.inFlight)),
      ("deferred", .count(link.deferred)),
    ])
  }

  static func counters(_ counts: ShardStatistics) -> [(String, RESPValue)] {
    [
      ("commands", counts.commands), ("resent", counts.resent), ("uncertain", counts.uncertain),
      ("nomaster", counts.noMaster), ("overloaded", counts.overloaded),
      ("unreplicated", counts.unreplicated), ("denied", counts.denied),
      ("refused-clients", counts.refusedClients),
      ("longest-wait-ms", UInt64(max(0, counts.longestWaitMilliseconds))),
    ].map { ($0.0, .integer(Int64(clamping: $0.1))) }
  }

  private func locks() -> RESPValue {
    let locks = gateway.lockStatistics
    return .fields(
      [
        ("granted", locks.granted), ("handed-over", locks.handedOver), ("busy", locks.busy),
        ("freed-by-death", locks.freedByDeath),
      ].map { ($0.0, .integer(Int64(clamping: $0.1))) })
  }
}
