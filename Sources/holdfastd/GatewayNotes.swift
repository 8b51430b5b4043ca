// SPDX-License-Identifier: Apache-2.0
import Gateway
import Glibc
import Proxy
import Sessions
import Systemd

extension JournalEvent {
  /// What the data plane notes, as the journal has it.
  init(_ note: GatewayNote) {
    switch note {
    case .session(.bindingMismatch(let handle, let address, let isEnforced)):
      let from = address.map { "from \($0)" } ?? "without an address"
      self.init(
        priority: .warning, messageID: .bindingMismatch,
        message: "session \(handle) was used \(from), where it is not bound to: "
          + (isEnforced ? "refused" : "let through, its binding only reports"),
        fields: [("HOLDFAST_SESSION", handle), ("HOLDFAST_ADDRESS", address ?? "")])
    case .shard(let note): self.init(note)
    case .denialsNotSaved(let reason):
      self.init(
        priority: .error, messageID: .denialsNotSaved,
        message: "ended sessions that no replica has yet are not kept for a restart: \(reason)")
    }
  }
}

extension JournalEvent {
  private init(_ note: ShardNote) {
    switch note {
    case .accessRefused(let rule, let uid, let pid, let what):
      self.init(
        priority: .warning, messageID: .accessRefused,
        message: "uid \(uid) (pid \(pid)) was refused \(what) by \(rule)",
        fields: [
          ("HOLDFAST_RULE", rule), ("HOLDFAST_CLIENT_UID", "\(uid)"),
          ("HOLDFAST_CLIENT_PID", "\(pid)"),
        ])
    case .clientRefused(let limit, let pid):
      self.init(
        priority: .warning, messageID: .clientRefused,
        message: "a client (pid \(pid)) was refused or cut off by \(limit)",
        fields: [("HOLDFAST_LIMIT", limit), ("HOLDFAST_CLIENT_PID", "\(pid)")])
    case .poolExhausted(let leased):
      self.init(
        priority: .warning, messageID: .poolExhausted,
        message: "all \(leased) connections that may be leased are: clients that need one of their "
          + "own wait (pool.leasedPerShard)",
        fields: [("HOLDFAST_LEASED", "\(leased)")])
    case .poolRecovered:
      self.init(
        priority: .notice, messageID: .poolRecovered, message: "connections can be leased again")
    case .subscribersMoved(let count):
      self.init(
        priority: .notice, messageID: .subscribersMoved,
        message: "\(count) subscribers are subscribed again on another connection; they may have "
          + "missed messages",
        fields: [("HOLDFAST_SUBSCRIBERS", "\(count)")])
    }
  }
}

/// What the service manager gives the process.
enum Surroundings {
  /// `StateDirectory=` of the unit, systemd.exec(5); the first where there are several.
  static var stateDirectory: String? {
    guard let value = getenv("STATE_DIRECTORY") else { return nil }
    return String(cString: value).split(separator: ":").first.map(String.init)
  }
}
