// SPDX-License-Identifier: Apache-2.0

/// Something whose speed is measured: work in equal batches.
struct Benchmark {
  let name: String
  /// What one batch does.
  let batch: Work
  /// Does one batch.
  let run: () throws -> Void
}

/// How much was done.
struct Work {
  /// Frames scanned, or commands answered.
  let count: Int
  /// Bytes that went through; 0 where nobody asks.
  let byteCount: Int
}

/// What is wrong with a benchmark itself: its figures would mean nothing.
struct BenchmarkError: Error, CustomStringConvertible {
  let description: String
}

/// How fast something went in each round.
struct Rates {
  private var perSecond: [Double] = []

  mutating func add(_ count: Int, in elapsed: Duration) {
    let (seconds, attoseconds) = elapsed.components
    perSecond.append(Double(count) / (Double(seconds) + Double(attoseconds) * 1e-18))
  }

  /// The middle round; the lower one of two.
  var median: Double {
    let sorted = perSecond.sorted()
    return sorted.isEmpty ? 0 : sorted[(sorted.count - 1) / 2]
  }

  /// From the slowest to the fastest round, as a part of the median.
  var spread: Double {
    guard let least = perSecond.min(), let most = perSecond.max(), median > 0 else { return 0 }
    return (most - least) / median
  }
}

extension Benchmark {
  /// Runs batches until `duration` is over; returns their number and the time they took.
  func run(for duration: Duration) throws -> (batches: Int, elapsed: Duration) {
    let clock = ContinuousClock()
    let start = clock.now
    var batches = 0
    var elapsed = Duration.zero
    repeat {
      // The clock is asked rarely, so that it costs nothing.
      for _ in 0..<8 { try run() }
      batches += 8
      elapsed = clock.now - start
    } while elapsed < duration
    return (batches, elapsed)
  }
}
