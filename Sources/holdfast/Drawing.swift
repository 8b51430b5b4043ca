// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP

/// How a text stands out.
enum Tone: String {
  case good = "32"
  case warning = "33"
  case bad = "31"
  case dim = "2"
  case strong = "1"
}

/// Draws for a terminal, or plainly for a file.
struct Drawing {
  var isColoured = false

  /// Colours where standard output is a terminal that wants them.
  static var forOutput: Drawing {
    let isPlain = getenv("NO_COLOR") != nil || getenv("TERM").map { String(cString: $0) } == "dumb"
    return Drawing(isColoured: isatty(STDOUT_FILENO) == 1 && !isPlain)
  }

  func paint(_ text: String, _ tone: Tone?) -> String {
    guard isColoured, let tone else { return text }
    return "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m"
  }

  /// Rows in columns as wide as they must be; the first row is the heading.
  func table(_ rows: [[String]], indent: String = "  ") -> String {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in
      rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.enumerated().map { index, row in
      let cells = row.enumerated().map { column, cell in
        column == row.count - 1 ? cell : padded(cell, widths[column])
      }
      let line = indent + cells.joined(separator: "  ")
      return paint(line, index == 0 ? .dim : nil) + "\n"
    }.joined()
  }

  func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}

/// What others sent must neither begin a line nor steer a terminal.
func clean(_ text: String) -> String {
  String(
    String.UnicodeScalarView(
      text.unicodeScalars.map { $0.value < 0x20 || 0x7f..<0xa0 ~= $0.value ? " " : $0 }))
}

/// `1 day 3 h`, `4 min 2 s`, `0.25 s`.
func duration(milliseconds: Int64) -> String {
  let seconds = milliseconds / 1000
  switch seconds {
  case ..<1: return "\(milliseconds) ms"
  case ..<60: return "\(seconds).\(milliseconds % 1000 / 100) s"
  case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
  case ..<86_400: return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
  default: return "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
  }
}

/// `1.2 MiB`.
func size(bytes: Int64) -> String {
  var value = Double(bytes)
  for unit in ["B", "KiB", "MiB", "GiB"] {
    if value < 1024 || unit == "GiB" {
      let tenths = Int64((value * 10).rounded())
      return unit == "B" ? "\(bytes) B" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }
    value /= 1024
  }
  return "\(bytes) B"
}

/// Names and values of an answer, read without fuss: what is not there is empty.
struct Fields {
  private let values: [String: RESPValue]

  init(_ value: RESPValue) { values = value.dictionary ?? [:] }

  subscript(_ name: String) -> RESPValue { values[name] ?? .null }

  func text(_ name: String) -> String {
    switch self[name] {
    case .integer(let number): return "\(number)"
    case .boolean(let isTrue): return isTrue ? "yes" : "no"
    case .null: return "-"
    case let value: return clean(value.text ?? "")
    }
  }

  func number(_ name: String) -> Int64 { self[name].integerValue ?? 0 }

  func isTrue(_ name: String) -> Bool { self[name] == .boolean(true) }

  func isNull(_ name: String) -> Bool { self[name] == .null }

  func list(_ name: String) -> [Fields] { (self[name].elements ?? []).map { Fields($0) } }
}
