// SPDX-License-Identifier: Apache-2.0

/// Waits that grow with failures, with jitter so that hosts do not return in step.
enum Backoff {
  /// 100 ms doubled per failure up to `max`, of which a random half to the whole.
  static func milliseconds(failures: Int, max: Int64) -> Int64 {
    let full = min(max, 100 << Int64(min(failures, 16)))
    return Int64.random(in: (full / 2)...full)
  }

  /// Plus or minus 20 %.
  static func jittered(_ milliseconds: Int64) -> Int64 {
    let spread = milliseconds / 5
    return milliseconds + Int64.random(in: -spread...spread)
  }
}
