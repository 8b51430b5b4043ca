// SPDX-License-Identifier: Apache-2.0

extension Settings {
  /// Native sessions.
  public struct Sessions: Sendable, Equatable {
    /// How a session's id appears in Redis' keys.
    public enum IDStorage: String, Sendable, CaseIterable {
      /// As its SHA-256: a dump of Redis hands out no live cookie.
      case hashed
      /// As it is.
      case plain
    }

    /// Where they live, whatever a connection selected.
    public var database = 1
    /// What all their keys begin with; `nil`: nothing.
    public var prefix: String?
    /// How ids appear in keys.
    public var idStorage = IDStorage.hashed
    /// How long a session lives without being used.
    public var idleSeconds = 7200
    /// How long it lives at most.
    public var absoluteSeconds = 86_400
    /// How much of the idle time must have passed before a read writes the new expiry.
    public var slidingPercent = 5
    /// How long the old id of a regenerated session leads to its successor.
    public var graceMilliseconds = 5000
    /// How long destroy, regenerate and logout wait for a replica.
    public var confirmationMilliseconds = 100
    /// Data from this size on is compressed.
    public var compressionBytes = 1024
    /// Largest data.
    public var dataBytes = 512 << 10
    /// How long a lock is held where its taker does not say.
    public var lockMilliseconds = 10_000
    /// How long statistics of a day are kept.
    public var statisticsDays = 7
    /// Keys a second that a scan looks at.
    public var scanKeysPerSecond = 5000

    /// All defaults.
    public init() {}
  }

  /// Locks that frameworks' drivers take by themselves.
  public struct Locks: Sendable, Equatable {
    /// What such a lock ends with.
    public enum Scope: String, Sendable, CaseIterable {
      /// The process that took it.
      case process
      /// The connection that took it: for php-fpm, where a process serves one request after the other.
      case connection
    }

    /// What their keys begin with; none: they are not looked at.
    public var prefixes: [String] = []
    /// What they end with.
    public var scope = Scope.process
    /// How long a refused one is asked for again; 0: not.
    public var holdMilliseconds = 0

    /// All defaults.
    public init() {}
  }
}
