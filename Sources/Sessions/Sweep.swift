// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func sweep(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    var mode = SessionSweep.Mode.repair
    var pattern = Scan.sessions(keys)
    var rate = configuration.scanKeysPerSecond
    while let option = try reader.option() {
      switch option {
      case "DRYRUN", "REMOVE":
        guard mode == .repair else { throw reader.failure("give DRYRUN or REMOVE, not both") }
        mode = option == "DRYRUN" ? .dryRun : .remove
      case "PATTERN":
        pattern = try reader.value(of: option)
        guard (1...1024).contains(pattern.count) else {
          throw reader.failure("PATTERN has 1 to 1024 bytes")
        }
      case "RATE": rate = try reader.number(of: option, in: 1...1_000_000, unit: "keys a second")
      default: throw reader.unknown("DRYRUN, REMOVE, PATTERN, RATE")
      }
    }
    return SessionSweep(self, mode: mode, scan: Scan(pattern: pattern, keysPerSecond: rate))
  }
}

/// `SESSION.SWEEP`: each batch of keys is asked for its TTLs, and those without are mended.
struct SessionSweep: SessionWork {
  enum Mode: String {
    case dryRun = "found"
    case repair = "repaired"
    case remove = "removed"
  }

  private enum Phase { case scanning, asking, mending }

  static let examplesMax = 20

  private let context: SessionContext
  private let mode: Mode
  private var scan: Scan
  private var phase = Phase.scanning
  private var batch: [[UInt8]] = []
  private var seen = CountedKeys()
  private var offenders = CountedKeys()
  private var scanned: Int64 = 0
  private var lasting: Int64 = 0
  private var mended: Int64 = 0
  private var mendingNew: Int64 = 0
  private var examples: [RESPValue] = []

  init(_ context: SessionContext, mode: Mode, scan: Scan) {
    self.context = context
    self.mode = mode
    self.scan = scan
  }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep {
    scan.next(nowMilliseconds: nowMilliseconds)
  }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    switch phase {
    case .scanning:
      guard let found = scan.take(answer) else { return .unexpected }
      batch = found
      for key in found where seen.insert(key) { scanned += 1 }
      guard !batch.isEmpty else { return goOn(nowMilliseconds) }
      phase = .asking
      return .call(StatisticsScript.lasting, keys: batch, [context.prefix], isWrite: false)
    case .asking:
      guard let places = ScriptAnswer(answer)?.rest.compactMap(\.integerValue) else {
        return .unexpected
      }
      return mend(
        places.compactMap { batch.indices.contains(Int($0) - 1) ? batch[Int($0) - 1] : nil },
        nowMilliseconds)
    case .mending:
      mended += mendingNew
      return goOn(nowMilliseconds)
    }
  }

  mutating func resumed(nowMilliseconds: Int64) -> SessionStep {
    scan.next(nowMilliseconds: nowMilliseconds)
  }

  mutating func restarted() { scan.restart() }

  private mutating func mend(_ keys: [[UInt8]], _ nowMilliseconds: Int64) -> SessionStep {
    mendingNew = 0
    for key in keys where offenders.insert(key) {
      lasting += 1
      mendingNew += 1
      if examples.count < Self.examplesMax { examples.append(.text(Self.masked(key))) }
    }
    let ttl: [UInt8]
    switch mode {
    case .dryRun: return goOn(nowMilliseconds)
    case .repair: ttl = bytes(context.configuration.idleSeconds * 1000)
    case .remove: ttl = []
    }
    guard !keys.isEmpty else { return goOn(nowMilliseconds) }
    phase = .mending
    // To those alone that still have none: what it counts is what was found.
    return .call(StatisticsScript.mend, keys: keys, [context.prefix, ttl])
  }

  private mutating func goOn(_ nowMilliseconds: Int64) -> SessionStep {
    phase = .scanning
    batch = []
    if scan.isHopeless {
      return .reply(.error("ERR SESSION.SWEEP: the master changes too often; try again later"))
    }
    guard scan.isDone else { return scan.pause(nowMilliseconds: nowMilliseconds) }
    return .reply(
      .fields([
        .init("scanned", .integer(scanned)), .init("without_ttl", .integer(lasting)),
        .init(mode == .dryRun ? "changed" : mode.rawValue, .integer(mended)),
        .init("examples", .array(examples)),
      ]))
  }

  /// A key as an operator may see it: what names the kind of key, and four letters of the rest if that
  /// leaves enough hidden.
  static func masked(_ key: [UInt8]) -> String {
    let marks = Array(":_-/".utf8)
    let end = key.lastIndex { marks.contains($0) }.map { $0 + 1 } ?? 0
    let shown = key.count - end >= 16 ? end + 4 : end
    let text = key.prefix(shown).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    return String(decoding: text, as: UTF8.self) + "****"
  }
}
