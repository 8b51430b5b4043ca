// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import Synchronization

/// What one sentinel published.
public struct SentinelEvent: Equatable, Sendable {
  /// Since the recorder's start.
  public let milliseconds: Double
  /// Which sentinel, by its index in ``Topology/sentinels``.
  public let sentinel: Int
  /// Such as `+switch-master`.
  public let channel: String
  /// Sentinel's own words.
  public let payload: String
}

/// Records all events of all sentinels; reconnects to those that come back.
public final class EventRecorder: Sendable {
  /// Time zero of ``SentinelEvent/milliseconds``.
  public let start = ContinuousClock.now

  private struct State {
    var events: [SentinelEvent] = []
    var subscribed: Set<Int> = []
    var isStopped = false
  }
  private let state = Mutex(State())
  private let sentinels: [Node]

  private init(_ topology: Topology) { sentinels = topology.sentinels }

  /// Starts recording; returns when all answering sentinels have confirmed the subscription.
  public static func start(_ topology: Topology) async throws -> EventRecorder {
    let recorder = EventRecorder(topology)
    for index in topology.sentinels.indices {
      try LabThread.start { recorder.record(index) }
    }
    do {
      try await eventually("subscriptions to the sentinels", within: 10_000) {
        recorder.state.withLock { state in
          topology.sentinels.indices.allSatisfy {
            !topology.sentinels[$0].isAnswering || state.subscribed.contains($0)
          }
        }
      }
      return recorder
    } catch {
      recorder.stop()
      throw error
    }
  }

  /// All events so far, in the order in which they came.
  public var events: [SentinelEvent] { state.withLock { $0.events } }

  /// Milliseconds since the start.
  public var now: Double { (ContinuousClock.now - start).inMilliseconds }

  /// The first event of a channel at or after a time.
  public func first(_ channel: String, after milliseconds: Double = 0) -> SentinelEvent? {
    events.first { $0.channel == channel && $0.milliseconds >= milliseconds }
  }

  /// As ``first(_:after:)``, waiting for it.
  /// - Throws: `LabError.timeout`.
  @discardableResult
  public func wait(
    for channel: String, after milliseconds: Double = 0, timeoutMilliseconds: Int = 30_000
  ) async throws -> SentinelEvent {
    try await eventually("event \(channel)", within: timeoutMilliseconds, every: 5) {
      self.first(channel, after: milliseconds)
    }
  }

  /// Ends recording; what was recorded stays.
  public func stop() { state.withLock { $0.isStopped = true } }

  private var isStopped: Bool { state.withLock { $0.isStopped } }

  private func record(_ index: Int) {
    while !isStopped {
      do {
        let client = try sentinels[index].connectBlocking()
        try client.send(["PSUBSCRIBE", "*"])
        while !isStopped {
          do {
            note(try client.receive(timeoutMilliseconds: 50), of: index)
          } catch LabError.timeout {
            continue
          }
        }
      } catch {
        // Down or cut: again, until it is back or the recording ends.
        state.withLock { _ = $0.subscribed.remove(index) }
        usleep(20_000)
      }
    }
  }

  private func note(_ message: RESPValue, of index: Int) {
    guard let parts = message.elements, let kind = parts.first?.text else { return }
    let time = now
    state.withLock { state in
      if kind == "psubscribe" { state.subscribed.insert(index) }
      if kind == "pmessage", parts.count == 4 {
        state.events.append(
          SentinelEvent(
            milliseconds: time, sentinel: index, channel: parts[2].text ?? "",
            payload: parts[3].text ?? ""))
      }
    }
  }
}
