// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// Entrances that ask for a password, and what `HELLO` and `AUTH` answer everywhere.
@Suite struct Entrances {
  private func guarded(_ change: (inout ProxyConfiguration) -> Void = { _ in }) -> Rig {
    Rig.serving {
      $0.guarded = [.tcp]
      $0.password = { _ in "s3cret" }
      change(&$0)
    }
  }

  private static let noAuthentication = "-NOAUTH Authentication required."
  private static let wrong = "-WRONGPASS invalid username-password pair or user is disabled."

  @Test func nothingIsAnsweredWithoutThePassword() {
    let rig = guarded()
    let client = rig.connect(nil, .tcp)
    for line in [
      "GET a", "PING", "SELECT 1", "SESSION.GET x", "SESSION.LOCK x", "HOLDFAST.PING",
      "HOLDFAST.STATUS", "SUBSCRIBE x", "MULTI", "CLIENT ID", "NONSENSE", "INFO",
    ] {
      #expect(rig.send(client, line) == [Self.noAuthentication], "\(line)")
    }
    #expect(rig.send(client, "HELLO 3")[0].hasPrefix("-NOAUTH HELLO must be called"))
    #expect(rig.send(client, "RESET") == ["+RESET"])
    #expect(rig.asks.isEmpty)
  }

  @Test func theOtherEntranceIsOpen() {
    let rig = guarded()
    #expect(rig.send(rig.connect(), "PING") == ["+PONG"])
    #expect(rig.send(rig.connect(nil, .inside), "PING") == ["+PONG"])
  }

  @Test(arguments: [
    "AUTH s3cret", "AUTH default s3cret", "HELLO 3 AUTH default s3cret",
    "HELLO 2 AUTH default s3cret",
  ])
  func thePasswordOpens(_ line: String) {
    let rig = guarded()
    let client = rig.connect(nil, .tcp)
    #expect(rig.send(client, line)[0].hasPrefix("-") == false)
    #expect(rig.send(client, "SET a 1", "GET a") == ["+OK", "1"])
    // The limits are those of all others again.
    let many = (0..<20).map { "k\($0) v" }.joined(separator: " ")
    #expect(rig.send(client, "MSET \(many)") == ["+OK"])
    #expect(rig.send(client, "RESET", "GET a") == ["+RESET", Self.noAuthentication])
  }

  @Test(arguments: [
    "AUTH wrong", "AUTH s3cre", "AUTH s3crets", "AUTH ''", "AUTH admin s3cret",
    "AUTH default s3cres", "HELLO 3 AUTH default nope", "HELLO 3 AUTH other s3cret",
  ])
  func anythingElseDoesNot(_ line: String) {
    let rig = guarded()
    let client = rig.connect(nil, .tcp)
    #expect(rig.send(client, line, "GET a") == [Self.wrong, Self.noAuthentication])
  }

  @Test func aChangedPasswordCountsAtOnce() {
    let rig = guarded()
    rig.shard.configuration.password = { _ in "other" }
    let client = rig.connect(nil, .tcp)
    #expect(rig.send(client, "AUTH s3cret", "AUTH other") == [Self.wrong, "+OK"])
  }

  /// An unreadable file has an empty password, which nobody has.
  @Test func anEmptyPasswordOpensNothing() {
    let rig = guarded { $0.password = { _ in "" } }
    let client = rig.connect(nil, .tcp)
    #expect(rig.send(client, "AUTH ''", "AUTH x") == [Self.wrong, Self.wrong])
  }

  @Test func strangersCannotMakeTheDaemonHoldMuch() {
    let rig = guarded()
    for line in ["*11\r\n", "*2\r\n$4\r\nAUTH\r\n$16385\r\n"] {
      let client = rig.connect(nil, .tcp)
      rig.push(client, Array(line.utf8))
      rig.pump()
      #expect(client.replies().first?.hasPrefix("-ERR Protocol error") == true)
      #expect(client.isClosed)
    }
  }

  @Test func whoSaysNothingIsClosed() {
    let rig = guarded()
    let silent = rig.connect(nil, .tcp)
    let known = rig.connect(nil, .tcp)
    rig.send(known, "AUTH s3cret")
    rig.advance(9_900, step: 100)
    #expect(!silent.isClosed)
    rig.advance(300, step: 100)
    #expect(silent.isClosed && !known.isClosed)
  }

  /// A pool's connection may be older than the time that a new one has.
  @Test func resetStartsTheTimeAgain() {
    let rig = guarded()
    let client = rig.connect(nil, .tcp)
    rig.send(client, "AUTH s3cret")
    rig.advance(20_000, step: 100)
    rig.send(client, "RESET")
    rig.advance(5_000, step: 100)
    #expect(rig.send(client, "AUTH s3cret") == ["+OK"])
  }

