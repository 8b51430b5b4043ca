// SPDX-License-Identifier: Apache-2.0

extension Settings {
  /// A listener on the loopback, for clients that cannot use a Unix-domain socket.
  public struct TCP: Sendable, Equatable {
    /// Where it listens, on the loopback; `nil`: nowhere.
    public var address: HostPort?
    /// The file that holds the password of its clients: every local user can reach it.
    public var passwordFile: String?
    /// Whether its clients speak TLS.
    public var tls = false
    /// PEM file of the certificate chain that they are shown.
    public var certificateFile: String?
    /// PEM file of the certificate's key.
    public var keyFile: String?

    /// All defaults.
    public init() {}
  }

  /// What drivers get wrong, and is made good for keys with these prefixes.
  public struct Repairs: Sendable, Equatable {
    /// Keys whose `SET` gets a time where it has none.
    public var ttlPrefixes: [String] = []
    /// That time.
    public var ttlSeconds = 7200
    /// Keys that a late write must not bring back after `DEL`.
    public var tombstonePrefixes: [String] = []
    /// For how long.
    public var tombstoneSeconds = 30

    /// All defaults.
    public init() {}
  }
}
