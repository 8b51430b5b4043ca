// SPDX-License-Identifier: Apache-2.0

/// One key: everything that parsing, variable names, error texts and the reference need to know.
struct Key: Sendable {
  /// Sections and name, joined by dots.
  let path: String
  /// `nil` for plain numbers, words and lists.
  let unit: String?
  /// What it is for.
  let doc: String
  /// Completes "give …".
  let allowed: String
  let isList: Bool
  /// Sets the value; returns the index of the text that does not fit, `nil` when all is well.
  let assign: @Sendable (_ texts: [String], inout Settings) -> Int?
  /// The value as ``assign`` reads it; `nil` where there is none.
  let text: @Sendable (Settings) -> String?

  /// `HOLDFAST_` and the path in upper snake case.
  var variable: String { KeyTable.variable(of: path) }

  /// The command-line option as people type it.
  var flag: String { KeyTable.shortFlags[path] ?? path }
}

/// A place in a structure that any thread may name.
typealias Target<Root, Value> = any WritableKeyPath<Root, Value> & Sendable

/// A key within its section.
struct Field<Section>: Sendable {
  let name: String
  let make: @Sendable (_ section: String, Target<Settings, Section>) -> Key

  init<Value>(
    _ name: String, _ target: Target<Section, Value>, _ format: Format<Value>,
    unit: String? = nil, _ doc: String
  ) {
    self.name = name
    self.make = { section, base in
      Key(
        path: section.isEmpty ? name : "\(section).\(name)", unit: unit, doc: doc,
        allowed: format.allowed, isList: format.isList,
        assign: { texts, settings in
          switch format.parse(texts) {
          case .wrong(let index): return index
          case .value(let value):
            settings[keyPath: base][keyPath: target] = value
            return nil
          }
        },
        text: { format.text($0[keyPath: base][keyPath: target]) })
    }
  }
}

/// The one list of keys. Defaults are the initial values in ``Settings``.
enum KeyTable {
  static let all: [Key] =
    section("listen", \.listen, listen) + section("tcp", \.tcp, tcp)
    + section("sentinel", \.sentinel, sentinel) + section("sentinel.tls", \.sentinel.tls, tls)
    + section("redis", \.redis, redis) + section("redis.tls", \.redis.tls, tls)
    + section("pool", \.pool, pool)
    + section("failover", \.failover, failover)
    + section("", \.self, [replay])
    + section("durability", \.durability, durability)
    + section("sessions", \.sessions, sessions)
    + section("locks", \.locks, locks) + section("repairs", \.repairs, repairs)
    + section("limits", \.limits, limits)
    + section("commands", \.commands, commands)
    + section("access", \.access, access) + section("metrics", \.metrics, metrics)
    + section("shutdown", \.shutdown, shutdown)
    + section("log", \.log, log)

  static let byPath: [String: Key] = Dictionary(
    all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })

  /// The paths of all sections, `sentinel.tls` among them.
  static let sections: Set<String> = Set(
    all.flatMap { key -> [String] in
      let parts = key.path.split(separator: ".").dropLast()
      return parts.indices.map { parts[...$0].joined(separator: ".") }
    })

  /// Options of the command line that stand for a key.
  static let shortFlags = [
    "listen.path": "--listen", "sentinel.addresses": "--sentinels", "sentinel.master": "--master",
  ]

  static func variable(of path: String) -> String {
    path.unicodeScalars.reduce(into: "HOLDFAST_") { name, scalar in
      switch scalar {
      case ".": name += "_"
      case "A"..."Z": name += "_\(scalar)"
      default: name += String(scalar).uppercased()
      }
    }
  }

  private static func section<Section>(
    _ name: String, _ base: Target<Settings, Section>, _ fields: [Field<Section>]
  ) -> [Key] {
    fields.map { $0.make(name, base) }
  }
}

extension KeyTable {
  private static let kibibyte = 1 << 10
  private static let mebibyte = 1 << 20
  private static let gibibyte = 1 << 30

