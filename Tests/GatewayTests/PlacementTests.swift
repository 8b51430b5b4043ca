// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Gateway

@Suite struct PlacementTests {
  @Test func oneShardServesAll() {
    let placement = Placement(shardCount: 1)
    for _ in 0..<5 { #expect(placement.place(acceptedBy: 0) == 0) }
  }

  @Test func theyAreSpreadWhoeverAccepts() {
    let placement = Placement(shardCount: 3)
    var counts = [0, 0, 0]
    for _ in 0..<30 { counts[placement.place(acceptedBy: 1)] += 1 }
    #expect(counts == [10, 10, 10])
  }

  @Test func withEqualCountsWhoAcceptsServes() {
    let placement = Placement(shardCount: 2)
    #expect(placement.place(acceptedBy: 1) == 1)
    placement.left(1)
    #expect(placement.place(acceptedBy: 0) == 0)
  }

  @Test func whereSomeLeaveOthersCome() {
    let placement = Placement(shardCount: 2)
    for _ in 0..<8 { _ = placement.place(acceptedBy: 0) }
    for _ in 0..<3 { placement.left(1) }
    #expect((0..<3).map { _ in placement.place(acceptedBy: 0) } == [1, 1, 1])
  }
}
