// SPDX-License-Identifier: Apache-2.0
import CZlib

/// Data as Redis holds them: raw, or deflated.
struct StoredData: Sendable, Equatable {
  /// The bytes in Redis.
  var bytes: [UInt8]
  /// The size before compression; nil where they are raw. That is also the marker in the hash.
  var expandedBytes: Int?

  /// What cannot be unpacked.
  enum Damage: Error, Equatable {
    case notZlib
    case tooBig
  }

  /// Data compressed from `bytesMin` on, where that makes them smaller.
  init(packing data: [UInt8], from bytesMin: Int) {
    bytes = data
    guard data.count >= bytesMin, let packed = Self.compress(data), packed.count < data.count
    else { return }
    bytes = packed
    expandedBytes = data.count
  }

  /// Data as they were found.
  init(bytes: [UInt8], expandedBytes: Int?) {
    self.bytes = bytes
    self.expandedBytes = expandedBytes
  }

  /// The data. Memory is bounded by `bytesMax`, whatever the stored size says.
  func unpacked(atMost bytesMax: Int) throws(Damage) -> [UInt8] {
    guard let expandedBytes else { return bytes }
    guard expandedBytes <= bytesMax else { throw .tooBig }
    guard expandedBytes > 0 else { throw .notZlib }
    var size = uLongf(expandedBytes)
    var result = Z_OK
    let data = [UInt8](unsafeUninitializedCapacity: expandedBytes) { buffer, count in
      result = bytes.withUnsafeBufferPointer { packed in
        uncompress(buffer.baseAddress, &size, packed.baseAddress, uLong(packed.count))
      }
      count = result == Z_OK ? Int(size) : 0
    }
    guard result == Z_OK, data.count == expandedBytes else { throw .notZlib }
    return data
  }

  private static func compress(_ data: [UInt8]) -> [UInt8]? {
    let capacity = Int(compressBound(uLong(data.count)))
    var size = uLongf(capacity)
    var result = Z_OK
    let packed = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      result = data.withUnsafeBufferPointer { raw in
        compress2(buffer.baseAddress, &size, raw.baseAddress, uLong(raw.count), 6)
      }
      count = result == Z_OK ? Int(size) : 0
    }
    return result == Z_OK ? packed : nil
  }
}
