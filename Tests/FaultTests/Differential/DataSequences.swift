// SPDX-License-Identifier: Apache-2.0

/// Commands on data: every type, options in many combinations, mistakes of all kinds.
enum DataSequences {
  static func rounds(_ random: inout SeededGenerator) -> [Round] {
    var requests: [Request] = []
    if random.oneIn(2) { requests.append(Request("HELLO", "3")) }
    // Each sequence is about a few types, so that its commands meet.
    let subjects = (0..<random.number(in: 1..<4)).map { _ in random.pick(DataPatterns.subjects) }
    for _ in 0..<random.number(in: 30..<90) {
      let patterns = random.oneIn(4) ? DataPatterns.generic : random.pick(subjects)
      requests.append(request(of: random.pick(patterns), &random))
    }
    return batches(of: requests, &random)
  }

  /// A command of this form, in one of its many spellings, and sometimes wrong.
  static func request(
    of pattern: CommandPattern, _ random: inout SeededGenerator
  ) -> Request {
    var arguments = pattern.arguments(&random, value: Vocabulary.value)
    if random.oneIn(6), !mayBlock(arguments) { spoil(&arguments, &random) }
    if random.oneIn(8) { arguments[0] = mixedCase(arguments[0], &random) }
    let isInline = random.oneIn(8) && arguments.allSatisfy(isPlainWord)
    return Request(arguments, isInline: isInline)
  }

  /// Requests in rounds of one to sixteen.
  static func batches(
    of requests: [Request], _ random: inout SeededGenerator
  ) -> [Round] {
    var rounds: [Round] = []
    var rest = requests[...]
    while !rest.isEmpty {
      let count = random.number(in: 1..<17)
      rounds.append(Round(requests: Array(rest.prefix(count))))
      rest = rest.dropFirst(count)
    }
    return rounds
  }

  /// It would do so for ever with a wrong time.
  private static func mayBlock(_ arguments: [[UInt8]]) -> Bool {
    let signs: [[UInt8]] = [Array("WAIT".utf8), Array("BLOCK".utf8), Array("0.01".utf8)]
    return arguments.contains(where: signs.contains)
  }

  private static func spoil(_ arguments: inout [[UInt8]], _ random: inout SeededGenerator) {
    let index = random.number(in: 0..<arguments.count)
    switch random.number(in: 0..<6) {
    case 0 where arguments.count > 1: arguments.removeLast()
    case 1: arguments.append(Vocabulary.oddValue(&random))
    case 2 where random.oneIn(3): arguments[0].append(random.pick([0x78, 0x20, 0x0D, 0xFF]))
    case 3 where index > 1: arguments.swapAt(index, index - 1)
    case 4 where index > 0: arguments[index] = mixedCase(arguments[index], &random)
    default: if index > 0 { arguments[index] = Vocabulary.oddValue(&random) }
    }
  }

  private static func mixedCase(_ word: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    word.map { byte in
      let isLetter = (0x41...0x5A).contains(byte & 0xDF)
      return isLetter && random.oneIn(2) ? byte ^ 0x20 : byte
    }
  }

  /// Whether an inline request may hold it without quotes.
  private static func isPlainWord(_ word: [UInt8]) -> Bool {
    !word.isEmpty && word.count < 100
      && word.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x27 }
      && word.first.map { $0 != UInt8(ascii: "*") } ?? false
  }
}
