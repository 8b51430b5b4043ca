// SPDX-License-Identifier: Apache-2.0
import Gateway
import RESP
import Settings
import Systemd

/// Puts changed settings to work, one reload at a time. A bad file changes nothing.
actor Reloader {
  private let live: LiveSettings
  private let events: EventLog
  private let apply: @Sendable (Wiring) -> Void

  /// `apply` gives the parts their new settings.
  init(
    live: LiveSettings, events: EventLog, apply: @escaping @Sendable (Wiring) -> Void
  ) {
    self.live = live
    self.events = events
    self.apply = apply
  }

  /// What became of it: which keys changed, and which of these need a restart; or an error that says why not.
  func reload() -> RESPValue {
    Notify.reloading()
    defer { Notify.ready(status: "settings read again") }
    do {
      let change = try live.change()
      apply(try Wiring(settings: change.effective))
      live.adopt(change.effective)
      tell(change)
      return .fields([
        ("changed", .array(change.live.map { .text($0) })),
        ("needs-restart", .array(change.restart.map { .text($0) })),
      ])
    } catch {
      let reason = "\(error)"
      let lines = reason.split(separator: "\n").joined(separator: "; ")
      events.post(
        JournalEvent(
          priority: .error, messageID: .configurationRefused,
          message: "the settings are as before, the new ones are refused: \(lines)",
          fields: [("HOLDFAST_REASON", lines)]))
      return .error("ERR the settings are as before, the new ones are refused: \(lines)")
    }
  }

  private func tell(_ change: SettingsChange) {
    let changed = change.live.isEmpty ? "nothing" : change.live.joined(separator: ", ")
    let rest =
      change.restart.isEmpty
      ? "" : "; only a restart changes \(change.restart.joined(separator: ", "))"
    events.post(
      JournalEvent(
        priority: change.restart.isEmpty ? .notice : .warning, messageID: .configurationReloaded,
        message: "settings read again: changed \(changed)\(rest)",
        fields: [
          ("HOLDFAST_CHANGED", change.live.joined(separator: " ")),
          ("HOLDFAST_NEEDS_RESTART", change.restart.joined(separator: " ")),
        ]))
  }
}
