// SPDX-License-Identifier: Apache-2.0

public import Failover
import Glibc
import NIOCore
import RESP

/// What one sentinel or node said when it was asked about itself.
public struct ServerReport: Sendable {
  /// Where it was asked.
  public var address: NodeAddress
  /// Whether it was asked as a sentinel.
  public var isSentinel: Bool
  /// Why it gave no answer; nil: it did.
  public var failure: String?
  /// The lines of `INFO`.
  public var info: [String: String] = [:]
  /// `SENTINEL MASTER`, or those of `CONFIG GET` that it gave; empty where it does not allow that.
  public var settings: [String: String] = [:]
  /// How far its clock is ahead of ours, in milliseconds; nil: it does not say.
  public var skewMilliseconds: Int64?
}

/// Questions for operators, asked on connections of their own.
extension SentinelMonitor {
  /// Parameters of Redis that matter for failovers and sessions; none of them is a secret.
  private static let parameters = [
    "maxmemory", "maxmemory-policy", "save", "appendonly", "min-replicas-to-write",
    "repl-backlog-size", "replica-priority", "replica-read-only", "timeout",
    "client-output-buffer-limit",
  ]
  private static let askMilliseconds: Int64 = 3000

  /// Asks every sentinel and node known, all at once.
  public func examine() async -> [ServerReport] {
    let status = await status()
    var nodes = status.replicas.map(\.address)
    if let master = status.view.address, !nodes.contains(master) { nodes.insert(master, at: 0) }
    return await withTaskGroup(of: (Int, ServerReport).self) { tasks in
      for (index, sentinel) in status.sentinels.enumerated() {
        tasks.addTask { (index, await self.ask(sentinel: sentinel.address)) }
      }
      for (index, node) in nodes.enumerated() {
        tasks.addTask { (status.sentinels.count + index, await self.ask(node: node)) }
      }
      var reports: [(Int, ServerReport)] = []
      for await report in tasks { reports.append(report) }
      return reports.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  /// `SENTINEL FAILOVER` at the first sentinel that takes it; what they said where none does.
  public func commandFailover() async -> Result<NodeAddress, FailoverRefusal> {
    guard case .sentinels(_, let name) = configuration.mode else {
      return .failure(FailoverRefusal(reason: "there are no sentinels: redis.address is fixed"))
    }
    var reasons: [String] = []
    for sentinel in await status().sentinels where sentinel.isReachable {
      do {
        let replies = try await ask(
          dialer(sentinel.address, isSentinel: true), [["SENTINEL", "FAILOVER", name]])
        guard case .error(let text)? = replies.first else { return .success(sentinel.address) }
        reasons.append("\(sentinel.address): \(text)")
      } catch {
        reasons.append("\(sentinel.address): \(error.failure.reason)")
      }
    }
    return .failure(
      FailoverRefusal(
        reason: reasons.isEmpty ? "no sentinel answers" : reasons.joined(separator: "; ")))
  }

  private func ask(sentinel address: NodeAddress) async -> ServerReport {
    var report = ServerReport(address: address, isSentinel: true)
    guard case .sentinels(_, let name) = configuration.mode else { return report }
    do {
      let replies = try await ask(
        dialer(address, isSentinel: true), [["INFO"], ["SENTINEL", "MASTER", name]])
      read(replies[0], &report)
      report.info["role"] = "sentinel"
      for (key, value) in replies[1].dictionary ?? [:] { report.settings[key] = value.text }
    } catch {
      report.failure = error.failure.reason
    }
    return report
  }

  private func ask(node address: NodeAddress) async -> ServerReport {
    var report = ServerReport(address: address, isSentinel: false)
    let questions = Self.parameters.map { ["CONFIG", "GET", $0] }
    do {
      let replies = try await ask(
        dialer(address, isSentinel: false), [["INFO"], ["ACL", "WHOAMI"]] + questions)
      read(replies[0], &report)
      if case .error = replies[1] {} else { report.info["acl-user"] = replies[1].text }
      for reply in replies.dropFirst(2) {
        for (key, value) in reply.dictionary ?? [:] { report.settings[key] = value.text }
      }
    } catch {
      report.failure = error.failure.reason
    }
    return report
  }

  private func read(_ reply: RESPValue, _ report: inout ServerReport) {
    let now = Self.wallClockMilliseconds
    for line in (reply.text ?? "").split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      report.info[String(line[..<colon])] = String(line[line.index(after: colon)...])
    }
    // Redis 7 says its time in INFO; the half of a round trip counts for nothing here.
    if let time = report.info["server_time_usec"].flatMap({ Int64($0) }) {
      report.skewMilliseconds = time / 1000 - now
    }
  }

  private func dialer(_ address: NodeAddress, isSentinel: Bool) -> Dialer {
    Dialer(
      address: address, tls: isSentinel ? configuration.sentinelTLS : configuration.redisTLS,
      credentials: isSentinel ? configuration.sentinelCredentials : configuration.redisCredentials,
      timings: configuration.timings, group: group)
  }

  private func ask(
    _ dialer: Dialer, _ commands: [[String]]
  ) async throws(ConnectionError) -> [RESPValue] {
    var dialer = dialer
    let connection = try await dialer.open()
    defer { connection.close() }
    return try await connection.ask(commands, timeoutMilliseconds: Self.askMilliseconds)
  }

  private static var wallClockMilliseconds: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

/// Why no sentinel began a failover.
public struct FailoverRefusal: Error, Sendable {
  /// In their words.
  public let reason: String
}
