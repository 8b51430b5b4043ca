// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// Tells the service manager how the daemon is; does nothing where none listens (`NOTIFY_SOCKET` unset).
public enum Notify {
  /// Serving, or serving again after ``reloading()``.
  public static func ready(status: String) { send("READY=1\nSTATUS=\(line(status))") }

  /// One line for `systemctl status`.
  public static func status(_ text: String) { send("STATUS=\(line(text))") }

  /// The graceful stop has begun.
  public static func stopping() { send("STOPPING=1") }

  /// A reload has begun; always followed by ``ready(status:)``, also when it is refused.
  public static func reloading() {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000
    send("RELOADING=1\nMONOTONIC_USEC=\(microseconds)")
  }

  /// Still alive.
  public static func watchdog() { send("WATCHDOG=1") }

  /// Within which time ``watchdog()`` is expected, again and again; `nil`: not at all.
  public static var watchdogMicroseconds: UInt64? {
    var microseconds: UInt64 = 0
    return sd_watchdog_enabled(0, &microseconds) > 0 ? microseconds : nil
  }

  private static func send(_ state: String) { _ = sd_notify(0, state) }

  /// A line end would begin another assignment.
  private static func line(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }
}