  private static let listen: [Field<Settings.Listen>] = [
    Field("path", \.path, .path(bytesMax: 107), "the socket that apps connect to"),
    Field("mode", \.mode, .mode, "the socket's permission bits"),
    Field("group", \.group, .optional(.word("a group's name", bytesMax: 32)), "the socket's group"),
    Field(
      "backlog", \.backlog, .integer(1...65535), unit: "connections",
      "connections that may wait to be accepted"),
    Field("passwordFile", \.passwordFile, .optional(.path()), "file with its clients' password"),
  ]

  private static let tcp: [Field<Settings.TCP>] = [
    Field("address", \.address, .optional(.loopback), "where clients without Unix sockets connect"),
    Field("passwordFile", \.passwordFile, .optional(.path()), "file with its clients' password"),
    Field("tls", \.tls, .flag, "whether its clients speak TLS"),
    Field(
      "certificateFile", \.certificateFile, .optional(.path()),
      "the certificate chain it shows, PEM"),
    Field("keyFile", \.keyFile, .optional(.path()), "the certificate's key, PEM"),
  ]

  private static let sentinel: [Field<Settings.Sentinel>] = [
    Field("addresses", \.addresses, .list(of: .address(port: 26379)), "sentinels to begin with"),
    Field("master", \.master, .word("the name in `sentinel monitor`"), "the master's name"),
    Field(
      "username", \.username, .optional(.word("an ACL user's name")), "ACL user at the sentinels"),
    Field("passwordFile", \.passwordFile, .optional(.path()), "file with the sentinels' password"),
    Field(
      "connectTimeoutMilliseconds", \.connectTimeoutMilliseconds, .integer(10...60_000),
      unit: "milliseconds", "how long to connect may take"),
    Field(
      "queryTimeoutMilliseconds", \.queryTimeoutMilliseconds, .integer(10...60_000),
      unit: "milliseconds", "how long an answer may take"),
    Field(
      "pollMilliseconds", \.pollMilliseconds, .integer(100...60_000), unit: "milliseconds",
      "the pause between queries while nothing happens"),
  ]

  private static let redis: [Field<Settings.Redis>] = [
    Field(
      "address", \.address, .optional(.address(port: 6379)),
      "a single fixed Redis, instead of Sentinel"),
    Field(
      "database", \.database, .integer(0...65535), "the database of connections without SELECT"),
    Field("username", \.username, .optional(.word("an ACL user's name")), "ACL user at Redis"),
    Field("passwordFile", \.passwordFile, .optional(.path()), "file with Redis' password"),
    Field(
      "connectTimeoutMilliseconds", \.connectTimeoutMilliseconds, .integer(10...60_000),
      unit: "milliseconds", "how long to connect may take, authentication included"),
    Field(
      "commandTimeoutMilliseconds", \.commandTimeoutMilliseconds, .integer(100...600_000),
      unit: "milliseconds", "how long a reply may take"),
  ]

  private static let tls: [Field<Settings.TLS>] = [
    Field("enabled", \.enabled, .flag, "whether TLS is used"),
    Field("caFile", \.caFile, .optional(.path()), "authorities to trust, PEM"),
    Field(
      "certificateFile", \.certificateFile, .optional(.path()), "client certificate chain, PEM"),
    Field("keyFile", \.keyFile, .optional(.path()), "the client certificate's key, PEM"),
    Field(
      "serverName", \.serverName, .optional(.word("a host name", bytesMax: 253)),
      "the name that certificates must carry"),
    Field("verify", \.verify, .choice, "what of the server's certificate is checked"),
  ]

  private static let pool: [Field<Settings.Pool>] = [
    Field("shards", \.shards, .integer(1...64), unit: "event loops", "event loops"),
    Field(
      "linksPerShard", \.linksPerShard, .integer(1...64), unit: "connections",
      "shared connections per shard and database"),
    Field(
      "sparesPerShard", \.sparesPerShard, .integer(0...256), unit: "connections",
      "idle connections kept ready"),
    Field(
      "leasedPerShard", \.leasedPerShard, .integer(1...4096), unit: "connections",
      "the most connections leased at a time"),
    Field(
      "checkIdleMilliseconds", \.checkIdleMilliseconds, .integer(100...600_000),
      unit: "milliseconds", "when an idle connection is checked"),
  ]

