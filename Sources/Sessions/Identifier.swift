// SPDX-License-Identifier: Apache-2.0
import Crypto
// Reading a digest's bytes in place.
import FoundationEssentials

/// A session's id: 32 bytes from the system's random source, as 64 digits of lower-case hex.
///
/// It is a credential: it prints nothing of itself.
public struct SessionID: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
  /// Its text, as the cookie carries it.
  public let text: [UInt8]

  /// Nil for what Holdfast cannot have made: such an id is treated as that of no session.
  public init?(_ text: [UInt8]) {
    guard text.count == 64, text.allSatisfy(Hexadecimal.isDigit) else { return nil }
    self.text = text
  }

  /// A new one.
  public init(random: inout some RandomNumberGenerator) {
    text = Hexadecimal.random(bytes: 32, &random)
  }

  /// What Redis' keys hold of it: `h`.
  public func stored(as storage: SessionConfiguration.IDStorage) -> [UInt8] {
    switch storage {
    case .hashed: return Hexadecimal.text(SHA256.hash(data: text))
    case .plain: return text
    }
  }

  /// Nothing of the id.
  public var description: String { "SessionID" }
  /// No children: `dump` shows nothing.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// An entry of a user's index: one of Holdfast's sessions, or a framework's own key.
public enum IndexMember {
  /// Of a session by its stored id.
  public static func session(_ stored: [UInt8]) -> [UInt8] { Array("s:".utf8) + stored }

  /// The name under which operators and users see a session: no credential, since it is cut from a
  /// hash of what is stored, whichever way ids are stored. 24 hex digits; scripts make the same.
  public static func handle(of member: [UInt8]) -> String {
    String(decoding: Hexadecimal.text(Insecure.SHA1.hash(data: member)).prefix(24), as: UTF8.self)
  }
}

/// Whether two secrets are equal, in a time that depends on their lengths alone.
public func isEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
  guard left.count == right.count else { return false }
  var difference: UInt8 = 0
  for index in left.indices { difference |= left[index] ^ right[index] }
  return difference == 0
}

/// Lower-case hex.
enum Hexadecimal {
  static func isDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }

  static func text(_ digest: some Digest) -> [UInt8] { digest.withUnsafeBytes { text($0) } }

  static func text(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { text($0) } }

  private static func text(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    withUnsafeTemporaryAllocation(byteCount: 2 * bytes.count, alignment: 1) { text in
      digits.withUTF8Buffer { digits in
        for index in bytes.indices {
          text[2 * index] = digits[Int(bytes[index] >> 4)]
          text[2 * index + 1] = digits[Int(bytes[index] & 15)]
        }
      }
      return Array(text)
    }
  }

  private static let digits: StaticString = "0123456789abcdef"

  static func random(bytes count: Int, _ random: inout some RandomNumberGenerator) -> [UInt8] {
    text((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
  }
}
