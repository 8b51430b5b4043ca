// SPDX-License-Identifier: Apache-2.0
import RESP

/// A walk over all keys in small steps at a limited rate, so that Redis is never blocked.
///
/// A cursor means nothing on another master: after a change of it the walk begins again.
struct Scan: Sendable {
  /// After so many beginnings it is given up: a walk that never gets round must end.
  static let restartsMax = 16
  private static let batchMax: Int64 = 500

  private let pattern: [UInt8]
  private let keysPerSecond: Int64
  private let batch: Int64
  private var cursor = bytes(0)
  private var isStale = false
  private var restarts = 0
  private var begunMilliseconds: Int64 = 0
  /// Keys that Redis looked at, roughly.
  private(set) var lookedAt: Int64 = 0
  /// It has been everywhere.
  private(set) var isDone = false

  init(pattern: [UInt8], keysPerSecond: Int64) {
    self.pattern = pattern
    self.keysPerSecond = max(1, keysPerSecond)
    // Ten steps a second, so that slow walks are smooth as well.
    batch = min(Self.batchMax, max(1, self.keysPerSecond / 10))
  }

  /// All native sessions under a prefix, whatever letters it has.
  static func sessions(_ keys: SessionKeys) -> [UInt8] {
    let special = Array("*?[]\\".utf8)
    return keys.prefix.flatMap { special.contains($0) ? [UInt8(ascii: "\\"), $0] : [$0] }
      + Array("session:*".utf8)
  }

  mutating func next(nowMilliseconds: Int64) -> SessionStep {
    begunMilliseconds = nowMilliseconds
    return .call(
      RedisCall(
        .command([
          Array("SCAN".utf8), cursor, Array("MATCH".utf8), pattern, Array("COUNT".utf8),
          bytes(batch),
        ]), replay: .read, isWrite: false))
  }

  /// The keys of a reply; nil for what is none.
  mutating func take(_ reply: RESPValue) -> [[UInt8]]? {
    guard let parts = reply.elements, parts.count == 2, case .bulk(let next) = parts[0],
      let elements = parts[1].elements
    else { return nil }
    lookedAt += batch
    if isStale {
      isStale = false
      cursor = bytes(0)
      lookedAt = 0
    } else {
      cursor = next
      isDone = next == bytes(0)
    }
    return elements.compactMap {
      guard case .bulk(let key) = $0 else { return nil }
      return key
    }
  }

  /// How long to wait, so that the rate is kept.
  func pause(nowMilliseconds: Int64) -> SessionStep {
    let due = begunMilliseconds + batch * 1000 / keysPerSecond
    return .pause(milliseconds: max(0, due - nowMilliseconds))
  }

  mutating func restart() {
    guard !isDone else { return }
    isStale = true
    restarts += 1
  }

  /// It began too often.
  var isHopeless: Bool { restarts > Self.restartsMax }
}

/// Which keys were counted, so that a walk that begins again counts each key once. Memory is bounded:
/// beyond the limit a key may be counted twice after a change of the master.
struct CountedKeys: Sendable {
  static let countMax = 1 << 17
  private var hashes: Set<Int> = []

  /// Whether the key was not counted yet, as far as is known.
  mutating func insert(_ key: [UInt8]) -> Bool {
    let hash = key.hashValue
    guard hashes.count < Self.countMax else { return !hashes.contains(hash) }
    return hashes.insert(hash).inserted
  }
}
