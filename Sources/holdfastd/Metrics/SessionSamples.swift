// SPDX-License-Identifier: Apache-2.0
import Gateway
import RESP
import ServiceLifecycle
import Synchronization

/// Figures that Redis must be asked for: looked up now and then, only where metrics are listened for.
final class SessionSamples: Sendable {
  private struct State {
    var active: Int64?
    var withoutTTL: Int64?
  }

  private let state = Mutex(State())

  /// Living sessions; nil: not known.
  var active: Int64? { state.withLock { $0.active } }
  /// Session keys without a time to live; nil: not looked for yet.
  var withoutTTL: Int64? { state.withLock { $0.withoutTTL } }

  func lookAtActive(_ gateway: Gateway) async {
    let answer = try? await gateway.ask(["SESSION.STATS", "ACTIVE"])
    let count = answer?.dictionary?["active"]?.integerValue
    state.withLock { $0.active = count ?? $0.active }
  }

  /// A scan of the whole database of sessions, at the rate of `sessions.scanKeysPerSecond`.
  func lookForKeysWithoutTTL(_ gateway: Gateway) async {
    let answer = try? await gateway.ask(["SESSION.SWEEP", "DRYRUN"])
    let count = answer?.dictionary?["without_ttl"]?.integerValue
    state.withLock { $0.withoutTTL = count ?? $0.withoutTTL }
  }
}

/// Keeps ``SessionSamples`` fresh.
struct SampleService: Service {
  let samples: SessionSamples
  let gateway: Gateway

  static let activeEverySeconds = 15
  static let sweepEverySeconds = 3600

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
          while !Task.isCancelled {
            await samples.lookAtActive(gateway)
            try? await Task.sleep(for: .seconds(Self.activeEverySeconds))
          }
        }
        tasks.addTask {
          while !Task.isCancelled {
            await samples.lookForKeysWithoutTTL(gateway)
            try? await Task.sleep(for: .seconds(Self.sweepEverySeconds))
          }
        }
      }
    }
  }
}
