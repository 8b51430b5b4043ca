// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// `MULTI` to `EXEC` on a leased connection, and what is said when that connection was lost.
extension Shard {
  /// A command between `MULTI` and `EXEC`.
  func takeInTransaction(
    _ client: Client, _ index: CommandIndex?, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    guard let lease = client.lease, let link = link(lease) else { return true }
    guard hasRoom(client, frame.count) else { return false }
    guard let index else {
      client.isTransactionWriting = true
      send(client, frame, .client, on: link)
      return true
    }
    switch table[index].name {
    // Redis says what is wrong with it; a malformed EXEC ends the transaction, a malformed DISCARD does not.
    case "EXEC" where arguments.count != 1:
      client.transaction = .ending
      send(client, frame, .transactionEnd, on: link)
      return true
    case "DISCARD" where arguments.count != 1:
      send(client, frame, .client, on: link)
      return true
    case "EXEC" where client.isTransactionPoisoned: return discardPoisoned(client, link)
    case "EXEC" where isFenced && client.isTransactionWriting: return awaitFence(client)
    case "EXEC", "DISCARD":
      client.transaction = .ending
      send(client, frame, .transactionEnd, on: link)
      return true
    default: break
    }
    if table.facts(index).isWrite { client.isTransactionWriting = true }
    switch route(of: index, table.facts(index), arguments) {
    case .pass, .pinnedOnly, .pinned(.blocking), .pinned(.watch), .pinned(.transaction):
      withRepairs(index, arguments, frame) { send(client, $0, .client, on: link) }
    case .local(.reset), .local(.quit):
      return takeLocal(
        client, table.facts(index).route == .local(.reset) ? .reset : .quit, arguments)
    case .local(.ping), .local(.echo), .local(.time), .local(.role), .local(.info):
      send(client, frame, .client, on: link)
    case .local(let command) where command == .unknownSubcommand:
      client.isTransactionPoisoned = true
      return takeLocal(client, command, arguments)
    case .local, .pinned(.subscription), .pinned(.tracking):
      poison(
        client, "DENIED \(displayName(index)) is refused inside MULTI: send it before or after")
    case .refused, .forbidden:
      let hasArity = self.hasArity(client, index, arguments)
      if hasArity { reply(client) { $0.writeError(self.refusal(of: index, arguments)) } }
      client.isTransactionPoisoned = true
    }
    return true
  }

  /// As Redis does: a transaction with a refused command executes nothing.
  private func poison(_ client: Client, _ text: String) {
    client.isTransactionPoisoned = true
    reply(client) { $0.writeError(text) }
  }

  private func discardPoisoned(_ client: Client, _ link: Link) -> Bool {
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    var discard: [UInt8] = []
    discard.writeCommand(["DISCARD"])
    discard.withUnsafeBytes { enqueue($0, client.id, 0, .own, on: link) }
    client.transaction = .none
    client.isWatching = false
    reply(client) { $0.writeError(ErrorReply.transactionPoisoned) }
    return true
  }

  /// `MULTI` of a client whose watched keys went with their connection: nobody can tell whether they changed,
  /// so `EXEC` will say that they did.
  func beginBrokenTransaction(_ client: Client) -> Bool {
    client.isWatchBroken = false
    client.transaction = .failed(isWatchBroken: true)
    reply(client) { $0.writeSimple("OK") }
    return true
  }

  /// The connection of this transaction is lost; nothing of it was executed.
  func takeInFailedTransaction(
    _ client: Client, _ index: CommandIndex?, _ arguments: RequestArguments, _ isWatchBroken: Bool
  ) -> Bool {
    if let index, !hasFittingArity(index, arguments) {
      if table[index].name == "EXEC" { client.transaction = .none }
      _ = hasArity(client, index, arguments)
      return true
    }
    switch index.map({ table[$0].name }) ?? "" {
    case "EXEC":
      client.transaction = .none
      let version = client.version
      reply(client) {
        if isWatchBroken {
          $0.writeNullArray(version)
        } else {
          $0.writeError(ErrorReply.transactionLost)
        }
      }
    case "DISCARD":
      client.transaction = .none
      reply(client) { $0.writeSimple("OK") }
    case "MULTI": reply(client) { $0.writeError("ERR MULTI calls can not be nested") }
    case "QUIT": return takeLocal(client, .quit, arguments)
    case "RESET": return takeLocal(client, .reset, arguments)
    default: reply(client) { $0.writeSimple("QUEUED") }
    }
    return true
  }
}
