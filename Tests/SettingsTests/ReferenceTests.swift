// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Settings

/// The table of keys, and the configuration file that is shipped.
struct ReferenceTests {
  /// The shipped file with each key's line uncommented, and what stands above each key.
  private struct Shipped {
    var text = ""
    /// By path: the key's value there, and the comment above it.
    var keys: [String: (value: String, comment: String)] = [:]

    init() throws {
      let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
      let bytes = try Files.read("/\(root)/config/holdfastd.yaml", bytesMax: 1 << 20).bytes
      var comment = ""
      var sections: [(indent: Int, name: String)] = []
      for line in String(decoding: bytes, as: UTF8.self).split(
        separator: "\n", omittingEmptySubsequences: false)
      {
        let indent = line.prefix { $0 == " " }.count
        var content = line.dropFirst(indent)
        if content.hasPrefix("# ") || content == "#" {
          comment += content.dropFirst() + "\n"
          continue
        }
        if content.hasPrefix("#") { content = content.dropFirst() }
        text += String(repeating: " ", count: indent) + content + "\n"
        guard !content.hasPrefix(" "), let colon = content.firstIndex(of: ":"), !content.isEmpty
        else {
          if content.isEmpty { comment = "" }
          continue
        }
        sections.removeAll { $0.indent >= indent }
        let name = String(content[..<colon])
        let path = (sections.map(\.name) + [name]).joined(separator: ".")
        if KeyTable.sections.contains(path) {
          sections.append((indent, name))
        } else {
          let value = content[content.index(after: colon)...].drop { $0 == " " }
          keys[path] = (String(value), comment)
        }
        comment = ""
      }
    }
  }

