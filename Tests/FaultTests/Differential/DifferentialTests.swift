// SPDX-License-Identifier: Apache-2.0
import Glibc
import RedisLab
import Testing

/// Random commands, sent to a plain Redis and through the daemon to another one: the replies are
/// the same bytes, but for what ``Differences`` lists.
@Suite("The same replies as from Redis itself")
struct DifferentialTests {
  @Test("Data of all types, scripts, mistakes")
  func data() async throws { try await Self.check(.data, count: 500) }

  @Test("MULTI, EXEC, WATCH")
  func transactions() async throws { try await Self.check(.transactions, count: 200) }

  @Test("HELLO, AUTH, CLIENT, COMMAND, CONFIG")
  func connection() async throws { try await Self.check(.connection, count: 200) }

  @Test("Subscriptions, with messages of another client")
  func subscribers() async throws { try await Self.check(.subscribers, count: 100) }

  /// `HOLDFAST_SEED` runs one sequence alone; else always the same ones, and a few new ones.
  private static func seeds(_ count: Int) -> [UInt64] {
    if let text = getenv("HOLDFAST_SEED"), let seed = UInt64(String(cString: text)) {
      return [seed]
    }
    let fixed = (1...UInt64(isLongRun ? 14 * count : count)).map { $0 }
    return fixed + (0..<count / 20).map { _ in UInt64.random(in: 1_000_000..<1_000_000_000) }
  }

  private static func check(_ kind: SequenceKind, count: Int) async throws {
    try await withFixed({ $0.extraRedis = ServerPair.configuration }) { lab, daemon in
      let plain = try await Topology.single { $0.extraRedis = ServerPair.configuration }
      let differences = await differences(
        of: kind, seeds(count), plain: plain.initialMaster, behind: lab.initialMaster, daemon)
      await plain.stop()
      for difference in try differences.get() { Issue.record("\(difference)") }
      #expect(daemon.isRunning)
    }
  }

  /// The first few, for people.
  private static func differences(
    of kind: SequenceKind, _ seeds: [UInt64], plain: Node, behind: Node, _ daemon: Daemon
  ) async -> Result<[String], any Error> {
    do {
      let found = try await LabThread.run {
        let pair = try ServerPair(plain: plain, behind: behind, daemon: daemon.endpoint)
        var found: [String] = []
        for seed in seeds where found.count < 5 {
          let difference = try pair.firstDifference(of: kind, seed: seed)
          if let difference { found.append("HOLDFAST_SEED=\(seed): \(difference)") }
        }
        return found
      }
      return .success(found)
    } catch {
      return .failure(error)
    }
  }
}
