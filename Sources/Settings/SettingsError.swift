// SPDX-License-Identifier: Apache-2.0

/// Everything that is wrong with the settings at once.
public struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
  /// One thing that is wrong.
  public struct Problem: Sendable, Equatable {
    /// Where it is, which key, what is wrong, what is allowed; never a secret.
    public let text: String
    /// The key; `nil` where the file as a whole is unusable.
    public let key: String?

    init(_ text: String, key: String? = nil) {
      self.text = text
      self.key = key
    }
  }

  /// What is wrong, in the order it was found; never empty.
  public let problems: [Problem]

  init(_ problems: [Problem]) {
    self.problems = problems
  }

  /// One problem a line.
  public var description: String { problems.map(\.text).joined(separator: "\n") }
}

/// Where a value comes from, as an operator would look for it.
enum Source: Sendable, Equatable, CustomStringConvertible {
  case unset
  case file(path: String, line: Int)
  case environment(variable: String)
  case flag(name: String)
  case credential(name: String)

  var description: String {
    switch self {
    case .unset: "default"
    case .file(let path, let line): "\(path):\(line)"
    case .environment(let variable): "environment variable \(variable)"
    case .flag(let name): "flag \(name)"
    case .credential(let name): "credential \(name)"
    }
  }
}

/// A value as an error may show it: short, on one line, and not where it looks like a login.
func shown(_ value: String) -> String {
  if value.contains("@") { return "a value with \"@\" (not shown, it may hold a password)" }
  let clean = value.unicodeScalars.prefix(81).map { scalar in
    scalar.value < 0x20 || 0x7f..<0xa0 ~= scalar.value ? "?" : String(scalar)
  }
  return "\"" + (clean.count > 80 ? clean.prefix(80).joined() + "…" : clean.joined()) + "\""
}
