// SPDX-License-Identifier: Apache-2.0
import Glibc
import Sessions

/// The file that keeps denials across a restart: a line for each, in hex, readable by the daemon alone.
struct DenialFile: Sendable {
  let path: String

  private static let header = "holdfast-denials 1"
  private static let bytesMax = 16 << 20

  /// What was saved; nothing where there is no such file, or where it is not of ours.
  func load() -> [PendingDenial] {
    guard let text = read(), text.hasPrefix(Self.header) else { return [] }
    return text.split(separator: "\n").dropFirst().compactMap(Self.parse)
  }

  /// Replaces the file; an error's text where that fails.
  func save(_ denials: [PendingDenial]) -> String? {
    var text = Self.header + "\n"
    for denial in denials { text += Self.line(denial) + "\n" }
    let draft = path + ".new"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return Self.failure("create", draft) }
    // Whatever the process' umask is just now.
    fchmod(descriptor, 0o600)
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard written > 0 else {
        defer { close(descriptor) }
        return Self.failure("write", draft)
      }
      bytes = bytes.dropFirst(written)
    }
    let isSynced = fsync(descriptor) == 0
    guard close(descriptor) == 0, isSynced else { return Self.failure("write", draft) }
    return rename(draft, path) == 0 ? nil : Self.failure("replace", path)
  }

  private func read() -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while bytes.count <= Self.bytesMax {
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk.prefix(count)
    }
    return nil
  }

  private static func failure(_ what: String, _ path: String) -> String {
    "cannot \(what) \(path): \(String(cString: strerror(errno)))"
  }

  // MARK: Lines

  static func line(_ denial: PendingDenial) -> String {
    let epoch = denial.epoch.map { "\(hex($0.user)):\(hex($0.former)):\(hex($0.current))" } ?? "-"
    return "\(epoch) \(denial.members.map(hex).joined(separator: " "))"
  }

  /// Nil for a line that is none of ours. A delay is over by the time of a restart, or nearly.
  static func parse(_ line: Substring) -> PendingDenial? {
    let words = line.split(separator: " ", omittingEmptySubsequences: true)
    guard let first = words.first else { return nil }
    var epoch: PendingDenial.Epoch?
    if first != "-" {
      let parts = first.split(separator: ":", omittingEmptySubsequences: false).map(bytes)
      guard parts.count == 3, let user = parts[0], let former = parts[1], let current = parts[2]
      else { return nil }
      epoch = PendingDenial.Epoch(user: user, former: former, current: current)
    }
    let members = words.dropFirst().map(bytes)
    guard !members.contains(nil) else { return nil }
    return PendingDenial(members: members.compactMap { $0 }, epoch: epoch)
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  private static func bytes(_ hex: Substring) -> [UInt8]? {
    let digits = hex.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
    let values = digits.compactMap { $0 }
    return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
  }
}
