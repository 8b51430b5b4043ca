// SPDX-License-Identifier: Apache-2.0

/// Lays the layers over the defaults, lowest first, and remembers where each value came from.
struct Reader {
  var settings = Settings()
  var sources: [String: Source] = [:]
  var problems: [SettingsError.Problem] = []

  /// A key's texts, somewhere.
  struct Assignment {
    let path: String
    let texts: [String]
    let source: Source
    /// Where each text is, in a file; empty elsewhere.
    var lines: [Int] = []
  }

  mutating func apply(_ assignment: Assignment) {
    guard let key = KeyTable.byPath[assignment.path] else { return }
    sources[key.path] = assignment.source
    guard let index = key.assign(assignment.texts, &settings) else { return }
    var source = assignment.source
    if case .file(let path, _) = source, assignment.lines.indices.contains(index) {
      source = .file(path: path, line: assignment.lines[index])
    }
    let value = assignment.texts.indices.contains(index) ? assignment.texts[index] : ""
    complain(at: source, key.path, "\(shown(value)) is not allowed; give \(key.allowed)")
  }

  mutating func complain(at source: Source, _ path: String, _ text: String) {
    problems.append(.init("\(source): \(path): \(text)", key: path))
  }

  // MARK: Environment and flags

  mutating func read(environment: [String: String]) {
    for key in KeyTable.all {
      guard let value = environment[key.variable] else { continue }
      let source = Source.environment(variable: key.variable)
      apply(Assignment(path: key.path, texts: Self.texts(of: value, key), source: source))
    }
    // Other programs may have variables of that prefix, but not within our sections.
    let prefixes = KeyTable.sections.map { KeyTable.variable(of: $0) + "_" }
    let known = Set(KeyTable.all.map(\.variable))
    for variable in environment.keys.sorted() where !known.contains(variable) {
      guard prefixes.contains(where: variable.hasPrefix) else { continue }
      let hint = Self.isSecret(variable) ? Self.secretHint : Self.suggestion(variable, among: known)
      problems.append(
        .init("\(Source.environment(variable: variable)): unknown key\(hint)", key: variable))
    }
  }

  mutating func read(flags: [(key: String, value: String)]) {
    for (path, value) in flags {
      guard let key = KeyTable.byPath[path] else {
        let source = Source.flag(name: path)
        problems.append(.init("\(source): unknown key\(Self.hint(for: path))", key: path))
        continue
      }
      let source = Source.flag(name: key.flag)
      apply(Assignment(path: path, texts: Self.texts(of: value, key), source: source))
    }
  }

  /// Lists are written with commas where there is one text only.
  static func texts(of value: String, _ key: Key) -> [String] {
    guard key.isList else { return [value] }
    if value.allSatisfy({ $0 == " " }) { return [] }
    return value.split(separator: ",", omittingEmptySubsequences: false).map { part in
      var part = part
      while part.first == " " { part.removeFirst() }
      while part.last == " " { part.removeLast() }
      return String(part)
    }
  }

  // MARK: Hints

  /// What an unknown key at `path` may have meant.
  static func hint(for path: String) -> String {
    if isSecret(path) { return secretHint }
    let known = KeyTable.all.map(\.path) + KeyTable.sections.sorted()
    return suggestion(path, among: Set(known))
  }

  private static func suggestion(_ name: String, among known: Set<String>) -> String {
    if let near = Nearest.candidate(to: name, among: known.sorted()) {
      return "; did you mean \(near)?"
    }
    let section = name.split(separator: ".").dropLast().joined(separator: ".")
    guard KeyTable.sections.contains(section) else { return "" }
    let siblings = KeyTable.all.map(\.path).filter { $0.hasPrefix(section + ".") }
    return "; known here are \(siblings.joined(separator: ", "))"
  }

  private static func isSecret(_ name: String) -> Bool {
    let lowered = name.lowercased()
    return ["password", "passwd", "secret"].contains { lowered.hasSuffix($0) }
  }

  private static let secretHint =
    "; secrets are read from files only: write it to a file and name that in passwordFile"
}
