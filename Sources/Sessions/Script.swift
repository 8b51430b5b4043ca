// SPDX-License-Identifier: Apache-2.0
import Crypto
import RESP

/// A Lua script that Redis runs, atomically.
public final class Script: Sendable, Hashable {
  /// What it does, for errors and help.
  public let name: String
  /// Its text.
  public let source: String
  /// The SHA-1 of its text in lower-case hex, as `EVALSHA` names it.
  public let digest: String
  /// `EVALSHA` and the digest, as a request has them behind its count.
  public let call: [UInt8]

  /// A script with this text.
  public init(_ name: String, _ source: String) {
    self.name = name
    self.source = source
    // Redis' own way to name scripts (`eval.c`, `sha1hex`); nothing secret hangs on it.
    digest = String(
      decoding: Hexadecimal.text(Insecure.SHA1.hash(data: Array(source.utf8))), as: UTF8.self)
    var call: [UInt8] = []
    call.writeBulk("EVALSHA")
    call.writeBulk(digest)
    self.call = call
  }

  /// Two are the same if their texts are.
  public static func == (left: Script, right: Script) -> Bool { left.digest == right.digest }

  /// By the digest alone.
  public func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}
