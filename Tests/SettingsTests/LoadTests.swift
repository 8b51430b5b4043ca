// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Settings

struct LoadTests {
  @Test func flagsAloneSuffice() throws {
    let settings = try Settings.resolve(
      file: nil, environment: [:],
      flags: [
        ("sentinel.addresses", "10.0.0.1:26379, redis-2.example.net:26380,[fd00::1]:26379"),
        ("sentinel.master", "mymaster"), ("listen.path", "/tmp/x.sock"),
      ], defaultFile: "/nonexistent"
    ).settings
    #expect(
      settings.sentinel.addresses == [
        HostPort(host: "10.0.0.1", port: 26379),
        HostPort(host: "redis-2.example.net", port: 26380),
        HostPort(host: "fd00::1", port: 26379),
      ])
    #expect(settings.sentinel.addresses.map(\.description).last == "[fd00::1]:26379")
    #expect(settings.sentinel.master == "mymaster")
    #expect(settings.listen.path == "/tmp/x.sock")
    #expect(settings.pool == Settings.Pool())
  }

  @Test func flagsBeforeEnvironmentBeforeFileBeforeDefaults() throws {
    let file = minimum + "pool: {shards: 2, linksPerShard: 3, sparesPerShard: 5}\n"
    let settings = try load(
      file,
      environment: ["HOLDFAST_POOL_LINKS_PER_SHARD": "7", "HOLDFAST_POOL_SPARES_PER_SHARD": "8"],
      flags: [("pool.sparesPerShard", "9"), ("pool.sparesPerShard", "10")])
    #expect(settings.pool.shards == 2)
    #expect(settings.pool.linksPerShard == 7)
    #expect(settings.pool.sparesPerShard == 10)
    #expect(settings.pool.leasedPerShard == 64)
  }

  @Test func theDefaultFileIsReadIfItExists() throws {
    let folder = try Folder()
    let path = try folder.file("default.yaml", minimum)
    let reader = try Settings.resolve(file: nil, environment: [:], flags: [], defaultFile: path)
    #expect(reader.settings.sentinel.master == "mymaster")
  }

  @Test func anotherFileReplacesTheDefaultOne() throws {
    let folder = try Folder()
    let other = try folder.file("default.yaml", "pool: {shards: 3}\n")
    let path = try folder.file("f.yaml", minimum)
    let reader = try Settings.resolve(file: path, environment: [:], flags: [], defaultFile: other)
    #expect(reader.settings.pool.shards == 1)
  }

  @Test(
    arguments: [
      ("0660", 0o660), ("660", 0o660), ("0o660", nil), ("0777", 0o777), ("0577", nil),
      ("1777", nil),
    ] as [(String, UInt32?)])
  func mode(text: String, mode: UInt32?) throws {
    let settings = try? load(minimum + "listen: {mode: \(text)}\n")
    #expect(settings?.listen.mode == mode)
  }

  @Test(
    arguments: [
      ("1024", 1024), ("64KiB", 65536), ("64 KiB", 65536), ("2MiB", 2_097_152), ("1GiB", nil),
      ("64kb", nil), ("KiB", nil), ("-1KiB", nil), ("1023", nil),
    ] as [(String, Int?)])
  func size(text: String, bytes: Int?) throws {
    let settings = try? load(minimum + "limits: {requestBytes: \(text)}\n")
    #expect(settings?.limits.requestBytes == bytes)
  }

  @Test(arguments: [
    ("h:1", true), ("h.example.net:65535", true), ("127.0.0.1:6379", true), ("[::1]:6379", true),
    ("[fe80::1%eth0]:6379", true), ("h", false), ("h:", false), (":1", false), ("h:0", false),
    ("h:65536", false), ("::1:6379", false), ("[h]:1", false), ("[]:1", false), ("h:+1", false),
    ("h h:1", false), ("h:1 ", false), ("h/x:1", false), ("u@h:1", false), ("", false),
  ])
  func address(text: String, isValid: Bool) {
    let address = HostPort(text)
    #expect((address != nil) == isValid)
    if let address { #expect(address.description == text) }
  }

  @Test func commandsAreNormalised() throws {
    let settings = try load(minimum + "commands:\n  open: [flushall, config set, Config|Get]\n")
    #expect(settings.commands.open == ["FLUSHALL", "CONFIG|SET", "CONFIG|GET"])
  }

  @Test func sectionsWithEverythingCommentedOutAreEmpty() throws {
    #expect(try load(minimum + "pool:\nredis:\n  tls:\n").pool == Settings.Pool())
  }

  @Test func anEmptyVariableEmptiesAList() throws {
    let settings = try load(
      minimum + "commands: {open: [KEYS]}\n", environment: ["HOLDFAST_COMMANDS_OPEN": ""])
    #expect(settings.commands.open == [])
  }

  @Test func aSingleRedisNeedsNoSentinels() throws {
    let settings = try load("redis: {address: '127.0.0.1:6379', database: 3}\n")
    #expect(settings.redis.address == HostPort(host: "127.0.0.1", port: 6379))
    #expect(settings.redis.database == 3)
  }

  @Test func credentialsStandInForFilesNotNamed() throws {
    let folder = try Folder()
    let own = try folder.file("own", "x")
    for name in ["redis-password", "sentinel-password", "tls-ca", "tls-cert", "tls-key"] {
      try folder.file(name, "secret\n")
    }
    let credentials = ["CREDENTIALS_DIRECTORY": folder.path]
    let settings = try load(
      minimum + "redis: {passwordFile: \(own), tls: {enabled: true}}\n", environment: credentials)
    #expect(settings.redis.passwordFile == own)
    #expect(settings.sentinel.passwordFile == "\(folder.path)/sentinel-password")
    #expect(settings.redis.tls.caFile == "\(folder.path)/tls-ca")
    #expect(settings.redis.tls.certificateFile == "\(folder.path)/tls-cert")
    #expect(settings.redis.tls.keyFile == "\(folder.path)/tls-key")
    #expect(settings.sentinel.tls == Settings.TLS())
  }

  @Test func anEmptyCredentialIsAProblemOfItsOwn() throws {
    let folder = try Folder()
    let path = try folder.file("redis-password", "\n")
    #expect(
      try problems(minimum, environment: ["CREDENTIALS_DIRECTORY": folder.path]) == [
        "credential redis-password: redis.passwordFile: cannot use \(path): Is empty"
      ])
  }

  @Test func explainNamesValueAndSourceOfEveryKey() throws {
    let folder = try Folder()
    let path = try folder.file("f.yaml", minimum)
    let text = try Settings.explain(
      file: path, environment: ["HOLDFAST_REPLAY": "strict"], flags: [("listen.path", "/x/y")])
    let lines = text.split(separator: "\n")
    #expect(lines.count == Settings.reference.count)
    #expect(lines.contains("listen.path: /x/y  # flag --listen"))
    #expect(lines.contains("replay: strict  # environment variable HOLDFAST_REPLAY"))
    #expect(lines.contains("sentinel.addresses: [10.0.0.1:26379]  # \(path):2"))
    #expect(lines.contains("limits.requestBytes: 64MiB  # default"))
    #expect(lines.contains("redis.passwordFile: (none)  # default"))
  }
}

