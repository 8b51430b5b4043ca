// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// What the daemon answers by itself.
extension Shard {
  /// Answers a local command. False: it must wait until all before it is answered.
  func takeLocal(
    _ client: Client, _ command: LocalCommand, _ arguments: RequestArguments
  ) -> Bool {
    let version = client.version
    switch command {
    case .ping: ping(client, arguments)
    case .echo: reply(client) { $0.writeBulk(arguments[1]) }
    case .quit:
      reply(client) { $0.writeSimple("OK") }
      finish(client)
    case .hello, .select, .reset:
      guard client.order.isSettled else {
        client.block = .settle
        return false
      }
      // It would leave the link that is to end what a given-up connection still holds.
      guard !mayStillExecute(client) else { return awaitMaster(client) }
      changeState(client, command, arguments)
    case .auth: authenticate(client, arguments)
    case .time: reply(client) { self.writeTime(&$0) }
    case .role:
      reply(client) {
        $0.writeArrayHeader(3)
        $0.writeBulk("master")
        $0.writeInteger(0)
        $0.writeArrayHeader(0)
      }
    case .info: reply(client) { $0.writeVerbatim(self.infoText(), version) }
    case .readonly, .readwrite:
      reply(client) { $0.writeError("ERR This instance has cluster support disabled") }
    case .keys: return takeKeys(client, arguments[1])
    case .configGet: configGet(client, arguments)
    case .wait: return takeWait(client, arguments)
    case .waitAOF:
      reply(client) {
        $0.writeError("DENIED WAITAOF is not answered: use WAIT or HOLDFAST.DURABILITY REPLICATED")
      }
    case .session: return takeNative(client, arguments)
    case .lock: return takeLock(client, arguments)
    case .holdfastLocks:
      return mayAdminister(client, arguments) ? takeLock(client, arguments) : true
    case .clientList: return takeClientList(client, arguments)
    case .console:
      return mayAdminister(client, arguments) ? takeConsole(client, arguments) : true
    case .holdfastDurability: takeDurability(client, arguments)
    case .holdfastFailovers:
      if mayAdminister(client, arguments) { describeFailovers(client, arguments) }
    case .holdfastPing: reply(client) { $0.writeSimple(self.view.isServing ? "READY" : "WAITING") }
    case .command, .commandCount, .commandInfo, .commandDocs, .commandGetKeys, .commandList:
      describeCommands(client, command, arguments)
    case .clientID, .clientInfo, .clientGetName, .clientSetName, .clientSetInfo, .clientReply,
      .clientNoEvict, .clientNoTouch, .clientUnpause:
      takeClientCommand(client, command, arguments)
    }
    return true
  }

  private func ping(_ client: Client, _ arguments: RequestArguments) {
    guard arguments.count <= 2 else {
      return reply(client) { $0.writeError(ErrorReply.arity("ping")) }
    }
    reply(client) { out in
      if let text = arguments.argument(1) { out.writeBulk(text) } else { out.writeSimple("PONG") }
    }
  }

  /// No password is asked for at the front: the socket's group says who may connect.
  private func authenticate(_ client: Client, _ arguments: RequestArguments) {
    reply(client) { out in
      switch arguments.count {
      case 2:
        out.writeError(
          "ERR AUTH <password> called without any password configured for the default user. "
            + "Are you sure your configuration is correct?")
      case 3 where arguments[1].isExactly("default"): out.writeSimple("OK")
      case 3: out.writeError("WRONGPASS invalid username-password pair or user is disabled.")
      default: out.writeError("ERR syntax error")
      }
    }
  }

  private func writeTime(_ out: inout [UInt8]) {
    let microseconds = wallClockMicroseconds()
    out.writeArrayHeader(2)
    out.writeBulk("\(microseconds / 1_000_000)")
    out.writeBulk("\(microseconds % 1_000_000)")
  }

  // MARK: HELLO, SELECT, RESET

  private func changeState(
    _ client: Client, _ command: LocalCommand, _ arguments: RequestArguments
  ) {
    if command == .hello {
      hello(client, arguments)
    } else if command == .select {
      select(client, arguments)
    } else {
      reset(client)
    }
  }

