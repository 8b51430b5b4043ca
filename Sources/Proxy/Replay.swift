// SPDX-License-Identifier: Apache-2.0

/// What becomes of a command whose link was given up.
enum Verdict: Equatable {
  /// It is sent again.
  case resend
  /// Nobody knows whether it was executed: `UNCERTAIN`.
  case uncertain
}

/// A command without a reply when its link was given up.
struct Unanswered {
  let client: SlotID<Client>
  let replay: ReplayClass
  let isWrite: Bool
  /// Whether its last byte was handed to the connection; if not, it was not executed.
  let wasSent: Bool
  /// Hashes of its keys; nil: it may touch any key.
  let keys: Set<Int>?
}

/// Decides for each command of a given-up link, in their order, whether it may be sent again.
enum Replay {
  static func verdicts(
    _ commands: [Unanswered], policy: ProxyConfiguration.ReplayPolicy
  ) -> [Verdict] {
    var verdicts = [Verdict](repeating: .resend, count: commands.count)
    // Walked from the end: a read needs to know which writes of its client follow it.
    var writesBehind: [SlotID<Client>: [Set<Int>?]] = [:]
    for index in commands.indices.reversed() {
      let command = commands[index]
      guard command.wasSent else { continue }
      verdicts[index] = verdict(command, writesBehind[command.client] ?? [], policy)
      if command.isWrite { writesBehind[command.client, default: []].append(command.keys) }
    }
    return verdicts
  }

  private static func verdict(
    _ command: Unanswered, _ writesBehind: [Set<Int>?], _ policy: ProxyConfiguration.ReplayPolicy
  ) -> Verdict {
    switch command.replay {
    case .read:
      // Sent again, it might see a write that came after it.
      writesBehind.contains { mayTouch($0, command.keys) } ? .uncertain : .resend
    case .absolute, .guarded: .resend
    case .settling: policy == .standard ? .resend : .uncertain
    case .once: .uncertain
    }
  }

  /// Whether commands with these keys may touch the same key; nil: any key.
  static func mayTouch(_ left: Set<Int>?, _ right: Set<Int>?) -> Bool {
    guard let left, let right else { return true }
    return !left.isDisjoint(with: right)
  }
}
