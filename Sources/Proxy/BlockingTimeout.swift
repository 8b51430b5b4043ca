// SPDX-License-Identifier: Apache-2.0
import RESP

/// How long a blocking command asks Redis to wait.
enum BlockingTimeout {
  /// A year is as good as any longer time, and can be added.
  private static let longestMilliseconds: Int64 = 31_536_000_000

  /// Nil where it waits for ever, or names no time that can be read.
  static func milliseconds(of name: String, _ arguments: RequestArguments) -> Int64? {
    switch name {
    case "BLMPOP", "BZMPOP": return seconds(arguments.argument(1))
    case "XREAD", "XREADGROUP":
      let option = (1..<arguments.count).first { arguments.matches($0, "BLOCK") }
      guard let option, option + 1 < arguments.count,
        let milliseconds = arguments.integer(option + 1)
      else { return nil }
      return milliseconds > 0 ? min(milliseconds, longestMilliseconds) : nil
    default: return seconds(arguments.argument(arguments.count - 1))
    }
  }

  private static func seconds(_ argument: UnsafeRawBufferPointer?) -> Int64? {
    guard let argument, let seconds = Double(String(decoding: argument, as: UTF8.self)),
      seconds > 0, seconds.isFinite
    else { return nil }
    return Int64(min(seconds * 1000, Double(longestMilliseconds)))
  }
}
