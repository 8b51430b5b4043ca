// SPDX-License-Identifier: Apache-2.0
import Doctor
import Failover
import RESP
import SentinelMonitor
import Settings
import Systemd

// `HOLDFAST.DOCTOR` and `HOLDFAST.DRILL`: what the deployment is like, and a rehearsal.
extension Console {
  /// `HOLDFAST.DOCTOR [ALLOW network ...]`: the networks that the unit lets the daemon talk to, as whoever asks knows them.
  func doctor(_ words: [String]) async -> RESPValue {
    var facts = Self.facts(live.current)
    if let first = words.first {
      guard first.uppercased() == "ALLOW" else {
        return .error("ERR syntax: HOLDFAST.DOCTOR [ALLOW network ...]")
      }
      facts.allowedNetworks = Array(words.dropFirst())
    }
    for report in await monitor.examine() {
      if report.isSentinel {
        facts.sentinels.append(Self.server(report))
      } else {
        facts.nodes.append(Self.server(report))
      }
    }
    return .array(Doctor.examine(facts).map(Self.row))
  }

  private static func facts(_ settings: Settings) -> DeploymentFacts {
    var facts = DeploymentFacts()
    facts.masterName = settings.redis.address == nil ? settings.sentinel.master : nil
    facts.waitMilliseconds = Int64(settings.failover.waitMilliseconds)
    facts.isDurabilityReplicated = settings.durability.mode == .replicated
    facts.isRedisEncrypted = settings.redis.tls.enabled
    facts.isAuthenticated = settings.redis.passwordFile != nil
    return facts
  }

  private static func server(_ report: ServerReport) -> DeploymentFacts.Server {
    var server = DeploymentFacts.Server(host: report.address.host, port: report.address.port)
    server.failure = report.failure
    server.info = report.info
    server.settings = report.settings
    server.skewMilliseconds = report.skewMilliseconds
    return server
  }

  private static func row(_ finding: Finding) -> RESPValue {
    .fields([
      ("severity", .text(finding.severity.name)), ("code", .text(finding.code)),
      ("subject", .text(finding.subject)), ("title", .text(finding.title)),
      ("advice", .text(finding.advice)), ("exit-code", .count(finding.severity.exitCode)),
    ])
  }

  /// `HOLDFAST.DRILL PLANNED`: commands a failover.
  func drill(_ words: [String]) async -> RESPValue {
    guard words.map({ $0.uppercased() }) == ["PLANNED"] else {
      return .error("ERR syntax: HOLDFAST.DRILL PLANNED")
    }
    switch await monitor.commandFailover() {
    case .success(let sentinel):
      events.post(
        JournalEvent(
          priority: .notice, message: "a drill: sentinel \(sentinel) was told to fail over"))
      return .simple("OK")
    case .failure(let refusal):
      return .error("ERR no sentinel began a failover: \(refusal.reason)")
    }
  }
}
