// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Proxy

@Suite("Native commands of a client, by position")
struct NativeRunsTests {
  @Test("Each is found until it is removed, in whatever order; the others keep theirs")
  func anyOrder() {
    var random = SeededGenerator(state: 4)
    for count in 1...12 {
      var runs = NativeRuns()
      var expected: [UInt64: NativeRun] = [:]
      var position: UInt64 = 0
      for _ in 0..<count {
        position += UInt64.random(in: 1...3, using: &random)
        let run = NativeRun(operation: nil, purpose: .asked(isSilent: false))
        runs.append(run, at: position)
        expected[position] = run
      }
      for removed in expected.keys.shuffled(using: &random) {
        runs.remove(removed)
        runs.remove(removed)
        expected[removed] = nil
        #expect((0...position + 1).allSatisfy { runs[$0] === expected[$0] })
        #expect(runs.count == expected.count && runs.isEmpty == expected.isEmpty)
        #expect(
          zip(runs.all, expected.sorted { $0.key < $1.key }).allSatisfy { $0 === $1.value })
      }
    }
  }
}
