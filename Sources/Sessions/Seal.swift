// SPDX-License-Identifier: Apache-2.0
import Crypto

/// Seals a successor's id so that only who knows the old id can open it: Redis alone cannot.
enum Seal {
  private static let purpose = Array("holdfast successor 1".utf8)

  /// AES-GCM under a key derived from the old id; `nonce` has 12 random bytes. Nil only for a nonce of
  /// another length.
  static func seal(_ new: SessionID, under old: SessionID, nonce: [UInt8]) -> [UInt8]? {
    guard let nonce = try? AES.GCM.Nonce(data: nonce),
      let box = try? AES.GCM.seal(new.text, using: key(of: old), nonce: nonce),
      let combined = box.combined
    else { return nil }
    return [UInt8](combined)
  }

  /// The id within; nil if it was damaged, or sealed under another id.
  static func open(_ sealed: [UInt8], under old: SessionID) -> SessionID? {
    guard let box = try? AES.GCM.SealedBox(combined: sealed),
      let text = try? AES.GCM.open(box, using: key(of: old))
    else { return nil }
    return SessionID([UInt8](text))
  }

  private static func key(of old: SessionID) -> SymmetricKey {
    HKDF<SHA256>.deriveKey(
      inputKeyMaterial: SymmetricKey(data: old.text), info: purpose, outputByteCount: 32)
  }
}
