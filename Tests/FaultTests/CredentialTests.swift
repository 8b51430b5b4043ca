// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab
import Testing

@Suite("Passwords from files")
struct CredentialTests {
  private static func options() -> TopologyOptions {
    TopologyOptions {
      $0.replicas = 0
      $0.sentinels = 1
      $0.quorum = 1
      $0.password = "redis-secret-1"
      $0.sentinelPassword = "sentinel-secret-1"
    }
  }

  @Test("Redis' and the sentinels' own; a change of the file is used by new connections")
  func rotation() async throws {
    try await Topology.with(Self.options()) { lab in
      try await withFolder { folder in
        let redis = try folder.write("redis", "redis-secret-1\n")
        let sentinel = try folder.write("sentinel", "sentinel-secret-1")
        let daemon = try await Daemon.start(
          for: lab,
          arguments: setting("redis.passwordFile=\(redis)", "sentinel.passwordFile=\(sentinel)"))
        try await withDaemon(daemon) { daemon in
          let master = lab.initialMaster
          let history = try await Load.on(daemon, sessions: 2, counters: 0) { load in
            let admin = try await LabClient.connect(master.endpoint)
            #expect(try await admin.command("AUTH", "redis-secret-1") == .simple("OK"))
            try folder.write("redis", "redis-secret-2\n")
            try await admin.command("CONFIG", "SET", "requirepass", "redis-secret-2")
            try await lab.sentinels[0].query(
              ["SENTINEL", "SET", "mymaster", "auth-pass", "redis-secret-2"])
            // Connections keep what they once proved; new ones prove it anew.
            try await load.waitForProgress(50)
            try await admin.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            try await load.waitForProgress()
            #expect(
              try await admin.command("CONFIG", "SET", "requirepass", "redis-secret-1")
                == .simple("OK"))
          }
          #expect(history.errors == [] && history.wrongReads.isEmpty)
          try await history.verify(at: master)
          Self.expectNoSecret(in: daemon.log)
        }
      }
    }
  }

  @Test("A wrong one: NOMASTER after the wait, and the log says which, without the password")
  func wrong() async throws {
    try await Topology.with(Self.options()) { lab in
      try await withFolder { folder in
        let redis = try folder.write("redis", "redis-secret-1")
        let sentinel = try folder.write("sentinel", "sentinel-secret-1")
        let wrong = try folder.write("wrong", "redis-secret-wrong")
        for (files, says) in [
          ((wrong, sentinel), "Redis \(lab.initialMaster.endpoint) refused our credentials"),
          ((redis, wrong), "sentinel \(lab.sentinels[0].endpoint) refused our credentials"),
        ] {
          let daemon = try await Daemon.start(
            for: lab,
            arguments: setting(
              "redis.passwordFile=\(files.0)", "sentinel.passwordFile=\(files.1)",
              "failover.waitMilliseconds=1000"))
          try await withDaemon(daemon) { daemon in
            let client = try await daemon.connect()
            let reply = try await client.command("GET", "k")
            #expect(reply.errorWord == "NOMASTER")
            #expect(!"\(reply)".contains("secret"))
            try await daemon.waitForLog(says)
            #expect(daemon.log.contains("WRONGPASS"))
            Self.expectNoSecret(in: daemon.log)
          }
        }
      }
    }
  }

  private static func expectNoSecret(in log: String) {
    #expect(!log.isEmpty && !log.contains("-secret-"))
  }
}

