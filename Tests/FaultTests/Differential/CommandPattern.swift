// SPDX-License-Identifier: Apache-2.0

/// Forms of a command, written in one line: words in capitals, digits and what stands in quotes are
/// sent as they are; a word in small letters is replaced by a value of that kind; `( a | b )` is
/// one of both, `[ a | b ]` is one of both or nothing, and `( a b )...` is one to three of it.
struct CommandPattern: Sendable {
  private indirect enum Part: Sendable {
    case word([UInt8])
    case value(String)
    /// One of these; nothing where it is optional, by turns with something.
    case choice([[Part]], isOptional: Bool)
    case repeated(Part)
  }

  private let parts: [Part]

  init(_ line: String) {
    var words = line.split(separator: " ")[...]
    parts = Self.parse(&words).first ?? []
  }

  /// Every line of a text is a pattern.
  static func list(_ text: String) -> [CommandPattern] {
    text.split(separator: "\n").map { CommandPattern(String($0)) }
  }

  /// One command of this form; `value` gives what a word in small letters stands for.
  func arguments(
    _ random: inout SeededGenerator, value: (String, inout SeededGenerator) -> [UInt8]
  ) -> [[UInt8]] {
    var result: [[UInt8]] = []
    Self.append(parts, to: &result, &random, value)
    return result
  }

  private static func append(
    _ parts: [Part], to result: inout [[UInt8]], _ random: inout SeededGenerator,
    _ value: (String, inout SeededGenerator) -> [UInt8]
  ) {
    for part in parts {
      switch part {
      case .word(let word): result.append(word)
      case .value(let name): result.append(value(name, &random))
      case .choice(let choices, let isOptional):
        if isOptional, random.oneIn(2) { continue }
        append(random.pick(choices), to: &result, &random, value)
      case .repeated(let part):
        for _ in 0..<random.number(in: 1..<4) { append([part], to: &result, &random, value) }
      }
    }
  }

  /// Alternatives up to the bracket that closes them, or to the end.
  private static func parse(_ words: inout ArraySlice<Substring>) -> [[Part]] {
    var choices: [[Part]] = [[]]
    while let word = words.popFirst() {
      switch word {
      case "|": choices.append([])
      case ")", "]", ")...", "]...":
        words = [word[...]] + words
        return choices
      case "(", "[": choices[choices.count - 1].append(parseGroup(&words, isOptional: word == "["))
      default: choices[choices.count - 1].append(parse(word))
      }
    }
    return choices
  }

  private static func parseGroup(
    _ words: inout ArraySlice<Substring>, isOptional: Bool
  ) -> Part {
    let group = Part.choice(parse(&words), isOptional: isOptional)
    let isRepeated = words.popFirst()?.hasSuffix("...") ?? false
    return isRepeated ? .repeated(group) : group
  }

  private static func parse(_ word: Substring) -> Part {
    if word.hasSuffix("...") { return .repeated(parse(word.dropLast(3))) }
    if word.hasPrefix("'") { return .word(Array(word.utf8.dropFirst().dropLast())) }
    return word.first?.isLowercase == true ? .value(String(word)) : .word(Array(word.utf8))
  }
}