  @Test func aBrowsersRequestIsCutShort() {
    let rig = guarded()
    let client = rig.connect(nil, .tcp)
    rig.push(client, Array("POST / HTTP/1.1\r\nHost: a\r\n\r\nAUTH guess\r\n".utf8))
    rig.pump()
    #expect(client.isClosed)
    #expect(!client.replies().contains(Self.wrong))
  }

  /// Root has no password at hand at 2 a.m., and the kernel vouches for it.
  @Test func administratorsNeedNoneForTheirCommands() {
    let rig = guarded {
      $0.guarded = [.socket, .tcp]
      var policy = AccessPolicy()
      policy.adminUIDs = [0]
      $0.access = policy
    }
    let root = rig.connect(Peer(pid: 1, uid: 0, gid: 0))
    #expect(rig.send(root, "HOLDFAST.PING") == ["+READY"])
    #expect(
      rig.send(root, "GET a", "SESSION.LIST u") == Array(repeating: Self.noAuthentication, count: 2)
    )
    #expect(rig.send(root, "HELLO 3", "GET a").last == Self.noAuthentication)
    rig.send(root, "HOLDFAST.STATUS")
    #expect(rig.asks.count == 1)
    let other = rig.connect(Peer(pid: 2, uid: 33, gid: 33))
    #expect(
      rig.send(other, "HOLDFAST.STATUS", "HOLDFAST.PING") == [Self.noAuthentication, "+READY"])
    #expect(rig.asks.count == 1)
  }

  /// As Redis 7.0.15 answers them without a password.
  @Test(arguments: [
    (
      "AUTH x",
      "-ERR AUTH <password> called without any password configured for the default user. "
        + "Are you sure your configuration is correct?"
    ),
    ("AUTH default x", "+OK"), ("AUTH other x", wrong), ("AUTH a b c", "-ERR syntax error"),
    ("AUTH", "-ERR wrong number of arguments for 'auth' command"),
    ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
    ("HELLO 4", "-NOPROTO unsupported protocol version"),
    ("HELLO 260", "-NOPROTO unsupported protocol version"),
    ("HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'"),
    ("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
    ("HELLO 3 AUTH other x", wrong),
    ("CLIENT NONSENSE", "-ERR unknown subcommand 'NONSENSE'. Try CLIENT HELP."),
    ("config nonsense", "-ERR unknown subcommand 'nonsense'. Try CONFIG HELP."),
    ("CLIENT NO-EVICT maybe", "-ERR syntax error"),
    ("CLIENT GETNAME x", "-ERR wrong number of arguments for 'client|getname' command"),
    (
      "CLIENT CACHING yes",
      "-ERR CLIENT CACHING can be called only when the client is in tracking "
        + "mode with OPTIN or OPTOUT mode enabled"
    ),
    ("CLIENT TRACKINGINFO", "[flags [off] redirect :-1 prefixes []]"),
    ("READWRITE", "-ERR This instance has cluster support disabled"),
    ("ASKING", "-ERR This instance has cluster support disabled"),
    ("CLUSTER INFO", "-ERR This instance has cluster support disabled"),
    ("CLUSTER", "-ERR wrong number of arguments for 'cluster' command"),
    (
      "SHUTDOWN",
      "-DENIED SHUTDOWN is refused: stop Redis through its service manager; the setting "
        + "commands.open opens it"
    ),
    ("SWAPDB 1", "-ERR wrong number of arguments for 'swapdb' command"),
    (
      "SELECT 99999999999",
      "-ERR value is out of range, value must between -2147483648 and 2147483647"
    ),
    ("WAIT 0 -1", "-ERR timeout is negative"),
    ("CONFIG GET SAVE save", "[SAVE ]"),
    (
      "CONFIG GET *read-only",
      "[slave-read-only yes replica-read-only yes]"
    ),
    ("CONFIG GET nonsense", "[]"), ("INFO nonsense", ""),
    (
      "INFO Cluster keyspace",
      "# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"
    ),
  ])
  func answersAsRedisDoes(_ line: String, _ answer: String) {
    let rig = Rig.serving()
    #expect(rig.send(rig.connect(), line) == [answer])
  }

  @Test func aNameInHelloStays() {
    let rig = Rig.serving()
    let client = rig.connect()
    #expect(
      rig.send(client, "HELLO 2 SETNAME me", "CLIENT GETNAME", "HELLO 2 SETNAME a\u{7F}").suffix(2)
        == ["me", "-ERR Client names cannot contain spaces, newlines or special characters."])
  }
}
