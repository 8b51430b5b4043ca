// SPDX-License-Identifier: Apache-2.0
import Glibc
import RedisLab

/// Lines with the time since the start; coloured on a terminal, plain elsewhere.
struct Terminal: Sendable {
  enum Tone: String {
    case plain = ""
    case step = "\u{1B}[36m"
    case good = "\u{1B}[32m"
    case bad = "\u{1B}[31m"
    case dim = "\u{1B}[2m"
  }

  private let start = ContinuousClock.now
  private let isColoured = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil

  /// A step, with the elapsed time before it.
  func say(_ text: String, _ tone: Tone = .plain) {
    let elapsed = seconds((ContinuousClock.now - start).inMilliseconds)
    line("\(paint("[\(padded(elapsed, 7)) s]", .dim)) \(paint(text, tone))")
  }

  /// A line as it is.
  func line(_ text: String = "") {
    let bytes = Array((text + "\n").utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
  }

  func paint(_ text: String, _ tone: Tone) -> String {
    isColoured && tone != .plain ? "\(tone.rawValue)\(text)\u{1B}[0m" : text
  }
}

/// Milliseconds as seconds with three decimals.
func seconds(_ milliseconds: Double) -> String {
  let rounded = Int(milliseconds.rounded())
  let fraction = "\(abs(rounded) % 1000)"
  let zeros = String(repeating: "0", count: 3 - fraction.count)
  return "\(rounded < 0 ? "-" : "")\(abs(rounded) / 1000).\(zeros)\(fraction)"
}

func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}
