// SPDX-License-Identifier: Apache-2.0

/// Suggestions for misspelt names.
enum Nearest {
  /// The candidate that `name` most likely meant; `nil` when none is close.
  static func candidate(to name: String, among candidates: [String]) -> String? {
    let lowered = name.lowercased()
    let near = candidates.map { ($0, distance(lowered, $0.lowercased())) }.min { $0.1 < $1.1 }
    guard let (candidate, distance) = near, distance <= max(2, leaf(candidate).count / 3) else {
      // Right word, wrong section.
      let leaves = candidates.filter { leaf($0).lowercased() == leaf(lowered) }
      return leaves.count == 1 ? leaves.first : nil
    }
    return candidate
  }

  private static func leaf(_ path: String) -> Substring {
    path.split(separator: ".").last ?? ""
  }

  /// Levenshtein's distance: letters to insert, delete or replace.
  static func distance(_ left: String, _ right: String) -> Int {
    let right = Array(right.unicodeScalars.prefix(128))
    var row = Array(0...right.count)
    for (i, letter) in left.unicodeScalars.prefix(128).enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in right.enumerated() {
        let replaced = diagonal + (letter == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
      }
    }
    return row[right.count]
  }
}
