// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What went wrong in the lab.
public enum LabError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Nothing came within the time given; the text says what was waited for.
  case timeout(String)
  /// The other side closed the connection, or it was cut.
  case closed(String)
  /// A call to the system failed.
  case system(call: String, errno: Int32)
  /// Anything else, in words.
  case failed(String)

  /// The error in words, with what to do where that is known.
  public var description: String {
    switch self {
    case .timeout(let what): "timed out: \(what)"
    case .closed(let what): "connection closed: \(what)"
    case .system(let call, let number): "\(call): \(String(cString: strerror(number)))"
    case .failed(let what): what
    }
  }

  /// The last system error of this thread.
  static func last(_ call: String) -> LabError { .system(call: call, errno: errno) }
}
