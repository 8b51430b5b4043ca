// SPDX-License-Identifier: Apache-2.0
import Failover
import Gateway
import Proxy
import RESP
import SentinelMonitor
import Settings
import Synchronization
import Systemd

/// Answers operators. Every answer is made of names and values, which the command line draws.
struct Console: Sendable {
  let gateway: Gateway
  let monitor: SentinelMonitor
  let events: EventLog
  let live: LiveSettings
  let reloader: Reloader
  let metrics: Metrics
  let started = ContinuousClock.now

  func answer(_ ask: ConsoleAsk) async -> ConsoleAnswer {
    let words = ask.words.dropFirst()
    switch ask.words.first?.uppercased() {
    case "HOLDFAST.STATUS": return ConsoleAnswer(await status())
    case "HOLDFAST.EVENTS": return ConsoleAnswer(eventList(Array(words)))
    case "HOLDFAST.WATCH": return watch(Array(words), ask.version)
    case "HOLDFAST.CONFIG": return ConsoleAnswer(configuration())
    case "HOLDFAST.RELOAD": return ConsoleAnswer(await reloader.reload())
    case "CLIENT":
      guard let text = try? await gateway.clientLines(ClientFilter(words.last ?? "")) else {
        return ConsoleAnswer(Self.stopping)
      }
      return ConsoleAnswer(.verbatim("txt", Array(text.utf8)))
    case "HOLDFAST.DOCTOR": return ConsoleAnswer(await doctor(Array(words)))
    case "HOLDFAST.DRILL": return ConsoleAnswer(await drill(Array(words)))
    case "HOLDFAST.TOP": return ConsoleAnswer(await top())
    case "HOLDFAST.METRICS":
      guard let text = try? await metrics.text() else { return ConsoleAnswer(Self.stopping) }
      return ConsoleAnswer(.verbatim("txt", Array(text.utf8)))
    case "HOLDFAST.CLIENTS": return ConsoleAnswer(await clients())
    default: return ConsoleAnswer(.error("ERR this daemon does not know that command"))
    }
  }

  // MARK: Events

  /// `HOLDFAST.EVENTS [SINCE id] [COUNT n]`.
  private func eventList(_ words: [String]) -> RESPValue {
    var since: Int64 = 0
    var count = EventLog.entriesMax
    guard words.count.isMultiple(of: 2) else { return Self.eventSyntax }
    for index in stride(from: 0, to: words.count, by: 2) {
      guard let number = Int64(words[index + 1]), number >= 0 else { return Self.eventSyntax }
      switch words[index].uppercased() {
      case "SINCE": since = number
      case "COUNT": count = Int(clamping: number)
      default: return Self.eventSyntax
      }
    }
    return .array(events.entries(since: since, count: count).map(\.value))
  }

  private static let eventSyntax = RESPValue.error(
    "ERR syntax: HOLDFAST.EVENTS [SINCE id] [COUNT n]")

  /// `HOLDFAST.WATCH [OFF]`.
  private func watch(_ words: [String], _ version: RESPVersion) -> ConsoleAnswer {
    guard version == .three else {
      return ConsoleAnswer(.error("ERR HOLDFAST.WATCH pushes events, which needs HELLO 3"))
    }
    switch words.map({ $0.uppercased() }) {
    case []: return ConsoleAnswer(.simple("OK"), isWatching: true)
    case ["OFF"]: return ConsoleAnswer(.simple("OK"), isWatching: false)
    default: return ConsoleAnswer(.error("ERR syntax: HOLDFAST.WATCH [OFF]"))
    }
  }

  // MARK: Settings

  private func configuration() -> RESPValue {
    do {
      return .array(
        try live.effective().map { key, value, source in
          .fields([
            ("key", .text(key)), ("value", value.map { .text($0) } ?? .null),
            ("source", .text(source)),
          ])
        })
    } catch {
      return .error("ERR the settings cannot be read: \(error)")
    }
  }

  // MARK: Clients

  /// Connections, summed up by process.
  func clients() async -> RESPValue {
    guard let all = try? await gateway.connections() else { return Self.stopping }
    let byProcess = Dictionary(grouping: all) { $0.peer?.pid ?? 0 }
    let rows = byProcess.sorted { $0.key < $1.key }.map { pid, connections in
      let peer = connections.first?.peer
      let names = Set(connections.flatMap { [$0.name, $0.library] }).filter { !$0.isEmpty }
      return RESPValue.fields([
        ("pid", .integer(Int64(pid))), ("uid", peer.map { .integer(Int64($0.uid)) } ?? .null),
        ("connections", .count(connections.count)),
        ("commands", .integer(Int64(connections.reduce(0) { $0 + $1.commands }))),
        ("outstanding", .count(connections.reduce(0) { $0 + $1.outstanding })),
        ("waiting", .count(connections.filter(\.isWaiting).count)),
        ("idle-ms", .integer(connections.map(\.idleMilliseconds).min() ?? 0)),
        ("names", .array(names.sorted().map { .text($0) })),
      ])
    }
    return .array(rows)
  }

  static let stopping = RESPValue.error("ERR the daemon is stopping")
}

/// Where questions go before and after the console stands there.
final class ConsoleDesk: Sendable {
  private let console = Mutex<Console?>(nil)

  func open(_ console: Console) { self.console.withLock { $0 = console } }

  func answer(_ ask: ConsoleAsk) async -> ConsoleAnswer {
    guard let console = console.withLock({ $0 }) else {
      return ConsoleAnswer(.error("ERR the daemon is starting: ask again"))
    }
    return await console.answer(ask)
  }
}
