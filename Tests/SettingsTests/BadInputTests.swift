// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

/// Every wrong input has its exact message.
struct BadInputTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let yaml: String
    let expected: [String]

    init(_ yaml: String, _ expected: String...) {
      self.yaml = yaml
      self.expected = expected
    }

    var testDescription: String { yaml }
  }

  static let values: [Case] = [
    Case(
      "pool:\n  shards: 65\n",
      #"f.yaml:5: pool.shards: "65" is not allowed; give a whole number from 1 to 64"#),
    Case(
      "pool:\n  shards: two\n",
      #"f.yaml:5: pool.shards: "two" is not allowed; give a whole number from 1 to 64"#),
    Case(
      "pool:\n  shards: 1.5\n",
      #"f.yaml:5: pool.shards: "1.5" is not allowed; give a whole number from 1 to 64"#),
    Case(
      "pool:\n  shards:\n",
      "f.yaml:5: pool.shards: has no value; give a whole number from 1 to 64, or leave it out"),
    Case(
      "pool:\n  shards: [1]\n",
      "f.yaml:5: pool.shards: a list is not allowed; give a whole number from 1 to 64"),
    Case(
      "pool:\n  shards: {a: 1}\n",
      "f.yaml:5: pool.shards: keys below it are not allowed; give a whole number from 1 to 64"),
    Case("pool: 5\n", "f.yaml:4: pool: is a section: its keys stand indented below it"),
    Case(
      "replay: never\n", #"f.yaml:4: replay: "never" is not allowed; give standard or strict"#),
    Case(
      "log:\n  level: loud\n",
      #"f.yaml:5: log.level: "loud" is not allowed; give debug, info, notice, warning or error"#),
    Case(
      "limits:\n  requestBytes: 1 TiB\n",
      #"f.yaml:5: limits.requestBytes: "1 TiB" is not allowed; give a size from 1KiB to 512MiB, "#
        + "in bytes or with KiB, MiB or GiB"),
    Case(
      "limits:\n  requestBytes: 99999999999999999999GiB\n",
      #"f.yaml:5: limits.requestBytes: "99999999999999999999GiB" is not allowed; "#
        + "give a size from 1KiB to 512MiB, in bytes or with KiB, MiB or GiB"),
    Case(
      "listen:\n  mode: 0o999\n",
      #"f.yaml:5: listen.mode: "0o999" is not allowed; give octal permission bits from 0600 to 0777"#
    ),
    Case(
      "listen:\n  path: relative.sock\n",
      #"f.yaml:5: listen.path: "relative.sock" is not allowed; "#
        + "give an absolute path of at most 107 bytes"),
    Case(
      "listen:\n  path: /\(String(repeating: "x", count: 107))\n",
      #"f.yaml:5: listen.path: "/\#(String(repeating: "x", count: 79))…" is not allowed; "#
        + "give an absolute path of at most 107 bytes"),
    Case(
      "redis:\n  tls:\n    enabled: yes\n",
      #"f.yaml:6: redis.tls.enabled: "yes" is not allowed; give true or false"#),
    Case(
      "redis:\n  tls:\n    verify: maybe\n",
      #"f.yaml:6: redis.tls.verify: "maybe" is not allowed; give full, ca or none"#),
    Case(
      "commands:\n  open:\n    - FLUSHALL\n    - rm -rf /\n",
      #"f.yaml:7: commands.open: "rm -rf /" is not allowed; give a list of at most 64, "#
        + "each a command's name, such as FLUSHDB or CONFIG|SET"),
    Case(
      "commands:\n  open: [[A]]\n",
      "f.yaml:5: commands.open: a list with such elements is not allowed; give a list of at most "
        + "64, each a command's name, such as FLUSHDB or CONFIG|SET"),
    Case(
      "redis:\n  database: \"\\x1b[31m\"\n",
      #"f.yaml:5: redis.database: "?[31m" is not allowed; give a whole number from 0 to 65535"#),
  ]

  static let keys: [Case] = [
    Case("pol:\n  shards: 1\n", "f.yaml:4: unknown key pol; did you mean pool?"),
    Case("pool:\n  shard: 1\n", "f.yaml:5: unknown key pool.shard; did you mean pool.shards?"),
    Case(
      "pool:\n  waitMilliseconds: 1\n",
      "f.yaml:5: unknown key pool.waitMilliseconds; did you mean failover.waitMilliseconds?"),
    Case(
      "shutdown:\n  zebra: 1\n",
      "f.yaml:5: unknown key shutdown.zebra; known here are shutdown.drainMilliseconds"),
    Case("zebra: 1\n", "f.yaml:4: unknown key zebra"),
    Case(
      "pool.shards: 1\n", "f.yaml:4: unknown key pool.shards; sections are nested, not dotted"),
    Case("? [a]\n: 1\n", "f.yaml:4: a key must be a word"),
    Case("pool:\npool:\n", "f.yaml:4: given twice in this section: pool"),
    Case(
      "redis:\n  password: hunter2\n",
      "f.yaml:5: unknown key redis.password; secrets are read from files only: "
        + "write it to a file and name that in passwordFile"),
  ]

  static let together: [Case] = [
    Case(
      "redis:\n  address: 127.0.0.1:6379\n",
      "f.yaml:5: redis.address: excludes sentinel.addresses (f.yaml:2); give one of them"),
    Case("redis:\n  username: app\n", "f.yaml:5: redis.username: needs redis.passwordFile"),
    Case(
      "redis:\n  passwordFile: /nonexistent/p\n",
      "f.yaml:5: redis.passwordFile: cannot use /nonexistent/p: No such file or directory"),
    Case(
      "redis:\n  passwordFile: /tmp\n",
      "f.yaml:5: redis.passwordFile: cannot use /tmp: Is not a regular file"),
    Case(
      "redis:\n  passwordFile: /dev/null\n",
      "f.yaml:5: redis.passwordFile: cannot use /dev/null: Is not a regular file"),
    Case(
      "redis:\n  tls:\n    caFile: /nonexistent/ca\n",
      "f.yaml:6: redis.tls.caFile: has no effect; set redis.tls.enabled to true, or leave it out"),
    Case(
      "redis:\n  tls:\n    enabled: true\n    certificateFile: /nonexistent/c\n",
      "f.yaml:7: redis.tls.certificateFile: cannot use /nonexistent/c: No such file or directory",
      "f.yaml:7: redis.tls.certificateFile: needs redis.tls.keyFile"),
    Case(
      "sessions: {absoluteSeconds: 60}\n",
      "f.yaml:4: sessions.absoluteSeconds: sessions.idleSeconds (7200) is above sessions.absoluteSeconds (60)"
    ),
    Case(
      "pool:\n  sparesPerShard: 65\n",
      "f.yaml:5: pool.sparesPerShard: pool.sparesPerShard (65) is above pool.leasedPerShard (64)"),
    Case(
      "limits:\n  inFlightTotal: 10\n",
      "f.yaml:5: limits.inFlightTotal: limits.inFlightPerClient (1024) is above "
        + "limits.inFlightTotal (10)"),
    Case(
      "pool:\n  shards: 8\n",
      "limits.inFlightBytesTotal: limits.requestBytes (64MiB) is above limits.inFlightBytesTotal "
        + "(32MiB) (a shard's share of it, by pool.shards)"),
  ]

  @Test(arguments: values + keys + together)
  func message(_ case: Case) throws {
    #expect(try problems(minimum + `case`.yaml) == `case`.expected)
  }

  static let missing: [Case] = [
    Case(
      "",
      "sentinel.addresses: nothing to connect to; give the sentinels (--sentinels "
        + "HOST:PORT,HOST:PORT,HOST:PORT --master NAME), or a single Redis as redis.address"),
    Case(
      "sentinel:\n  addresses: [a:1]\n",
      "sentinel.master: missing; give the master's name as in `sentinel monitor NAME ...` "
        + "(--master NAME)"),
    Case(
      "sentinel:\n  master: m\n  addresses:\n    - a:1\n    - b\n",
      #"f.yaml:5: sentinel.addresses: "b" is not allowed; give a list of at most 64, each "#
        + "host:port, such as 10.0.0.1:26379, redis1.example.net:26379 or [fd00::1]:26379"),
    Case(
      "redis:\n  address: redis://:hunter2@10.0.0.1:6379\n",
      #"f.yaml:2: redis.address: a value with "@" (not shown, it may hold a password) is not "#
        + "allowed; give host:port, such as 10.0.0.1:6379, redis1.example.net:6379 or "
        + "[fd00::1]:6379"),
    Case("- a\n", "f.yaml:1: give sections such as `sentinel:`"),
    Case(
      "a: b: c\n", "f.yaml:1: not YAML: mapping values are not allowed in this context"),
  ]

  @Test(arguments: missing)
  func messageOfWhole(_ case: Case) throws {
    #expect(try problems(`case`.yaml) == `case`.expected)
  }

  @Test func allProblemsAreReportedTogether() throws {
    let texts = try problems(
      minimum + "pool:\n  shards: 0\n  shard: 1\nlog:\n  level: x\n",
      environment: ["HOLDFAST_POOL_SHARDS": "none", "HOLDFAST_LOG_LEVL": "info"],
      flags: [("listen.path", "x"), ("lissten.path", "/x")])
    #expect(
      texts == [
        #"f.yaml:5: pool.shards: "0" is not allowed; give a whole number from 1 to 64"#,
        "f.yaml:6: unknown key pool.shard; did you mean pool.shards?",
        #"f.yaml:8: log.level: "x" is not allowed; give debug, info, notice, warning or error"#,
        "environment variable HOLDFAST_POOL_SHARDS: pool.shards: \"none\" is not allowed; "
          + "give a whole number from 1 to 64",
        "environment variable HOLDFAST_LOG_LEVL: unknown key; did you mean HOLDFAST_LOG_LEVEL?",
        "flag --listen: listen.path: \"x\" is not allowed; "
          + "give an absolute path of at most 107 bytes",
        "flag lissten.path: unknown key; did you mean listen.path?",
      ])
  }

  @Test func secretsAreNeverShown() throws {
    let texts = try problems(
      minimum + "sentinel.password: hunter2\n",
      environment: ["HOLDFAST_REDIS_PASSWORD": "hunter2"],
      flags: [("redis.password", "hunter2"), ("redis.address", "u:hunter2@h:1")])
    #expect(texts.count == 4)
    #expect(!texts.joined().contains("hunter2"))
    #expect(texts[1].contains("secrets are read from files only"))
    #expect(texts[2].contains("secrets are read from files only"))
  }

  @Test func aSecretInBrokenYAMLIsNotShown() throws {
    let text = try problems("redis:\n  password: hunter2: x\n  {").joined()
    #expect(text.contains("f.yaml:2: not YAML"))
    #expect(!text.contains("hunter2"))
  }

  @Test func anUnreadableFileIsNamed() throws {
    let error = #expect(throws: SettingsError.self) {
      try Settings.load(
        file: "/nonexistent/h.yaml", environment: [:], flags: [])
    }
    #expect(
      error?.description
        == "/nonexistent/h.yaml: cannot read the configuration: No such file or directory")
  }

  @Test func otherVariablesOfThePrefixAreLeftAlone() throws {
    #expect(
      try problems(minimum, environment: ["HOLDFAST_SOCKET": "/x", "HOLDFAST_LAB_KEEP": "1"]) == [])
  }
}