  private static let failover: [Field<Settings.Failover>] = [
    Field(
      "waitMilliseconds", \.waitMilliseconds, .integer(0...600_000), unit: "milliseconds",
      "how long a request waits for a master"),
    Field("earlyCutOver", \.earlyCutOver, .choice, "which promotions are followed at once"),
    Field(
      "provisionalMilliseconds", \.provisionalMilliseconds, .integer(100...60_000),
      unit: "milliseconds", "how long a promotion is followed without a sentinel's word"),
  ]

  private static let durability: [Field<Settings.Durability>] = [
    Field("mode", \.mode, .choice, "when a write is acknowledged"),
    Field(
      "replicas", \.replicas, .allOr(1...1_000),
      "replicas that must have a write: all that can be promoted, or so many"),
    Field(
      "timeoutMilliseconds", \.timeoutMilliseconds, .integer(1...600_000), unit: "milliseconds",
      "how long replicas may take"),
  ]

  private static let replay: Field<Settings> =
    Field("replay", \.replay, .choice, "which commands are sent again")

  private static let sessions: [Field<Settings.Sessions>] = [
    Field("database", \.database, .integer(0...1_000_000), "where native sessions live"),
    Field(
      "prefix", \.prefix, .optional(.word("a prefix", bytesMax: 64)),
      "what all keys of native sessions begin with"),
    Field("idStorage", \.idStorage, .choice, "how ids appear in Redis' keys"),
    Field(
      "idleSeconds", \.idleSeconds, .integer(1...31_536_000), unit: "seconds",
      "how long a session lives without being used"),
    Field(
      "absoluteSeconds", \.absoluteSeconds, .integer(1...315_360_000), unit: "seconds",
      "how long a session lives at most"),
    Field(
      "slidingPercent", \.slidingPercent, .integer(0...50), unit: "percent of the idle time",
      "what must have passed before a read writes the new expiry"),
    Field(
      "graceMilliseconds", \.graceMilliseconds, .integer(0...60_000), unit: "milliseconds",
      "how long the old id of a regenerated session leads to its successor"),
    Field(
      "confirmationMilliseconds", \.confirmationMilliseconds, .integer(0...10_000),
      unit: "milliseconds", "how long destroy, regenerate and logout wait for a replica"),
    Field(
      "compressionBytes", \.compressionBytes, .bytes(1...gibibyte), unit: "bytes",
      "data from this size on is compressed"),
    Field(
      "dataBytes", \.dataBytes, .bytes(1...64 * mebibyte), unit: "bytes",
      "the size of one session's data"),
    Field(
      "lockMilliseconds", \.lockMilliseconds, .integer(100...3_600_000), unit: "milliseconds",
      "how long a lock is held where its taker does not say"),
    Field(
      "statisticsDays", \.statisticsDays, .integer(1...366), unit: "days",
      "how long the statistics of a day are kept"),
    Field(
      "scanKeysPerSecond", \.scanKeysPerSecond, .integer(1...1_000_000), unit: "keys a second",
      "what scans look at"),
  ]

  private static let locks: [Field<Settings.Locks>] = [
    Field(
      "prefixes", \.prefixes, .list(of: .word("a prefix", bytesMax: 64)),
      "keys that frameworks' drivers lock by themselves"),
    Field("scope", \.scope, .choice, "what such a lock ends with"),
    Field(
      "holdMilliseconds", \.holdMilliseconds, .integer(0...60_000), unit: "milliseconds",
      "how long a refused one is asked for again"),
  ]

  private static let repairs: [Field<Settings.Repairs>] = [
    Field(
      "ttlPrefixes", \.ttlPrefixes, .list(of: .word("a prefix", bytesMax: 64)),
      "keys whose SET gets a time where it has none"),
    Field(
      "ttlSeconds", \.ttlSeconds, .integer(1...31_536_000), unit: "seconds", "that time"),
    Field(
      "tombstonePrefixes", \.tombstonePrefixes, .list(of: .word("a prefix", bytesMax: 64)),
      "keys that a late write must not bring back after DEL"),
    Field(
      "tombstoneSeconds", \.tombstoneSeconds, .integer(1...3_600), unit: "seconds",
      "how long it must not"),
  ]

