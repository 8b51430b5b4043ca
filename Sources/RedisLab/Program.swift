// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Programs that this package builds.
public enum Program {
  /// One of them: beside the running program, else in this package's `.build`.
  /// - Throws: `LabError.failed`, which says how to build it.
  public static func find(_ name: String) throws -> String {
    var candidates: [String] = []
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    if count > 0 {
      let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      candidates.append("\(parent(of: own))/\(name)")
    }
    let package = parent(of: parent(of: parent(of: #filePath)))
    candidates += ["debug", "release"].map { "\(package)/.build/\($0)/\(name)" }
    guard let found = candidates.first(where: { access($0, X_OK) == 0 }) else {
      throw LabError.failed(
        "no \(name) (looked at \(candidates.joined(separator: ", "))): build it with "
          + "`swift build --product \(name)`")
    }
    return found
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return String(path[..<slash])
  }
}