@Suite("TLS to Redis and sentinels")
struct TLSTests {
  @Test("Full verification by address and by name; another authority and a wrong name are refused")
  func verification() async throws {
    try await withFolder { folder in
      let certificates = try await Certificates(in: folder)
      let ports = (redis: try Listener.freePort(), sentinel: try Listener.freePort())
      let options = TopologyOptions {
        $0.replicas = 0
        $0.sentinels = 1
        $0.quorum = 1
        $0.extraRedis = certificates.server("named", port: ports.redis)
        // The lab's own master is watched without TLS; the daemon's under a name of its own, with it.
        $0.extraSentinel =
          certificates.server("addressed", port: ports.sentinel)
          + ["sentinel monitor secure 127.0.0.1 \(ports.redis) 2"]
      }
      try await Topology.with(options) { lab in
        let sentinel = [
          "--sentinels", "127.0.0.1:\(ports.sentinel)", "--master", "secure",
        ]
        let both =
          sentinel + setting("sentinel.tls.enabled=true", "redis.tls.enabled=true")
        let own = "\(folder.path)/ca.pem"
        let other = "\(folder.path)/other-ca.pem"
        let name = setting("redis.tls.serverName=redis.test")

        // All is right.
        try await serve(
          both + name + setting("sentinel.tls.caFile=\(own)", "redis.tls.caFile=\(own)"), lab)
        // The chain alone.
        try await serve(
          both
            + setting(
              "sentinel.tls.caFile=\(own)", "redis.tls.caFile=\(own)", "redis.tls.verify=ca"), lab)
        // The certificate has a name, and no address.
        try await refuse(
          both + setting("sentinel.tls.caFile=\(own)", "redis.tls.caFile=\(own)"),
          says: "127.0.0.1:\(ports.redis)")
        try await refuse(
          both + name + setting("sentinel.tls.caFile=\(own)", "redis.tls.caFile=\(other)"),
          says: "127.0.0.1:\(ports.redis)")
        try await refuse(
          both + name + setting("sentinel.tls.caFile=\(other)", "redis.tls.caFile=\(own)"),
          says: "sentinel 127.0.0.1:\(ports.sentinel)")
      }
    }
  }

  private func serve(_ arguments: [String], _ lab: Topology) async throws {
    try await withDaemon(try await Daemon.start(arguments: arguments)) { daemon in
      let client = try await daemon.connect()
      let value = "\(UInt32.random(in: 0...UInt32.max))"
      let reply = try await client.command("SET", "k", value)
      #expect(reply == .simple("OK"), "\(daemon.log)")
      #expect(try await lab.initialMaster.query(["GET", "k"]) == .text(value))
    }
  }

  private func refuse(_ arguments: [String], says node: String) async throws {
    let all = arguments + setting("failover.waitMilliseconds=1000")
    try await withDaemon(try await Daemon.start(arguments: all)) { daemon in
      let client = try await daemon.connect()
      #expect(try await client.command("SET", "k", "leak").errorWord == "NOMASTER")
      try await eventually("the reason in the log") {
        daemon.log.split(separator: "\n").contains {
          $0.contains(node) && ($0.contains("TLS") || $0.lowercased().contains("certificate"))
        }
      }
    }
  }

  /// Two authorities; of the first one, a certificate for an address and one for a name.
  private struct Certificates: Sendable {
    let folder: String

    init(in folder: TestFolder) async throws {
      self.folder = folder.path
      let new = [
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
      ]
      for authority in ["ca", "other-ca"] {
        try await Self.openssl(
          ["req", "-x509"] + new + [
            "-subj", "/CN=\(authority)", "-keyout", "\(authority).key", "-out", "\(authority).pem",
          ], folder)
      }
      for (name, alternative) in [("addressed", "IP:127.0.0.1"), ("named", "DNS:redis.test")] {
        try await Self.openssl(
          ["req", "-x509"] + new + [
            "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=\(name)",
            "-addext", "subjectAltName=\(alternative)", "-addext", "basicConstraints=CA:FALSE",
            "-keyout", "\(name).key", "-out", "\(name).pem",
          ], folder)
      }
    }

    private static func openssl(_ arguments: [String], _ folder: TestFolder) async throws {
      let files = ["-keyout", "-out", "-CA", "-CAkey"]
      var all: [String] = []
      for argument in arguments {
        let isFile = all.last.map { files.contains($0) } ?? false
        all.append(isFile ? "\(folder.path)/\(argument)" : argument)
      }
      let run = try await runProgram("/usr/bin/openssl", all, in: folder)
      try #require(run.status == .exited(0), "openssl: \(run.output)")
    }

    func server(_ name: String, port: Int) -> [String] {
      [
        "tls-port \(port)", "tls-cert-file \(folder)/\(name).pem",
        "tls-key-file \(folder)/\(name).key", "tls-ca-cert-file \(folder)/ca.pem",
        "tls-auth-clients no",
      ]
    }
  }
}
