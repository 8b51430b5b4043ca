// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// The command line.
@main
struct Benchmarks: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmarks",
    abstract: "Measures the scanners, and the data path without I/O.",
    discussion: """
      Every benchmark runs once in each round, so that a busy moment of the machine does not hit one \
      of them alone. The median of the rounds is printed, and the distance from the slowest to the \
      fastest in percent of it.
      """)

  @Option(help: "How often each benchmark is run.")
  var rounds = 7

  @Option(help: "How long one run takes, in milliseconds.")
  var milliseconds = 200

  @Option(help: "Run this many batches of each benchmark instead, untimed: for a profiler.")
  var batches: Int?

  @Flag(help: "Show the names, and what one batch of each is.")
  var list = false

  @Argument(help: "Run only benchmarks whose name contains one of these.")
  var names: [String] = []

  func validate() throws {
    guard rounds > 0 else { throw ValidationError("--rounds must be at least 1") }
    guard milliseconds > 0 else { throw ValidationError("--milliseconds must be at least 1") }
    guard batches ?? 1 > 0 else { throw ValidationError("--batches must be at least 1") }
  }

  func run() throws {
    #if DEBUG
      print("This is a debug build: its figures mean nothing.")
    #endif
    let all = try ScannerBenchmarks.all() + ProxyBenchmarks.all()
    let chosen = all.filter { isChosen($0.name, among: all) }
    guard !chosen.isEmpty else { throw ValidationError("no benchmark has such a name; see --list") }
    if list {
      for benchmark in chosen { print("\(benchmark.batch.count)\t\(benchmark.name)") }
    } else if let batches {
      for benchmark in chosen {
        for _ in 0..<batches { try benchmark.run() }
      }
    } else {
      try measure(chosen)
    }
  }

  /// A whole name chooses that benchmark alone.
  private func isChosen(_ name: String, among all: [Benchmark]) -> Bool {
    names.isEmpty
      || names.contains { wanted in
        all.contains { $0.name == wanted } ? name == wanted : name.contains(wanted)
      }
  }

  private func measure(_ chosen: [Benchmark]) throws {
    let duration = Duration.milliseconds(milliseconds)
    // Caches, buffers and branch predictors warm up.
    for benchmark in chosen { _ = try benchmark.run(for: duration / 10) }
    var rates = [Rates](repeating: Rates(), count: chosen.count)
    for _ in 0..<rounds {
      for (index, benchmark) in chosen.enumerated() {
        let (batches, elapsed) = try benchmark.run(for: duration)
        rates[index].add(batches * benchmark.batch.count, in: elapsed)
      }
    }
    let width = chosen.map(\.name.count).max() ?? 0
    print(row("", width, ["thousand/s", "ns each", "MB/s", "spread"]))
    for (benchmark, rates) in zip(chosen, rates) {
      let bytesEach = Double(benchmark.batch.byteCount) / Double(benchmark.batch.count)
      print(
        row(
          benchmark.name, width,
          [
            decimal(rates.median / 1e3), decimal(1e9 / rates.median),
            decimal(rates.median * bytesEach / 1e6), decimal(rates.spread * 100) + " %",
          ]))
    }
  }

  private func row(_ name: String, _ width: Int, _ columns: [String]) -> String {
    name + String(repeating: " ", count: width - name.count)
      + columns.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }.joined()
  }

  /// With one digit behind the point where there are few before it.
  private func decimal(_ value: Double) -> String {
    if value >= 1000 { return "\(Int(value.rounded()))" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
