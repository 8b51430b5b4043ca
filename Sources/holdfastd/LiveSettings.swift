// SPDX-License-Identifier: Apache-2.0
import Settings
import Synchronization

/// Where settings come from, and which are in force.
final class LiveSettings: Sendable {
  let file: String?
  let environment: [String: String]
  let flags: [(key: String, value: String)]
  private let inForce: Mutex<Settings>

  /// Reads them for the first time; throws all that is wrong with them.
  init(
    file: String?, environment: [String: String], flags: [(key: String, value: String)]
  ) throws {
    self.file = file
    self.environment = environment
    self.flags = flags
    inForce = Mutex(try Settings.load(file: file, environment: environment, flags: flags))
  }

  var current: Settings { inForce.withLock { $0 } }

  /// Reads them again, and says what that changes; nothing is in force yet.
  func change() throws -> SettingsChange {
    current.change(to: try Settings.load(file: file, environment: environment, flags: flags))
  }

  func adopt(_ settings: Settings) { inForce.withLock { $0 = settings } }

  /// Every key, its value, and where that comes from, as the files are now.
  func effective() throws -> [(key: String, value: String?, source: String)] {
    try Settings.effective(file: file, environment: environment, flags: flags)
  }
}
