// SPDX-License-Identifier: Apache-2.0

/// The version of the protocol that a connection speaks.
public enum RESPVersion: UInt8, Sendable {
  /// RESP2, what a connection speaks before `HELLO 3`.
  case two = 2
  /// RESP3, after `HELLO 3`.
  case three = 3
}

/// How much of each thing one request or one reply may hold. Values above 4 GiB count as 4 GiB.
public struct ScanLimits: Sendable {
  /// The longest body of a bulk string, in bytes.
  public var bulkBytesMax: Int
  /// The most elements of one array, set, push or map (a map's pair counts as two).
  public var elementsMax: Int
  /// The longest request, or reply with its attributes, in bytes.
  public var frameBytesMax: Int
  /// The longest inline request, simple string or other single-line value, in bytes.
  public var lineBytesMax: Int

  /// Limits as given; the defaults are Redis' own.
  public init(
    bulkBytesMax: Int = 512 << 20, elementsMax: Int = 1_048_576,
    frameBytesMax: Int = 512 << 20, lineBytesMax: Int = 65_536
  ) {
    self.bulkBytesMax = bulkBytesMax
    self.elementsMax = elementsMax
    self.frameBytesMax = frameBytesMax
    self.lineBytesMax = lineBytesMax
  }

  /// The same limits within what offsets of 32 bits can express; no sum of two can overflow.
  var clamped: ScanLimits {
    func clamp(_ value: Int) -> Int { Swift.min(value, Int(UInt32.max)) }
    return ScanLimits(
      bulkBytesMax: clamp(bulkBytesMax), elementsMax: clamp(elementsMax),
      frameBytesMax: clamp(frameBytesMax), lineBytesMax: clamp(lineBytesMax))
  }
}
