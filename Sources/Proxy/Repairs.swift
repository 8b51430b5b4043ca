// SPDX-License-Identifier: Apache-2.0
import RESP

/// What drivers get wrong and the daemon makes good, for keys with given prefixes.
///
/// A repaired command travels as another one: `SET` with a time, or `EVAL` of one of two scripts.
public struct Repairs: Sendable, Equatable {
  /// Keys whose plain `SET` gets a time, and that time in seconds.
  public var ttlPrefixes: [[UInt8]] = []
  /// A session without a TTL lives for ever.
  public var ttlSeconds: Int64 = 0
  /// Keys that a late write must not bring back after `DEL` or `UNLINK`, and for how long, in seconds.
  public var tombstonePrefixes: [[UInt8]] = []
  /// A slow request writes its session long after the logout.
  public var tombstoneSeconds: Int64 = 0

  /// Nothing is repaired.
  public init() {}

  /// What a deleted key's mark is called, before the key. In Redis, so that it holds for all hosts; not behind the key,
  /// so that nobody who looks for sessions by their prefix finds it.
  static let markPrefix = Array("holdfast:deleted:".utf8)

  /// `DEL` or `UNLINK`, and a mark for each key that wants one.
  static let deletion = Array(
    """
    local keys, count = tonumber(ARGV[2]), 0
    for i = keys + 1, #KEYS do redis.call('SET', KEYS[i], '', 'PX', ARGV[3]) end
    for i = 1, keys do count = count + redis.call(ARGV[1], KEYS[i]) end
    return count
    """.utf8)

  /// A write that is answered as if done where the key is marked. `ARGV[1]` says how.
  static let write = Array(
    """
    if redis.call('EXISTS', KEYS[2]) == 0 then
      return redis.call(ARGV[2], KEYS[1], unpack(ARGV, 3))
    end
    if ARGV[1] == 'OK' then return redis.status_reply('OK') end
    return 0
    """.utf8)

  /// Lua's `unpack` takes some thousands; no driver writes a session in as many parts.
  private static let argumentsMax = 4_000

  /// Whether a script is one of these two: both repeat their effect.
  static func isSettling(_ source: UnsafeRawBufferPointer) -> Bool {
    source.elementsEqual(deletion) || source.elementsEqual(write)
  }

  /// The command that travels instead of this one; nil: it is right as it is.
  func repaired(_ name: String, _ arguments: RequestArguments) -> [UInt8]? {
    guard let key = arguments.argument(1) else { return nil }
    switch name {
    case "DEL", "UNLINK": return deletion(name, arguments)
    case "SET":
      guard arguments.count >= 3, let words = plainSet(arguments, key) else { return nil }
      if isMarked(key) { return write("OK", key, words) }
      guard words.count > arguments.count else { return nil }
      var command: [UInt8] = []
      command.writeCommand(words)
      return command
    case "SETEX" where arguments.count == 4, "PSETEX" where arguments.count == 4,
      "HMSET" where arguments.count >= 4:
      return isMarked(key) ? write("OK", key, words(arguments)) : nil
    case "HSET" where arguments.count >= 4:
      return isMarked(key) ? write("0", key, words(arguments)) : nil
    default: return nil
    }
  }

  private func words(_ arguments: RequestArguments) -> [[UInt8]] {
    (0..<arguments.count).map { Array(arguments[$0]) }
  }

  private func isMarked(_ key: UnsafeRawBufferPointer) -> Bool {
    tombstonePrefixes.contains { key.starts(with: $0) }
  }

  /// The words of a `SET` without a condition, with a time if it has none; nil: it is another one. Who sets a
  /// condition, or asks for what was there, wants a true answer.
  private func plainSet(
    _ arguments: RequestArguments, _ key: UnsafeRawBufferPointer
  ) -> [[UInt8]]? {
    var hasTime = false
    var index = 3
    while index < arguments.count {
      if arguments.matches(index, "KEEPTTL") {
        hasTime = true
        index += 1
      } else if arguments.matches(index, "EX") || arguments.matches(index, "PX")
        || arguments.matches(index, "EXAT") || arguments.matches(index, "PXAT")
      {
        hasTime = true
        index += 2
      } else {
        return nil
      }
    }
    let words = words(arguments)
    guard !hasTime, ttlPrefixes.contains(where: { key.starts(with: $0) }) else { return words }
    return words + [Array("EX".utf8), Array("\(ttlSeconds)".utf8)]
  }

  private func write(
    _ answer: String, _ key: UnsafeRawBufferPointer, _ words: [[UInt8]]
  ) -> [UInt8]? {
    guard words.count <= Self.argumentsMax else { return nil }
    var command: [UInt8] = []
    command.writeCommand(
      [
        Array("EVAL".utf8), Self.write, Array("2".utf8), Array(key), Self.markPrefix + Array(key),
        Array(answer.utf8), words[0],
      ] + words[2...])
    return command
  }

  private func deletion(_ name: String, _ arguments: RequestArguments) -> [UInt8]? {
    let keys = (1..<arguments.count).map { Array(arguments[$0]) }
    let marks = keys.filter { key in tombstonePrefixes.contains { key.starts(with: $0) } }
      .map { Self.markPrefix + $0 }
    guard !marks.isEmpty else { return nil }
    var command: [UInt8] = []
    command.writeCommand(
      [Array("EVAL".utf8), Self.deletion, Array("\(keys.count + marks.count)".utf8)] + keys + marks
        + [name, "\(keys.count)", "\(tombstoneSeconds * 1000)"].map { Array($0.utf8) })
    return command
  }
}
