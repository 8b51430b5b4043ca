// SPDX-License-Identifier: Apache-2.0

/// Scripts that both servers know from the start: the daemon remembers what was loaded through it,
/// and a script of an earlier sequence would be known to one side alone.
struct Script: Sendable {
  let text: String
  /// Its SHA-1.
  let digest: String

  static let all = [
    Script(text: "return 1", digest: "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
    Script(
      text: "return {KEYS[1], ARGV[1]}", digest: "d006f1a90249474274c76f5be725b8f5804a346b"),
    Script(
      text: "return redis.call('GET', KEYS[1])",
      digest: "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f"),
    Script(
      text: "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('STRLEN', KEYS[1])",
      digest: "f6c04bd90ea84dc0a419a1aa3581a6098c9f2d89"),
    Script(
      text: "return redis.call('INCR', KEYS[1])",
      digest: "61636018f4e6b5817b89791bbed242f93fa089e3"),
    Script(
      text: "return redis.error_reply('MINE of a script')",
      digest: "514be23fd240c7d9aecb807c3d77caa3ae4f37fd"),
    Script(
      text: "return {1, 2.9, 'three', {true, false}, redis.status_reply('FINE')}",
      digest: "e43a14e240667c133388210d7e72d7cab1335417"),
    Script(
      text: "redis.setresp(3) return redis.call('ZSCORE', KEYS[1], ARGV[1])",
      digest: "2d718db8993db6fa5f72026fd3bc88a78a56ee62"),
    Script(
      text: "return redis.pcall('NOSUCH', 'a')",
      digest: "586dbde245c8717d0494a342421859b802e9f2b2"),
    Script(text: "return {double = 3.5}", digest: "9201a11809adc22a7e31363449f8275630a55c6f"),
    Script(text: "return #KEYS + #ARGV", digest: "6e550ab7cf45e2ef5d2af047fbc92dd7594f4005"),
  ]
}