  private func select(_ client: Client, _ arguments: RequestArguments) {
    guard let database = arguments.integer(1) else {
      return reply(client) { $0.writeError("ERR value is not an integer or out of range") }
    }
    guard database >= 0, database < Int64(configuration.databasesMax) else {
      return reply(client) { $0.writeError("ERR DB index is out of range") }
    }
    if client.database != Int(database) {
      client.database = Int(database)
      client.link = nil
    }
    reply(client) { $0.writeSimple("OK") }
  }

  private func reset(_ client: Client) {
    abandonLease(of: client)
    client.transaction = .none
    client.isWatching = false
    client.isWatchBroken = false
    client.isTracking = false
    client.isStreaming = false
    client.subscriptionCount = 0
    client.shardSubscriptionCount = 0
    client.replyMode = .on
    setDurability(client, configuration.durability)
    client.version = .two
    client.database = configuration.database
    client.link = nil
    client.name = []
    reply(client) { $0.writeSimple("RESET") }
  }

  private func hello(_ client: Client, _ arguments: RequestArguments) {
    var version = client.version
    var name: [UInt8]?
    if arguments.count > 1 {
      guard let number = arguments.integer(1),
        let asked = RESPVersion(rawValue: UInt8(clamping: number))
      else { return reply(client) { $0.writeError("NOPROTO unsupported protocol version") } }
      version = asked
    }
    var index = 2
    while index < arguments.count {
      if arguments.matches(index, "AUTH"), index + 2 < arguments.count {
        guard arguments[index + 1].isExactly("default") else {
          return reply(client) {
            $0.writeError("WRONGPASS invalid username-password pair or user is disabled.")
          }
        }
        index += 3
      } else if arguments.matches(index, "SETNAME"), index + 1 < arguments.count {
        name = Array(arguments[index + 1])
        index += 2
      } else {
        let option = String(decoding: arguments[index].prefix(32), as: UTF8.self)
        return reply(client) { $0.writeError("ERR Syntax error in HELLO option '\(option)'") }
      }
    }
    if let name {
      guard isName(name) else { return reply(client) { $0.writeError(Self.badName) } }
      client.name = name
    }
    if version != client.version { client.link = nil }
    client.version = version
    reply(client) { self.writeHello(&$0, client) }
  }

  private func writeHello(_ out: inout [UInt8], _ client: Client) {
    out.writeMapHeader(7, client.version)
    out.writeBulk("server")
    out.writeBulk("redis")
    out.writeBulk("version")
    out.writeBulk(redisVersion)
    out.writeBulk("proto")
    out.writeInteger(Int64(client.version.rawValue))
    out.writeBulk("id")
    out.writeInteger(clientNumber(client))
    out.writeBulk("mode")
    out.writeBulk("standalone")
    out.writeBulk("role")
    out.writeBulk("master")
    out.writeBulk("modules")
    out.writeArrayHeader(0)
  }

  // MARK: CLIENT

  private func takeClientCommand(
    _ client: Client, _ command: LocalCommand, _ arguments: RequestArguments
  ) {
    let version = client.version
    if command == .clientReply { return setReplyMode(client, arguments) }
    if command == .clientSetName {
      guard isName(arguments[2]) else { return reply(client) { $0.writeError(Self.badName) } }
      client.name = Array(arguments[2])
    }
    if command == .clientSetInfo {
      guard isName(arguments[3]) else {
        return reply(client) {
          $0.writeError(
            "ERR \(String(decoding: arguments[2].prefix(16), as: UTF8.self)) cannot contain spaces, newlines or special characters."
          )
        }
      }
      if arguments.matches(2, "LIB-NAME") { client.libraryName = Array(arguments[3]) }
      if arguments.matches(2, "LIB-VER") { client.libraryVersion = Array(arguments[3]) }
    }
    reply(client) { out in
      if command == .clientID {
        out.writeInteger(self.clientNumber(client))
      } else if command == .clientInfo {
        out.writeVerbatim(self.clientLine(client), version)
      } else if command == .clientGetName {
        if client.name.isEmpty { out.writeNull(version) } else { out.writeBulk(client.name) }
      } else {
        out.writeSimple("OK")
      }
    }
  }

