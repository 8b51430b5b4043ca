// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// Where events go.
enum JournalOutput: Sendable, Equatable {
  /// The journal, with all fields.
  case journal
  /// `<N>`-prefixed lines to standard error.
  case lines
  /// Readable lines to a terminal.
  case terminal(isColoured: Bool)

  /// By what standard error is.
  static func detected() -> JournalOutput {
    var status = stat()
    guard fstat(STDERR_FILENO, &status) == 0 else { return .lines }
    // Without journald a send succeeds and the event is gone, so being told of the journal is not enough.
    if environment("JOURNAL_STREAM") == "\(status.st_dev):\(status.st_ino)" { return .journal }
    guard isatty(STDERR_FILENO) == 1 else { return .lines }
    return .terminal(isColoured: environment("NO_COLOR") == nil && environment("TERM") != "dumb")
  }

  func write(_ event: JournalEvent) {
    switch self {
    case .journal:
      if !Self.send(event.allFields) { Self.write(event.prefixedLine) }
    case .lines: Self.write(event.prefixedLine)
    case .terminal(let isColoured):
      Self.write(event.terminalLine(time: Self.timeOfDay(), isColoured: isColoured))
    }
  }

  /// Blocks while journald is stopped.
  private static func send(_ fields: [(String, String)]) -> Bool {
    var bytes: [UInt8] = []
    var ends: [Int] = []
    for (name, value) in fields {
      bytes += Array("\(name)=\(value)".utf8)
      ends.append(bytes.count)
    }
    return bytes.withUnsafeMutableBytes { buffer in
      var start = 0
      let vectors = ends.map { end in
        defer { start = end }
        return iovec(iov_base: buffer.baseAddress?.advanced(by: start), iov_len: end - start)
      }
      return sd_journal_sendv(vectors, CInt(vectors.count)) >= 0
    }
  }

  /// Blocks while the reader does; gives up when it is gone.
  private static func write(_ line: String) {
    var rest = ArraySlice(line.utf8)
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno == EAGAIN {
        var descriptor = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&descriptor, 1, 1000) > 0 else { return }
      } else if errno != EINTR {
        return
      }
    }
  }

  private static func timeOfDay() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    localtime_r(&now.tv_sec, &parts)
    let milliseconds = now.tv_nsec / 1_000_000
    return padded(parts.tm_hour, 2) + ":" + padded(parts.tm_min, 2) + ":" + padded(parts.tm_sec, 2)
      + "." + padded(milliseconds, 3)
  }

  private static func padded(_ value: some BinaryInteger, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }
}
