// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// A client's native commands that are not answered, by their position.
///
/// Positions rise, and nearly always the first one is answered first.
struct NativeRuns {
  private var runs: Deque<(position: UInt64, run: NativeRun)> = []

  var isEmpty: Bool { runs.isEmpty }
  var count: Int { runs.count }
  /// In the order of their positions.
  var all: some Sequence<NativeRun> { runs.lazy.map(\.run) }

  subscript(_ position: UInt64) -> NativeRun? { index(of: position).map { runs[$0].run } }

  /// Adds the client's last command.
  mutating func append(_ run: NativeRun, at position: UInt64) {
    precondition(runs.last.map { $0.position < position } ?? true, "positions rise")
    runs.append((position, run))
  }

  /// One that is not there is ignored.
  mutating func remove(_ position: UInt64) {
    switch index(of: position) {
    case nil: break
    case 0?: runs.removeFirst()
    case let index?: runs.remove(at: index)
    }
  }

  private func index(of position: UInt64) -> Int? {
    if runs.first?.position == position { return 0 }
    var range = 0..<runs.count
    while !range.isEmpty {
      let middle = range.lowerBound + range.count / 2
      let found = runs[middle].position
      guard found != position else { return middle }
      range = found < position ? middle + 1..<range.upperBound : range.lowerBound..<middle
    }
    return nil
  }
}
