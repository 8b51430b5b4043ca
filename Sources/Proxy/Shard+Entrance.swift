// SPDX-License-Identifier: Apache-2.0
import RESP

/// Where a client came in.
public enum Entrance: Sendable, CaseIterable {
  /// The Unix-domain socket.
  case socket
  /// The TCP listener.
  case tcp
  /// The daemon itself.
  case inside
}

// `AUTH` and `HELLO`, and what a client may do before it has given the password of its entrance.
extension Shard {
  /// How long a client may go without giving the password.
  private static let lockedMilliseconds: Int64 = 10_000

  /// What Redis takes of a client without a password (`networking.c`, `processMultibulkBuffer`).
  static let lockedLimits = ScanLimits(
    bulkBytesMax: 16_384, elementsMax: 10, frameBytesMax: 10 * 16_384 + 1024)

  /// A command of a client that has not given the password yet.
  func takeLocked(
    _ client: Client, _ index: CommandIndex?, _ arguments: RequestArguments
  ) -> Bool {
    // A page in a browser must not get to guess passwords.
    if arguments.matches(0, "POST") || arguments.matches(0, "HOST:") {
      reply(client) { $0.writeError(ErrorReply.noAuthentication) }
      finish(client)
      return true
    }
    guard let index, case .local(let command) = table.facts(index).route,
      isOpenToAll(command) || isOpenToOperators(client, command)
    else {
      reply(client) { $0.writeError(ErrorReply.noAuthentication) }
      return true
    }
    guard hasArity(client, index, arguments) else { return true }
    return takeLocal(client, command, arguments)
  }

  private func isOpenToAll(_ command: LocalCommand) -> Bool {
    command == .auth || command == .hello || command == .quit || command == .reset
  }

  /// The kernel's word on who somebody is does not depend on passwords: at 2 a.m. none is at hand.
  private func isOpenToOperators(_ client: Client, _ command: LocalCommand) -> Bool {
    // Health checks run as anybody.
    if command == .holdfastPing { return client.entrance == .socket }
    let commands: [LocalCommand] = [.console, .holdfastFailovers, .holdfastLocks, .clientList]
    return commands.contains(command)
      && configuration.access.map { isAdministrator(client, $0) } ?? false
  }

  /// Gives a client that has given the password the limits of all others.
  private func unlock(_ client: Client) {
    guard client.isLocked else { return }
    client.isLocked = false
    client.scanner = RequestScanner(limits: configuration.requestLimits)
  }

  /// Closes clients that do not say who they are; each takes a place that others want.
  func closeLockedClients() {
    guard !configuration.guarded.isEmpty else { return }
    for client in clients.all
    where client.isLocked && now - client.lockedMilliseconds > Self.lockedMilliseconds
      && !isOpenToOperators(client, .console)
    {
      refuseByLimit(client, "the wait for a password (\(Self.lockedMilliseconds) ms)")
      close(client)
    }
  }

  /// Whether user and password are right; Redis' only user here is `default`. Compared in a time that
  /// does not depend on where they differ.
  private func isRight(
    _ client: Client, user: UnsafeRawBufferPointer?, password: UnsafeRawBufferPointer
  ) -> Bool {
    guard user?.isExactly("default") != false else { return false }
    guard configuration.guarded.contains(client.entrance) else { return true }
    let secret = Array(configuration.password(client.entrance).utf8)
    // A file that cannot be read has no password that anybody could give.
    guard !secret.isEmpty else { return false }
    var difference = secret.count ^ password.count
    for (index, byte) in password.enumerated() {
      difference |= Int(byte ^ secret[index % secret.count])
    }
    return difference == 0
  }

  func authenticate(_ client: Client, _ arguments: RequestArguments) {
    guard arguments.count <= 3 else {
      return reply(client) { $0.writeError("ERR syntax error") }
    }
    if arguments.count == 2, !configuration.guarded.contains(client.entrance) {
      return reply(client) { $0.writeError(ErrorReply.noPasswordIsSet) }
    }
    let user = arguments.count == 3 ? arguments[1] : nil
    guard isRight(client, user: user, password: arguments[arguments.count - 1]) else {
      return reply(client) { $0.writeError(ErrorReply.wrongPassword) }
    }
    unlock(client)
    reply(client) { $0.writeSimple("OK") }
  }

  /// Options take effect one by one, whatever is wrong with later ones, as in Redis 7.0 (`networking.c`, `helloCommand`).
  func hello(_ client: Client, _ arguments: RequestArguments) {
    var version = client.version
    if arguments.count > 1 {
      guard let number = arguments.integer(1) else {
        return reply(client) {
          $0.writeError("ERR Protocol version is not an integer or out of range")
        }
      }
      guard let asked = UInt8(exactly: number).flatMap(RESPVersion.init) else {
        return reply(client) { $0.writeError("NOPROTO unsupported protocol version") }
      }
      version = asked
    }
    var index = 2
    while index < arguments.count {
      guard let next = takeHelloOption(client, arguments, index) else { return }
      index = next
    }
    guard !client.isLocked || isOpenToOperators(client, .console) else {
      return reply(client) { $0.writeError(ErrorReply.helloWithoutAuthentication) }
    }
    if version != client.version { client.link = nil }
    client.version = version
    reply(client) { self.writeHello(&$0, client) }
  }

  /// Where the next option is; nil: this one was answered with an error.
  private func takeHelloOption(
    _ client: Client, _ arguments: RequestArguments, _ index: Int
  ) -> Int? {
    if arguments.matches(index, "AUTH"), index + 2 < arguments.count {
      guard isRight(client, user: arguments[index + 1], password: arguments[index + 2]) else {
        reply(client) { $0.writeError(ErrorReply.wrongPassword) }
        return nil
      }
      unlock(client)
      return index + 3
    }
    if arguments.matches(index, "SETNAME"), index + 1 < arguments.count {
      guard isName(arguments[index + 1]) else {
        reply(client) { $0.writeError(ErrorReply.badName) }
        return nil
      }
      client.name = Array(arguments[index + 1])
      return index + 2
    }
    reply(client) {
      $0 += ErrorReply.quoting("ERR Syntax error in HELLO option ", arguments[index], "")
    }
    return nil
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
}