struct SecretFileTests {
  @Test(arguments: [
    ("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "),
  ])
  func oneLineEndIsTrimmed(text: String, secret: String) throws {
    let folder = try Folder()
    #expect(try SecretFile(try folder.file("s", text)).read() == secret)
  }

  @Test func aChangedFileIsReadAnew() throws {
    let folder = try Folder()
    let file = SecretFile(try folder.file("s", "first"))
    #expect(try file.read() == "first")
    // Replaced as careful editors and deployments do: another inode.
    let next = try folder.file("next", "other")
    #expect(rename(next, file.path) == 0)
    #expect(try file.read() == "other")
    try folder.file("s", "longer than before")
    #expect(try file.read() == "longer than before")
    #expect(unlink(file.path) == 0)
    #expect(throws: SecretFileError(path: file.path, reason: "No such file or directory")) {
      try file.read()
    }
  }

  @Test(
    arguments: [
      ([], "Is empty"), ([10], "Is empty"), ([0x68, 0xff, 0x75], "Is not UTF-8"),
    ] as [([UInt8], String)])
  func errorsNameTheFileAndNeverTheContent(bytes: [UInt8], reason: String) throws {
    let folder = try Folder()
    let file = SecretFile(try folder.file("s", bytes: bytes))
    #expect(throws: SecretFileError(path: file.path, reason: reason)) { try file.read() }
  }

  @Test func aHugeFileIsRefused() throws {
    let folder = try Folder()
    let bytes = [UInt8](repeating: 0x68, count: 65_537)
    let file = SecretFile(try folder.file("s", bytes: bytes))
    #expect(throws: SecretFileError(path: file.path, reason: "Is larger than 65536 bytes")) {
      try file.read()
    }
  }
}