  private func setReplyMode(_ client: Client, _ arguments: RequestArguments) {
    if arguments.matches(2, "ON") {
      client.replyMode = .on
      reply(client) { $0.writeSimple("OK") }
    } else if arguments.matches(2, "OFF") {
      client.replyMode = .off
    } else if arguments.matches(2, "SKIP") {
      if client.replyMode == .on { client.replyMode = .skipNext }
    } else {
      reply(client) { $0.writeError("ERR syntax error") }
    }
  }

  private static let badName =
    "ERR Client names cannot contain spaces, newlines or special characters."

  private func isName(_ bytes: some Collection<UInt8>) -> Bool {
    bytes.allSatisfy { $0 > 32 && $0 < 127 } && bytes.count <= 256
  }

  /// Unique while the client lives.
  private func clientNumber(_ client: Client) -> Int64 {
    Int64(client.id.slot) + 1 + Int64(client.id.serial) << 20
  }

  func clientLine(_ client: Client) -> String {
    let age = (now - client.connectedMilliseconds) / 1000
    return "id=\(clientNumber(client)) addr=unix:\(client.peer?.pid ?? 0) name="
      + "\(String(decoding: client.name, as: UTF8.self)) age=\(age) idle=0 flags=U "
      + "db=\(client.database) sub=\(client.subscriptionCount) psub=0 "
      + "multi=\(client.transaction == .open ? 0 : -1) user=default resp=\(client.version.rawValue) "
      + "lib-name=\(String(decoding: client.libraryName, as: UTF8.self)) "
      + "lib-ver=\(String(decoding: client.libraryVersion, as: UTF8.self))\n"
  }

  // MARK: INFO, CONFIG GET

  /// The version that the master said; a plausible one before.
  var redisVersion: String {
    for case let link? in links { if let version = link.facts.redisVersion { return version } }
    return "7.0.0"
  }

  private func infoText() -> String {
    let state = view.isServing ? "serving" : "waiting"
    let process = processFacts()
    return """
      # Server\r
      redis_version:\(redisVersion)\r
      redis_mode:standalone\r
      process_id:\(process.id)\r
      uptime_in_seconds:\(process.uptimeSeconds)\r
      tcp_port:0\r
      \r
      # Clients\r
      connected_clients:\(connectedCount)\r
      blocked_clients:\(statistics.waiting)\r
      \r
      # Memory\r
      used_memory:\(process.residentBytes)\r
      used_memory_rss:\(process.residentBytes)\r
      maxmemory:0\r
      maxmemory_policy:noeviction\r
      \r
      # Stats\r
      total_commands_processed:\(counters.commands)\r
      \r
      # Persistence\r
      loading:0\r
      \r
      # Replication\r
      role:master\r
      connected_slaves:0\r
      \r
      # CPU\r
      used_cpu_user:\(process.userSeconds)\r
      used_cpu_sys:\(process.systemSeconds)\r
      \r
      # Cluster\r
      cluster_enabled:0\r
      \r
      # Keyspace\r
      \r
      # Holdfast\r
      holdfast_version:\(configuration.version)\r
      holdfast_state:\(state)\r
      holdfast_generation:\(view.generation)\r
      holdfast_master:\(view.address.map { "\($0)" } ?? "")\r
      holdfast_resent:\(counters.resent)\r
      holdfast_uncertain:\(counters.uncertain)\r
      holdfast_nomaster:\(counters.noMaster)\r
      holdfast_overloaded:\(counters.overloaded)\r

      """
  }

  /// What clients ask at connect. Other parameters are Redis' own affair and are not shown.
  private static let parameters: [(String, String)] = [
    ("save", ""), ("appendonly", "no"), ("timeout", "0"), ("slave-read-only", "yes"),
    ("replica-read-only", "yes"), ("notify-keyspace-events", ""), ("maxmemory", "0"),
    ("maxmemory-policy", "noeviction"), ("maxmemory-samples", "5"),
  ]

  private func configGet(_ client: Client, _ arguments: RequestArguments) {
    let version = client.version
    let all = Self.parameters + [("databases", "\(configuration.databasesMax)")]
    let found = all.filter { name, _ in
      (2..<arguments.count).contains { index in
        arguments[index].elementsEqual("*".utf8)
          || String(decoding: arguments[index], as: UTF8.self).lowercased() == name
      }
    }
    reply(client) { out in
      out.writeMapHeader(found.count, version)
      for (name, value) in found {
        out.writeBulk(name)
        out.writeBulk(value)
      }
    }
  }
}
