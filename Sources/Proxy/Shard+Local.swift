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
    case .info: reply(client) { $0.writeVerbatim(self.infoText(arguments), version) }
    case .noCluster:
      reply(client) { $0.writeError("ERR This instance has cluster support disabled") }
    case .unknownSubcommand:
      reply(client) { $0 += ErrorReply.unknownSubcommand(arguments) }
    case .keys: return takeKeys(client, arguments[1])
    case .configGet: configGet(client, arguments)
    case .wait: return takeWait(client, arguments)
    case .waitAOF:
      reply(client) {
        $0.writeError("DENIED WAITAOF is not answered: use WAIT or HOLDFAST.DURABILITY REPLICATED")
      }
    case .session:
      return mayRun(client, arguments) ? takeNative(client, arguments) : true
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
    case .command, .commandCount, .commandInfo, .commandList:
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
    guard Int32(exactly: database) != nil else {
      return reply(client) {
        $0.writeError(
          "ERR value is out of range, value must between \(Int32.min) and \(Int32.max)")
      }
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
    client.isMonitoring = false
    client.subscriptions = Subscriptions()
    client.isLocked = configuration.guarded.contains(client.entrance)
    client.lockedMilliseconds = now
    client.replyMode = .on
    setDurability(client, configuration.durability)
    client.version = .two
    client.database = configuration.database
    client.link = nil
    client.name = []
    reply(client) { $0.writeSimple("RESET") }
  }

  // MARK: CLIENT

  private func takeClientCommand(
    _ client: Client, _ command: LocalCommand, _ arguments: RequestArguments
  ) {
    let version = client.version
    if command == .clientReply { return setReplyMode(client, arguments) }
    if command == .clientSetName {
      guard isName(arguments[2]) else {
        return reply(client) { $0.writeError(ErrorReply.badName) }
      }
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
    if command == .clientNoEvict || command == .clientNoTouch {
      guard arguments.matches(2, "ON") || arguments.matches(2, "OFF") else {
        return reply(client) { $0.writeError("ERR syntax error") }
      }
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

  func isName(_ bytes: some Collection<UInt8>) -> Bool {
    bytes.allSatisfy { $0 > 32 && $0 < 127 } && bytes.count <= 256
  }

  /// Unique while the client lives.
  func clientNumber(_ client: Client) -> Int64 {
    Int64(client.id.slot) + 1 + Int64(client.id.serial) << 20
  }

  func clientLine(_ client: Client) -> String {
    let age = (now - client.connectedMilliseconds) / 1000
    return "id=\(clientNumber(client)) addr=unix:\(client.peer?.pid ?? 0) name="
      + "\(String(decoding: client.name, as: UTF8.self)) age=\(age) idle=0 flags=U "
      + "db=\(client.database) sub=\(client.subscriptions.count) psub=0 "
      + "multi=\(client.transaction == .open ? 0 : -1) user=default resp=\(client.version.rawValue) "
      + "lib-name=\(String(decoding: client.libraryName, as: UTF8.self)) "
      + "lib-ver=\(String(decoding: client.libraryVersion, as: UTF8.self))\n"
  }
}
