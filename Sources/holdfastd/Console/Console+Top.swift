// SPDX-License-Identifier: Apache-2.0
import Failover
import Gateway
import Histogram
import NIOCore
import Proxy
import RESP
import SentinelMonitor

// `HOLDFAST.TOP`: counts since the start and recent latencies; whoever asks twice has rates.
extension Console {
  func top() async -> RESPValue {
    let view = await monitor.status().view
    guard let counts = try? await gateway.statistics(),
      let traffic = try? await gateway.traffic()
    else { return Self.stopping }
    let now = SentinelMonitor.nowMilliseconds
    return .fields([
      ("time-ms", .integer(now)), ("state", .text(view.isServing ? "serving" : "waiting")),
      ("master", view.address.map { .text("\($0)") } ?? .null),
      ("generation", .integer(Int64(view.generation))), ("clients", .count(counts.clients)),
      ("waiting", .count(counts.waiting)), ("in-flight", .count(counts.inFlight)),
      ("classes", .array(TrafficClass.allCases.map { Self.row($0, traffic) })),
      ("commands", Self.commands(traffic)), ("processes", await clients()),
    ])
  }

  private static func row(_ kind: TrafficClass, _ traffic: Traffic) -> RESPValue {
    let one = traffic.classes[Int(kind.rawValue)]
    let recent = one.recent
    func percentile(_ percent: Double) -> RESPValue {
      recent.totalCount == 0 ? .null : .integer(Int64(recent.valueAtPercentile(percent)))
    }
    return .fields([
      ("class", .text(kind.name)), ("commands", .integer(Int64(clamping: one.count))),
      ("errors", .integer(Int64(clamping: one.errors))), ("p50-us", percentile(50)),
      ("p99-us", percentile(99)), ("p99.9-us", percentile(99.9)), ("max-us", percentile(100)),
    ])
  }

  private static func commands(_ traffic: Traffic) -> RESPValue {
    let names = CommandTable.standard.specs.map(\.name) + ["(unknown)"]
    let used = zip(names, traffic.commands).filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
    return .array(
      used.prefix(50).map { name, count in
        .fields([
          ("command", .text(String(name.map { $0 == "|" ? " " : $0 }))),
          ("count", .integer(Int64(clamping: count))),
        ])
      })
  }
}
