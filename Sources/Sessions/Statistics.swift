// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func login(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    let user = try reader.user(configuration)
    guard let outcome = reader.keyword(["OK", "FAIL"]) else {
      throw reader.failure("a login ends with OK or FAIL")
    }
    return SingleCall(
      StatisticsScript.login, keys: [],
      [
        prefix, user, bytes(outcome.lowercased()), nonce(&random),
        bytes(configuration.countedUsersMax), bytes(configuration.statisticsDays * 86_400_000),
        tombstone,
      ]
    ) { .map([("ok", $0[0]), ("fail", $0[1])]) }
  }

  func statistics(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    switch reader.keyword(["LOGINS", "ACTIVE", "DURATION", "USER"]) {
    case "LOGINS": return try logins(&reader)
    case "ACTIVE":
      return SingleCall(StatisticsScript.active, keys: [keys.active], [prefix], isWrite: false) {
        .map([("active", $0[0])])
      }
    case "DURATION":
      return SessionDurations(
        self,
        scan: Scan(
          pattern: Scan.sessions(keys), keysPerSecond: configuration.scanKeysPerSecond))
    case "USER":
      let user = try reader.user(configuration)
      return SingleCall(
        StatisticsScript.user, keys: [keys.index(ofUser: user)], [prefix, user], isWrite: false
      ) {
        .map([
          ("sessions", $0[0]), ("seen", $0[1]), ("logins_ok_today", $0[2]),
          ("logins_fail_today", $0[3]),
        ])
      }
    default: throw reader.failure("takes LOGINS from to, ACTIVE, DURATION, or USER uid")
    }
  }

  private func logins(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    guard let first = Day(reader.next()), let last = Day(reader.next()), first <= last,
      last.number - first.number < Day.rangeMax
    else {
      throw reader.failure(
        "LOGINS takes two days as YYYY-MM-DD, the earlier one first, at most \(Day.rangeMax) days")
    }
    let days = (first.number...last.number).map { Day(number: $0).text }
    return SingleCall(
      StatisticsScript.logins, keys: days.map { keys.logins(on: $0) }, [], isWrite: false
    ) { answer in
      .map(
        days.enumerated().map { index, day in
          let counts = ["ok", "fail", "users"].enumerated().map { place, name in
            RESPValue.Pair(key: .text(name), value: answer[index * 3 + place])
          }
          return (day, .map(counts))
        })
    }
  }
}

/// A day of the civil calendar.
struct Day: Sendable, Comparable {
  /// Days asked for at once.
  static let rangeMax = 366

  /// Days since 1970-01-01.
  let number: Int

  init(number: Int) { self.number = number }

  /// From `YYYY-MM-DD`; nil for what is no day.
  init?(_ text: [UInt8]) {
    let dash = UInt8(ascii: "-")
    guard text.count == 10, text[4] == dash, text[7] == dash else { return nil }
    let numbers = text.split(separator: dash).map { part -> Int? in
      part.allSatisfy { (0x30...0x39).contains($0) }
        ? Int(String(decoding: part, as: UTF8.self)) : nil
    }
    guard numbers.count == 3, let year = numbers[0], let month = numbers[1], let day = numbers[2],
      year >= 1970, (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    // March begins the year, so that a leap day is its last; eras of 400 years are all alike.
    let shifted = month > 2 ? year : year - 1
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let inEra = shifted % 400
    number =
      shifted / 400 * 146_097 + inEra * 365 + inEra / 4 - inEra / 100 + dayOfYear - 719_468
    // A 30th of February has become a day in March.
    guard Array(self.text.utf8) == text else { return nil }
  }

  /// `YYYY-MM-DD`.
  var text: String {
    let shifted = number + 719_468
    let inEra = shifted % 146_097
    let year = (inEra - inEra / 1460 + inEra / 36_524 - inEra / 146_096) / 365
    let inYear = inEra - (365 * year + year / 4 - year / 100)
    let month = (5 * inYear + 2) / 153
    let civil = month < 10 ? month + 3 : month - 9
    let civilYear = year + shifted / 146_097 * 400 + (civil <= 2 ? 1 : 0)
    func padded(_ value: Int, _ count: Int) -> String {
      String(repeating: "0", count: max(0, count - "\(value)".count)) + "\(value)"
    }
    return
      "\(padded(civilYear, 4))-\(padded(civil, 2))-\(padded(inYear - (153 * month + 2) / 5 + 1, 2))"
  }

  static func < (left: Day, right: Day) -> Bool { left.number < right.number }
}

/// `SESSION.STATS DURATION`: how long sessions have been in use, of a sample.
struct SessionDurations: SessionWork {
  /// It ends with so many sessions, or so many keys looked at: a client waits for it.
  static let sessionsMax = 10_000
  static let keysMax: Int64 = 50_000

  private let context: SessionContext
  private var scan: Scan
  private var seen = CountedKeys()
  private var isScanning = true
  private var durations: [Int64] = []

  init(_ context: SessionContext, scan: Scan) {
    self.context = context
    self.scan = scan
  }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep {
    scan.next(nowMilliseconds: nowMilliseconds)
  }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    if isScanning {
      guard let found = scan.take(answer) else { return .unexpected }
      let keys = found.filter { seen.insert($0) }
      guard !keys.isEmpty else { return goOn(nowMilliseconds) }
      isScanning = false
      return .call(StatisticsScript.durations, keys: keys, [context.prefix], isWrite: false)
    }
    guard let answer = ScriptAnswer(answer) else { return .unexpected }
    durations += answer.rest.compactMap(\.integerValue)
    return goOn(nowMilliseconds)
  }

  mutating func resumed(nowMilliseconds: Int64) -> SessionStep {
    scan.next(nowMilliseconds: nowMilliseconds)
  }

  mutating func restarted() { scan.restart() }

  private mutating func goOn(_ nowMilliseconds: Int64) -> SessionStep {
    isScanning = true
    if scan.isHopeless {
      return .reply(.error("ERR SESSION.STATS: the master changes too often; try again later"))
    }
    let isEnough = durations.count >= Self.sessionsMax || scan.lookedAt >= Self.keysMax
    guard scan.isDone || isEnough else { return scan.pause(nowMilliseconds: nowMilliseconds) }
    let sorted = durations.sorted()
    let mean = sorted.isEmpty ? 0 : sorted.reduce(0, +) / Int64(sorted.count)
    let extent = scan.isDone ? "all sessions that a scan met" : "a part of the sessions"
    return .reply(
      .map([
        ("count", .integer(Int64(sorted.count))), ("mean", .integer(mean)),
        ("p50", .integer(Self.percentile(50, of: sorted))),
        ("p95", .integer(Self.percentile(95, of: sorted))),
        ("sample", .text("a sample: \(extent), in ms")),
      ]))
  }

  /// The least value that so many percent do not exceed.
  static func percentile(_ percent: Int, of sorted: [Int64]) -> Int64 {
    guard !sorted.isEmpty else { return 0 }
    return sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
  }
}
