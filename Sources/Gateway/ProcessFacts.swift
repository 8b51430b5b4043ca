// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import Proxy

extension ProcessFacts {
  private static let started = NIODeadline.now()

  /// This process, now.
  static var now: ProcessFacts {
    var facts = ProcessFacts()
    facts.id = getpid()
    facts.uptimeSeconds = (NIODeadline.now() - started).nanoseconds / 1_000_000_000
    var usage = rusage()
    if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
      facts.userSeconds = seconds(usage.ru_utime)
      facts.systemSeconds = seconds(usage.ru_stime)
    }
    facts.residentBytes = residentBytes()
    return facts
  }

  private static func seconds(_ time: timeval) -> Double {
    Double(time.tv_sec) + Double(time.tv_usec) / 1e6
  }

  /// The second word of proc_pid_statm(5), in pages.
  private static func residentBytes() -> Int64 {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
    return (words.count > 1 ? Int64(words[1]) ?? 0 : 0) * Int64(sysconf(Int32(_SC_PAGESIZE)))
  }
}
