// SPDX-License-Identifier: Apache-2.0

extension Settings {
  /// Read when no other file is named, if it exists.
  public static let defaultFile = "/etc/holdfast/holdfastd.yaml"

  /// Reads and checks everything: flags before environment before file before defaults.
  ///
  /// `file` must exist; without one, ``defaultFile`` is read if it exists. Flags are named by their key's path.
  /// Throws all problems at once.
  public static func load(
    file: String?, environment: [String: String], flags: [(key: String, value: String)]
  ) throws(SettingsError) -> Settings {
    try resolve(file: file, environment: environment, flags: flags).settings
  }

  /// The settings in force, a key a line, each with where it comes from; what `--check-config` prints.
  public static func explain(
    file: String?, environment: [String: String], flags: [(key: String, value: String)]
  ) throws(SettingsError) -> String {
    let reader = try resolve(file: file, environment: environment, flags: flags)
    return KeyTable.all.map { key in
      let value = key.text(reader.settings) ?? "(none)"
      return "\(key.path): \(value)  # \(reader.source(of: key.path))"
    }.joined(separator: "\n")
  }

  static func resolve(
    file: String?, environment: [String: String], flags: [(key: String, value: String)],
    defaultFile: String = Settings.defaultFile
  ) throws(SettingsError) -> Reader {
    var reader = Reader()
    if let file = file ?? (Files.exists(defaultFile) ? defaultFile : nil) {
      reader.read(file: file)
    }
    reader.read(environment: environment)
    reader.read(flags: flags)
    if let directory = environment["CREDENTIALS_DIRECTORY"] {
      reader.read(credentials: directory)
    }
    reader.validate()
    guard reader.problems.isEmpty else { throw SettingsError(reader.problems) }
    return reader
  }
}

extension Reader {
  /// Credentials of the service manager stand in for files that the settings do not name.
  mutating func read(credentials directory: String) {
    var wanted = [
      ("sentinel.passwordFile", "sentinel-password"), ("redis.passwordFile", "redis-password"),
    ]
    for (section, isEnabled) in [
      ("sentinel.tls", settings.sentinel.tls.enabled), ("redis.tls", settings.redis.tls.enabled),
    ] where isEnabled {
      wanted += [
        ("\(section).caFile", "tls-ca"), ("\(section).certificateFile", "tls-cert"),
        ("\(section).keyFile", "tls-key"),
      ]
    }
    for (path, name) in wanted where sources[path] == nil {
      let file = "\(directory)/\(name)"
      guard Files.exists(file) else { continue }
      apply(Assignment(path: path, texts: [file], source: .credential(name: name)))
    }
  }
}
