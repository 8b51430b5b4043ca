// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Gateway

/// When a shard lets requests gather.
@Suite struct RequestPaceTests {
  /// Turns at these times, in microseconds, with so many requests each; whether it gathers behind the last one.
  private func gathers(_ turns: [(at: Int64, requests: Int)], waiting: Int = 20) -> Bool {
    var pace = RequestPace()
    for turn in turns { for _ in 0..<turn.requests { pace.note(turn.at) } }
    return pace.isGathering(turns.last?.at ?? 0, waiting: waiting)
  }

  private func turns(every step: Int64, _ requests: Int, for total: Int64) -> [(Int64, Int)] {
    stride(from: 10_000, to: 10_000 + total, by: Int64.Stride(step)).map { ($0, requests) }
  }

  @Test func oneClientNeverWaits() {
    #expect(!gathers(turns(every: 120, 1, for: 10_000)))
    #expect(!gathers(turns(every: 50, 1, for: 10_000)))
  }

  @Test func manyThatComeAFewAtATimeGather() {
    #expect(gathers(turns(every: 30, 2, for: 10_000)))
    #expect(gathers(turns(every: 15, 1, for: 10_000)))
  }

  @Test func aFewBusyClientsNeverWait() {
    #expect(!gathers(turns(every: 30, 2, for: 10_000), waiting: 5))
  }

  @Test func manyThatComeTogetherDoNot() { #expect(!gathers(turns(every: 100, 50, for: 10_000))) }

  @Test func whoeverComesAfterAQuietTimeDoesNotWait() {
    let busy = turns(every: 30, 2, for: 10_000)
    #expect(!gathers(busy + [(10_000 + 10_000 + 5_000, 1)]))
  }

  @Test func aTurnOfRepliesDoesNotWait() {
    var pace = RequestPace()
    for turn in turns(every: 30, 2, for: 10_000) { for _ in 0..<turn.1 { pace.note(turn.0) } }
    #expect(!pace.isGathering(20_000, waiting: 20))
  }

  @Test func nothingHappenedYet() { #expect(!RequestPace().isGathering(0, waiting: 20)) }
}