  private static let limits: [Field<Settings.Limits>] = [
    Field(
      "clients", \.clients, .integer(1...1_000_000), unit: "connections", "app connections"),
    Field(
      "requestBytes", \.requestBytes, .bytes(kibibyte...512 * mebibyte), unit: "bytes",
      "the size of one request"),
    Field(
      "requestArguments", \.requestArguments, .integer(1...1_048_576), unit: "arguments",
      "the arguments of one request"),
    Field(
      "inFlightPerClient", \.inFlightPerClient, .integer(1...1_000_000), unit: "requests",
      "unanswered requests of one client"),
    Field(
      "inFlightBytesPerClient", \.inFlightBytesPerClient, .bytes(kibibyte...4 * gibibyte),
      unit: "bytes", "bytes of one client's unanswered requests"),
    Field(
      "inFlightTotal", \.inFlightTotal, .integer(1...10_000_000), unit: "requests",
      "unanswered requests of all clients"),
    Field(
      "inFlightBytesTotal", \.inFlightBytesTotal, .bytes(kibibyte...64 * gibibyte), unit: "bytes",
      "bytes of all clients' unanswered requests"),
    Field(
      "outputBytesPerClient", \.outputBytesPerClient, .bytes(kibibyte...4 * gibibyte),
      unit: "bytes", "replies that one client has not read"),
    Field(
      "outputBytesTotal", \.outputBytesTotal, .bytes(kibibyte...64 * gibibyte), unit: "bytes",
      "replies that all clients together have not read"),
    Field(
      "idleClientSeconds", \.idleClientSeconds, .integer(0...2_592_000), unit: "seconds",
      "when an idle client is disconnected; 0: never"),
  ]

  private static let commands: [Field<Settings.Commands>] = [
    Field("profile", \.profile, .choice, "how much is let through"),
    Field("open", \.open, .list(of: .command), "refused commands that are let through"),
    Field("keysMax", \.keysMax, .integer(0...1_000_000), unit: "keys", "the most KEYS returns"),
    Field(
      "keyspaceEvents", \.keyspaceEvents, .flag, "whether apps may set notify-keyspace-events"),
  ]

  private static let access: [Field<Settings.Access>] = [
    Field(
      "adminGroup", \.adminGroup, .optional(.word("a group's name", bytesMax: 32)),
      "whose members may administer"),
    Field("rules", \.rules, .list(of: .accessRule), "what the clients of some users may do"),
  ]

  private static let metrics: [Field<Settings.Metrics>] = [
    Field(
      "listen", \.listen, .optional(.metricsAddress), "where Prometheus finds the daemon's figures")
  ]

  private static let shutdown: [Field<Settings.Shutdown>] = [
    Field(
      "drainMilliseconds", \.drainMilliseconds, .integer(0...600_000), unit: "milliseconds",
      "how long requests in flight may take to finish")
  ]

  private static let log: [Field<Settings.Log>] = [
    Field("level", \.level, .choice, "the least important level that is logged")
  ]
}

/// What is to be known of a key, for documentation and for the command line.
public struct KeyReference: Sendable, Equatable {
  /// Sections and name, joined by dots.
  public let path: String
  /// The environment variable that overrides it.
  public let variable: String
  /// As in a file; `nil` where there is no default.
  public let defaultText: String?
  /// `nil` where it has none.
  public let unit: String?
  /// Completes "give …".
  public let allowed: String
  /// What it is for.
  public let doc: String
}

extension Settings {
  /// Every key.
  public static var reference: [KeyReference] {
    let defaults = Settings()
    return KeyTable.all.map { key in
      KeyReference(
        path: key.path, variable: key.variable, defaultText: key.text(defaults), unit: key.unit,
        allowed: key.allowed, doc: key.doc)
    }
  }
}
