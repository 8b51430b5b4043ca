// SPDX-License-Identifier: Apache-2.0

/// What the settings say about sessions.
public struct SessionConfiguration: Sendable, Equatable {
  /// How a session's id appears in Redis' keys.
  public enum IDStorage: String, Sendable, CaseIterable {
    /// As its SHA-256: a dump, `MONITOR` or the slow log hands out no live cookie.
    case hashed
    /// As it is, for sites that look for a cookie's session by hand.
    case plain
  }

  /// The database of sessions.
  public var database: Int64 = 1
  /// What all keys begin with; may be empty.
  public var prefix = ""
  /// See ``IDStorage``.
  public var idStorage = IDStorage.hashed
  /// How long a session lives without being used.
  public var idleSeconds: Int64 = 7200
  /// How long it lives at most.
  public var absoluteSeconds: Int64 = 86_400
  /// How much of the idle time must have passed before a read writes the new expiry, in percent.
  public var slidingPercent: Int64 = 5
  /// How long the old id of a regenerated session still leads to its successor.
  public var graceMilliseconds: Int64 = 5000
  /// How long destroy, regenerate and logout wait for a replica.
  public var confirmationMilliseconds: Int64 = 100
  /// How long a tombstone stays at least: longer than any request may be under way.
  public var tombstoneSeconds: Int64 = 300
  /// Data of this size or more is compressed.
  public var compressionBytesMin = 1024
  /// Largest data, before compression.
  public var dataBytesMax = 512 << 10
  /// Largest `META`.
  public var metaBytesMax = 4096
  /// Longest name of a user.
  public var userBytesMax = 256
  /// How long statistics by day are kept.
  public var statisticsDays: Int64 = 7
  /// Users counted by name a day; those beyond are counted as one.
  public var countedUsersMax = 100_000
  /// Keys a second that scans look at without `RATE`.
  public var scanKeysPerSecond: Int64 = 5000

  /// The defaults.
  public init() {}
}
