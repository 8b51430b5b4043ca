// SPDX-License-Identifier: Apache-2.0

import Glibc
import Settings
import Testing

/// A folder of one test's own.
final class Folder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/holdfast-settings-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    path = try #require(made)
  }

  deinit {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
          String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        unlink("\(path)/\(name)")
      }
      closedir(directory)
    }
    rmdir(path)
  }

  /// Writes a file, and returns its path.
  @discardableResult
  func file(_ name: String, _ text: String) throws -> String {
    try file(name, bytes: Array(text.utf8))
  }

  @discardableResult
  func file(_ name: String, bytes: [UInt8]) throws -> String {
    let path = "\(path)/\(name)"
    let stream = try #require(fopen(path, "w"))
    defer { fclose(stream) }
    try #require(fwrite(bytes, 1, bytes.count, stream) == bytes.count)
    return path
  }
}

/// What is needed at least.
let minimum = """
  sentinel:
    addresses: [10.0.0.1:26379]
    master: mymaster

  """

/// The settings of a file with that text.
func load(
  _ yaml: String, environment: [String: String] = [:],
  flags: [(key: String, value: String)] = []
) throws -> Settings {
  let folder = try Folder()
  let path = try folder.file("f.yaml", yaml)
  return try Settings.load(file: path, environment: environment, flags: flags)
}

/// The errors of a file with that text, its path shortened to `f.yaml`.
func problems(
  _ yaml: String, environment: [String: String] = [:],
  flags: [(key: String, value: String)] = []
) throws -> [String] {
  let folder = try Folder()
  let path = try folder.file("f.yaml", yaml)
  do {
    _ = try Settings.load(file: path, environment: environment, flags: flags)
    return []
  } catch {
    return error.problems.map { replaced(folder.path + "/", in: $0.text) }
  }
}

private func replaced(_ part: String, in text: String) -> String {
  var rest = Substring(text)
  var result = ""
  while !rest.isEmpty {
    if rest.hasPrefix(part) {
      rest = rest.dropFirst(part.count)
    } else {
      result.append(rest.removeFirst())
    }
  }
  return result
}
