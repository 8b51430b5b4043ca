// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A temporary folder that only this user can read; removed with the lab.
struct Folder: Sendable {
  let path: String

  /// `HOLDFAST_LAB_KEEP=1` leaves folders behind, to read their logs.
  static let keep = environmentValue("HOLDFAST_LAB_KEEP") == "1"

  /// Makes a new one under the system's temporary folder.
  init(_ name: String) throws {
    let base = environmentValue("TMPDIR").flatMap { $0.contains(" ") ? nil : $0 } ?? "/tmp"
    var template = Array("\(base)/holdfast-\(name)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LabError.last("mkdtemp in \(base)") }
    path = template.withUnsafeBufferPointer { buffer in
      buffer.baseAddress.map { String(cString: $0) } ?? ""
    }
    if !Self.keep { Reaper.shared?.remove(folder: path) }
  }

  /// Removes it with all its content.
  func remove() {
    guard !Self.keep, path.contains("/holdfast-") else { return }
    _ = try? ChildProcess.run("/bin/rm", ["rm", "-rf", "--", path])
  }
}

/// The value of an environment variable; nil where it is unset or empty.
func environmentValue(_ name: String) -> String? {
  guard let value = getenv(name) else { return nil }
  let text = String(cString: value)
  return text.isEmpty ? nil : text
}

/// Writes a file that only this user can read.
func writeFile(_ path: String, _ text: String) throws {
  let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
  guard file >= 0 else { throw LabError.last("open \(path)") }
  defer { close(file) }
  let bytes = Array(text.utf8)
  guard write(file, bytes, bytes.count) == bytes.count else { throw LabError.last("write \(path)") }
}

/// A whole file as text; nil where it cannot be read.
func readFile(_ path: String, limit: Int = 1 << 20) -> String? {
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { return nil }
  defer { close(file) }
  var content: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while content.count < limit {
    let count = read(file, &chunk, chunk.count)
    guard count > 0 else { break }
    content += chunk[..<count]
  }
  return String(decoding: content, as: UTF8.self)
}
