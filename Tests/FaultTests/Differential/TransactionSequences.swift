// SPDX-License-Identifier: Apache-2.0

/// `MULTI` to `EXEC` and `WATCH`, in any order, with mistakes inside; another connection changes
/// what is watched. What Holdfast refuses inside `MULTI` (`SELECT`, `HELLO`, `CLIENT`,
/// subscriptions) is left out.
enum TransactionSequences {
  static func rounds(_ random: inout SeededGenerator) -> [Round] {
    var requests = random.oneIn(2) ? [Request("HELLO", "3")] : []
    if random.oneIn(4) { requests.append(Request("SELECT", "1")) }
    let isInDatabase1 = requests.last?.word(0) == "SELECT"
    let subject = random.pick([
      DataPatterns.strings, DataPatterns.lists, DataPatterns.bits, DataPatterns.streams,
      DataPatterns.scripts,
    ])
    for _ in 0..<random.number(in: 30..<80) {
      let patterns = random.oneIn(2) ? control : subject
      requests.append(DataSequences.request(of: random.pick(patterns), &random))
    }
    var rounds = DataSequences.batches(of: requests, &random)
    for index in rounds.indices where random.oneIn(2) {
      if isInDatabase1 { rounds[index].others.append(Request("SELECT", "1")) }
      rounds[index].others.append(DataSequences.request(of: random.pick(changes), &random))
    }
    return rounds
  }

  private static let control = CommandPattern.list(
    """
    MULTI
    MULTI
    EXEC
    EXEC
    EXEC
    DISCARD
    WATCH string...
    WATCH string number list
    UNWATCH
    EXEC value
    MULTI value
    GET string
    SET string value
    RPUSH list value
    INCR string
    PING
    ECHO value
    EXPIREAT string moment
    """)

  private static let changes = CommandPattern.list(
    """
    SET string value
    SET number integer
    DEL string number list
    RPUSH list value
    GET string
    """)
}
