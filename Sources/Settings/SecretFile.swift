// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A file that holds one secret, read anew when it changed.
public final class SecretFile: Sendable {
  /// Where it is.
  public let path: String

  private struct Cached {
    let stamp: Files.Stamp
    let secret: String
  }

  private static let bytesMax = 64 * 1024
  private let cached = Mutex<Cached?>(nil)

  /// Nothing is read yet.
  public init(_ path: String) {
    self.path = path
  }

  /// The content without one trailing newline.
  ///
  /// Throws a ``SecretFileError`` when it cannot be read, is empty, over 64 KiB or not UTF-8.
  public func read() throws(SecretFileError) -> String {
    do throws(Files.Failure) {
      return try cached.withLock { cached throws(Files.Failure) in
        let stamp = try Files.stamp(path)
        if let cached, cached.stamp == stamp { return cached.secret }
        let (bytes, readStamp) = try Files.read(path, bytesMax: Self.bytesMax)
        let secret = try Self.secret(of: bytes)
        cached = Cached(stamp: readStamp, secret: secret)
        return secret
      }
    } catch {
      throw SecretFileError(path: path, reason: error.reason)
    }
  }

  private static func secret(of bytes: [UInt8]) throws(Files.Failure) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Files.Failure("Is not UTF-8")
    }
    let lineEnd = text.last?.isNewline == true ? 1 : 0
    let secret = String(text.dropLast(lineEnd))
    guard !secret.isEmpty else { throw Files.Failure("Is empty") }
    return secret
  }
}

/// Why a secret could not be read; names the file, never its content.
public struct SecretFileError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file.
  public let path: String
  /// In words, as from `strerror(3)`.
  public let reason: String

  /// Path and reason.
  public var description: String { "\(path): \(reason)" }
}
