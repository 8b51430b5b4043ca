// SPDX-License-Identifier: Apache-2.0

import Yams

extension Reader {
  private static let fileBytesMax = 1 << 20

  /// Reads the whole file, also past an error.
  mutating func read(file path: String) {
    do throws(Files.Failure) {
      let bytes = try Files.read(path, bytesMax: Self.fileBytesMax).bytes
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw Files.Failure("Is not UTF-8")
      }
      read(yaml: text, path: path)
    } catch {
      problems.append(.init("\(path): cannot read the configuration: \(error.reason)"))
    }
  }

  mutating func read(yaml: String, path: String) {
    do {
      guard let root = try Yams.compose(yaml: yaml) else { return }
      if let mapping = root.mapping {
        walk(mapping, section: "", file: path)
      } else if !Self.isNothing(root) {
        problems.append(.init("\(Self.source(root, path)): give sections such as `sentinel:`"))
      }
    } catch {
      problems.append(.init(Self.text(of: error, path)))
    }
  }

  private mutating func walk(_ mapping: Node.Mapping, section: String, file: String) {
    for (name, value) in mapping {
      let source = Self.source(name, file)
      guard let word = name.scalar?.string else {
        problems.append(.init("\(source): a key must be a word"))
        continue
      }
      let path = section.isEmpty ? word : "\(section).\(word)"
      // A dot would make `redis.database:` look known at the top.
      let isDotted = word.contains(".")
      if let key = KeyTable.byPath[path], !isDotted {
        read(value, of: key, at: source, file: file)
      } else if KeyTable.sections.contains(path), !isDotted {
        if let inner = value.mapping {
          walk(inner, section: path, file: file)
        } else if !Self.isNothing(value) {
          complain(at: source, path, "is a section: its keys stand indented below it")
        }
      } else {
        let hint = isDotted ? "; sections are nested, not dotted" : Self.hint(for: path)
        problems.append(.init("\(source): unknown key \(Self.name(path))\(hint)", key: path))
      }
    }
  }

  private mutating func read(_ value: Node, of key: Key, at source: Source, file: String) {
    switch value {
    case .scalar(let scalar):
      if Self.isNothing(value) {
        complain(at: source, key.path, "has no value; give \(key.allowed), or leave it out")
      } else {
        apply(Assignment(path: key.path, texts: Self.texts(of: scalar.string, key), source: source))
      }
    case .sequence(let sequence):
      let scalars = sequence.filter { !Self.isNothing($0) }.compactMap(\.scalar)
      guard key.isList, scalars.count == sequence.count else {
        let what = key.isList ? "a list with such elements" : "a list"
        return complain(at: source, key.path, "\(what) is not allowed; give \(key.allowed)")
      }
      apply(
        Assignment(
          path: key.path, texts: scalars.map(\.string), source: source,
          lines: scalars.map { $0.mark?.line ?? 0 }))
    case .mapping:
      complain(at: source, key.path, "keys below it are not allowed; give \(key.allowed)")
    case .alias:
      complain(at: source, key.path, "an alias is not allowed; give \(key.allowed)")
    }
  }

  // MARK: Nodes

  /// Nothing written, `~` or `null`.
  private static func isNothing(_ node: Node) -> Bool {
    guard let scalar = node.scalar, scalar.style == .plain else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  private static func source(_ node: Node, _ file: String) -> Source {
    .file(path: file, line: node.mark?.line ?? 1)
  }

  /// A key as an error may show it.
  private static func name(_ path: String) -> String {
    let isPlain = path.utf8.count <= 80 && path.utf8.allSatisfy { 0x20 < $0 && $0 < 0x7f }
    return isPlain && !path.contains("@") ? path : shown(path)
  }

  /// Without the snippet of the file that the error itself would print: it may hold a secret.
  private static func text(of error: any Error, _ file: String) -> String {
    guard let error = error as? YamlError else { return "\(file): not YAML" }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return "\(file):\(mark.line): not YAML: \(problem)"
    case .duplicatedKeysInMapping(let duplicates, let context):
      let names = duplicates.map(name).sorted().joined(separator: ", ")
      return "\(file):\(context.mark.line): given twice in this section: \(names)"
    case .reader(let problem, _, _, _), .writer(let problem), .emitter(let problem),
      .representer(let problem):
      return "\(file): not YAML: \(problem)"
    case .no, .memory, .dataCouldNotBeDecoded: return "\(file): not YAML"
    }
  }
}
