// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address is the IPv4 address.
struct Address: Sendable, Equatable {
  /// 4 or 16 bytes, in network order.
  let bytes: [UInt8]
  /// Whether it was written as an IPv4-mapped one.
  fileprivate let wasMapped: Bool

  /// Nil for what is no address; zones and names are none.
  init?(_ text: some Collection<UInt8>) {
    // 45 is the longest text of an IPv6 address; a NUL would cut the text short for C.
    guard (2...45).contains(text.count), !text.contains(0) else { return nil }
    let name = String(decoding: text, as: UTF8.self)
    if let four = Self.read(name, AF_INET, count: 4) {
      bytes = four
      wasMapped = false
    } else if let sixteen = Self.read(name, AF_INET6, count: 16) {
      wasMapped = sixteen.starts(with: Self.mappedPrefix)
      bytes = wasMapped ? Array(sixteen.dropFirst(12)) : sixteen
    } else {
      return nil
    }
  }

  fileprivate init(bytes: [UInt8]) {
    self.bytes = bytes
    wasMapped = false
  }

  /// The address in hex, as the scripts compare it.
  var hexadecimal: [UInt8] { Hexadecimal.text(bytes) }

  /// The address in its usual spelling.
  var text: String {
    var buffer = [CChar](repeating: 0, count: 46)
    let family = bytes.count == 4 ? AF_INET : AF_INET6
    guard inet_ntop(family, bytes, &buffer, socklen_t(buffer.count)) != nil else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static let mappedPrefix = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]

  private static func read(_ text: String, _ family: Int32, count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    return inet_pton(family, text, &bytes) == 1 ? bytes : nil
  }
}

/// A network: an address and how many of its bits count.
struct Network: Sendable, Equatable {
  /// The address with all other bits zero.
  let address: Address
  /// 0 to 32, or 0 to 128.
  let bits: Int

  /// From `address` or `address/length`; nil for anything else.
  init?(_ text: [UInt8]) {
    let parts = text.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count <= 2, let address = Address(parts[0]) else { return nil }
    var bits = address.bytes.count * 8
    if parts.count == 2 {
      guard (1...3).contains(parts[1].count), parts[1].allSatisfy({ (0x30...0x39).contains($0) }),
        var length = Int(String(decoding: parts[1], as: UTF8.self))
      else { return nil }
      // A mapped address counts its length from the 96 bits in front of the IPv4 address.
      if address.wasMapped { length -= 96 }
      guard (0...bits).contains(length) else { return nil }
      bits = length
    }
    self.bits = bits
    self.address = Address(
      bytes: address.bytes.enumerated().map { index, byte in
        let kept = min(8, max(0, bits - index * 8))
        return byte & UInt8(truncatingIfNeeded: 0xFF00 >> kept)
      })
  }

  /// Whether it holds an address. The scripts decide the same way, in one step with the read.
  func contains(_ other: Address) -> Bool {
    guard address.bytes.count == other.bytes.count else { return false }
    return zip(address.bytes, other.bytes).enumerated().allSatisfy { index, pair in
      let kept = min(8, max(0, bits - index * 8))
      return (pair.0 ^ pair.1) & UInt8(truncatingIfNeeded: 0xFF00 >> kept) == 0
    }
  }

  /// `address/length`.
  var text: String { "\(address.text)/\(bits)" }
}

/// A session's binding to where it may be used from.
struct Binding: Sendable, Equatable {
  /// What a mismatch does.
  enum Mode: String, Sendable {
    case enforce = "ENFORCE"
    case report = "REPORT"
  }

  var network: Network
  var mode: Mode

  /// Network in hex, bits, mode, readable text: as the scripts take them.
  static func scriptArguments(_ binding: Binding?) -> [[UInt8]] {
    guard let binding else { return [[], [], [], []] }
    return [
      binding.network.address.hexadecimal, bytes(binding.network.bits),
      bytes(binding.mode.rawValue), bytes(binding.network.text),
    ]
  }
}

/// The text of a value as bytes.
func bytes(_ value: some CustomStringConvertible) -> [UInt8] { Array(value.description.utf8) }
