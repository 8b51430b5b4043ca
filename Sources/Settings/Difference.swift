// SPDX-License-Identifier: Apache-2.0

/// What new settings mean for a running daemon.
public struct SettingsChange: Sendable, Equatable {
  /// Keys that differ and can be put to work at once.
  public let live: [String]
  /// Keys that differ and need a restart.
  public let restart: [String]
  /// The new settings, but as before where a restart is needed.
  public let effective: Settings
}

extension Settings {
  /// Sections that are read once, at the start.
  private static let fixedSections = ["listen", "tcp", "sentinel", "redis", "pool", "metrics"]

  /// Compares these settings, which are in force, with new ones.
  public func change(to new: Settings) -> SettingsChange {
    var live: [String] = []
    var restart: [String] = []
    for key in KeyTable.all where key.text(self) != key.text(new) {
      let section = key.path.prefix { $0 != "." }
      let isFixed = Self.fixedSections.contains { $0 == section }
      if isFixed { restart.append(key.path) } else { live.append(key.path) }
    }
    var effective = new
    effective.listen = listen
    effective.tcp = tcp
    effective.sentinel = sentinel
    effective.redis = redis
    effective.pool = pool
    effective.metrics = metrics
    return SettingsChange(live: live, restart: restart, effective: effective)
  }

  /// The settings in force, a key each: its value, and where it comes from. Secrets are in files, whose names are shown.
  public static func effective(
    file: String?, environment: [String: String], flags: [(key: String, value: String)]
  ) throws(SettingsError) -> [(key: String, value: String?, source: String)] {
    let reader = try resolve(file: file, environment: environment, flags: flags)
    return KeyTable.all.map { key in
      (key.path, key.text(reader.settings), "\(reader.source(of: key.path))")
    }
  }
}
