// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Gateway

/// When a shard lets requests gather.
@Suite struct RequestPaceTests {
  private typealias Turns = [(at: Int64, requests: Int)]

  /// Turns at these times, in microseconds, with so many requests each, by turns of so many clients; whether it gathers
  /// behind the last one.
  private func gathers(_ turns: Turns, clients: Int = 50, askedAt: Int64? = nil) -> Bool {
    var pace = RequestPace()
    var seen = [UInt32](repeating: 0, count: clients)
    var next = 0
    for turn in turns {
      for _ in 0..<turn.requests {
        pace.note(turn.at, seenIn: &seen[next % clients])
        next += 1
      }
    }
    return pace.isGathering(askedAt ?? turns.last?.at ?? 0)
  }

  private func turns(every step: Int64, _ requests: Int) -> Turns {
    stride(from: 10_000, to: 20_000, by: Int64.Stride(step)).map { ($0, requests) }
  }

  @Test func oneClientNeverWaits() {
    #expect(!gathers(turns(every: 120, 1), clients: 1))
    #expect(!gathers(turns(every: 20, 1), clients: 1))
  }

  @Test func manyThatComeAFewAtATimeGather() {
    #expect(gathers(turns(every: 40, 2)))
    #expect(gathers(turns(every: 30, 1)))
  }

  @Test func aFewBusyClientsNeverWait() {
    #expect(!gathers(turns(every: 30, 2), clients: 5))
    #expect(gathers(turns(every: 30, 2), clients: 20))
  }

  @Test func manyClientsThatSeldomAskDoNotWait() { #expect(!gathers(turns(every: 100, 2))) }

  @Test func manyThatComeTogetherDoNot() { #expect(!gathers(turns(every: 100, 50))) }

  @Test func whoeverComesAfterAQuietTimeDoesNotWait() {
    #expect(!gathers(turns(every: 40, 2) + [(25_000, 1)]))
  }

  @Test func aTurnOfRepliesDoesNotWait() {
    #expect(!gathers(turns(every: 40, 2), askedAt: 20_000))
  }

  @Test func nothingHappenedYet() { #expect(!RequestPace().isGathering(0)) }
}
