// SPDX-License-Identifier: Apache-2.0
import Gateway
import Glibc
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
    case .denialsNotSaved(let reason):
      self.init(
        priority: .error, messageID: .denialsNotSaved,
        message: "ended sessions that no replica has yet are not kept for a restart: \(reason)")
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