  @Test func theShippedFileNamesEveryKeyWithDefaultAndUnit() throws {
    let shipped = try Shipped()
    #expect(Set(shipped.keys.keys) == Set(Settings.reference.map(\.path)))
    for key in Settings.reference {
      let (value, comment) = try #require(shipped.keys[key.path])
      if let text = key.defaultText, text != "[]" || key.path == "commands.open" {
        #expect(value == text, "\(key.path)")
        let isNamed = ["]", ":"].contains { comment.contains("; default \(text)\($0)") }
        #expect(isNamed, "\(key.path)")
      } else {
        #expect(comment.contains("; no default"), "\(key.path)")
      }
      if let unit = key.unit { #expect(comment.hasPrefix(" [\(unit)"), "\(key.path)") }
    }
  }

  @Test func theShippedFileParsesAsItIsAndAllUncommented() throws {
    let shipped = try Shipped()
    var reader = Reader()
    reader.read(yaml: shipped.text, path: "f.yaml")
    #expect(reader.problems == [])
    #expect(Set(reader.sources.keys) == Set(Settings.reference.map(\.path)))
    #expect(reader.settings.sentinel.addresses.count == 3)
    #expect(reader.settings.limits == Settings.Limits())

    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let settings = try Settings.load(
      file: "/\(root)/config/holdfastd.yaml", environment: [:],
      flags: [("sentinel.addresses", "a:1"), ("sentinel.master", "m")])
    #expect(settings.listen == Settings.Listen())
  }

  @Test func variablesAreThePathInUpperSnakeCase() {
    #expect(KeyTable.variable(of: "sentinel.master") == "HOLDFAST_SENTINEL_MASTER")
    #expect(KeyTable.variable(of: "replay") == "HOLDFAST_REPLAY")
    #expect(
      KeyTable.variable(of: "redis.tls.caFile") == "HOLDFAST_REDIS_TLS_CA_FILE")
    #expect(
      KeyTable.variable(of: "sentinel.connectTimeoutMilliseconds")
        == "HOLDFAST_SENTINEL_CONNECT_TIMEOUT_MILLISECONDS")
    #expect(Set(Settings.reference.map(\.variable)).count == Settings.reference.count)
  }

  /// A value that differs from the default, for every key.
  private static let others = [
    "listen.path": "/x/y", "listen.mode": "0600", "listen.group": "g", "listen.backlog": "7",
    "sentinel.addresses": "[a:1, b:2]", "sentinel.master": "other", "sentinel.username": "u",
    "sentinel.passwordFile": "/p", "sentinel.connectTimeoutMilliseconds": "77",
    "sentinel.queryTimeoutMilliseconds": "77", "sentinel.pollMilliseconds": "777",
    "redis.address": "h:6379", "redis.database": "7", "redis.username": "u",
    "redis.passwordFile": "/p", "redis.connectTimeoutMilliseconds": "77",
    "redis.commandTimeoutMilliseconds": "777", "pool.shards": "7", "pool.linksPerShard": "7",
    "pool.sparesPerShard": "7", "pool.leasedPerShard": "7", "pool.checkIdleMilliseconds": "777",
    "failover.waitMilliseconds": "7", "failover.earlyCutOver": "crash",
    "failover.provisionalMilliseconds": "777", "durability.mode": "replicated",
    "durability.replicas": "7", "durability.timeoutMilliseconds": "77", "replay": "strict",
    "sessions.database": "7", "sessions.prefix": "p_", "sessions.idStorage": "plain",
    "sessions.idleSeconds": "7", "sessions.absoluteSeconds": "7", "sessions.slidingPercent": "7",
    "sessions.graceMilliseconds": "7", "sessions.confirmationMilliseconds": "7",
    "sessions.compressionBytes": "7KiB", "sessions.dataBytes": "7KiB",
    "sessions.lockMilliseconds": "777", "sessions.statisticsDays": "77",
    "sessions.scanKeysPerSecond": "7", "commands.profile": "permissive",
    "access.adminGroup": "wheel",
    "access.rules": "[uid=33 allow=read]",
    "metrics.listen": "127.0.0.1:9736", "locks.prefixes": "[a_, b_]", "locks.scope": "connection",
    "locks.holdMilliseconds": "7", "limits.clients": "7",
    "limits.requestBytes": "7MiB", "limits.requestArguments": "7", "limits.inFlightPerClient": "7",
    "limits.inFlightBytesPerClient": "7MiB", "limits.inFlightTotal": "7",
    "limits.inFlightBytesTotal": "7GiB", "limits.outputBytesPerClient": "7MiB",
    "limits.outputBytesTotal": "7GiB",
    "limits.idleClientSeconds": "7", "commands.open": "[KEYS, CONFIG|SET]",
    "listen.passwordFile": "/p", "tcp.address": "127.0.0.1:6390", "tcp.passwordFile": "/p",
    "tcp.tls": "true", "tcp.certificateFile": "/c", "tcp.keyFile": "/k",
    "repairs.ttlPrefixes": "[a_, b_]", "repairs.ttlSeconds": "7",
    "repairs.tombstonePrefixes": "[a_]", "repairs.tombstoneSeconds": "7",
    "commands.keyspaceEvents": "true",
    "commands.keysMax": "7", "shutdown.drainMilliseconds": "7", "log.level": "debug",
  ].merging(
    ["sentinel", "redis"].flatMap { section in
      [
        ("\(section).tls.enabled", "true"), ("\(section).tls.caFile", "/c"),
        ("\(section).tls.certificateFile", "/c"), ("\(section).tls.keyFile", "/k"),
        ("\(section).tls.serverName", "n"), ("\(section).tls.verify", "ca"),
      ]
    }, uniquingKeysWith: { first, _ in first })

  @Test func everyKeyWorksFromEverywhere() throws {
    #expect(Set(Self.others.keys) == Set(KeyTable.all.map(\.path)))
    for key in KeyTable.all {
      let value = try #require(Self.others[key.path])
      let plain = value.filter { $0 != "[" && $0 != "]" }
      #expect(key.text(Settings()) != value, "\(key.path)")

      var environment = Reader()
      environment.read(environment: [key.variable: plain])
      var flag = Reader()
      flag.read(flags: [(key.path, plain)])
      var file = Reader()
      let parts = key.path.split(separator: ".")
      let nested = parts.map { "{\($0): " }.joined() + value
      file.read(yaml: nested + String(repeating: "}", count: parts.count), path: "f.yaml")
      for reader in [environment, flag, file] {
        #expect(reader.problems == [], "\(key.path)")
        #expect(key.text(reader.settings) == value, "\(key.path)")
        // And nothing else changed.
        for other in KeyTable.all where other.path != key.path {
          #expect(other.text(reader.settings) == other.text(Settings()), "\(key.path)")
        }
      }
    }
  }

  @Test func everyDefaultIsAllowed() {
    for key in KeyTable.all where !key.isList {
      guard let text = key.text(Settings()) else { continue }
      var settings = Settings()
      #expect(key.assign([text], &settings) == nil, "\(key.path)")
      #expect(settings == Settings(), "\(key.path)")
    }
  }

  @Test(arguments: [
    ("", "", 0), ("a", "", 1), ("", "ab", 2), ("abc", "abc", 0), ("shard", "shards", 1),
    ("mastre", "master", 2), ("kitten", "sitting", 3),
  ])
  func distance(left: String, right: String, expected: Int) {
    #expect(Nearest.distance(left, right) == expected)
    #expect(Nearest.distance(right, left) == expected)
  }
}
