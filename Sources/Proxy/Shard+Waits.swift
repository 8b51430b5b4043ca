// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// Commands that cannot go on now: why they wait, until when, and what they are told at the end.
extension Shard {
  /// Lets a client wait for the master, or tells it that none will come.
  func awaitMaster(_ client: Client, isNative: Bool = false) -> Bool {
    if let text = groupErrors[isNative ? nativeGroup : client.group] {
      reply(client) { $0.writeError(text) }
      return true
    }
    switch view.state {
    case .hopeless(let reason):
      failNoMaster(client, reason)
      return true
    case .serving, .waiting:
      guard !client.isFailingFast else {
        failNoMaster(client, waitReason)
        return true
      }
      startWaiting(client, .master)
      client.isAwaitingNative = isNative
      masterWaiters.append(client.id)
      return false
    }
  }

  /// Blocks a client until its next command can go on, at most until that command's deadline.
  func startWaiting(_ client: Client, _ block: Client.Block) {
    client.block = block
    _ = deadline(of: client, client.order.issued)
  }

  /// A command is tried until one deadline, however often it waits or is sent; those behind it share it.
  func deadline(of client: Client, _ position: UInt64) -> Int64 {
    if client.order.answered > client.deadlinePosition || client.deadlineMilliseconds == 0 {
      client.deadlinePosition = position
      client.deadlineMilliseconds = now + configuration.waitMilliseconds
    }
    return client.deadlineMilliseconds
  }

  func noteOverloaded() {
    counters.overloaded += 1
    figures.overloaded += 1
  }

  func failNoMaster(_ client: Client, _ reason: String) {
    counters.noMaster += 1
    figures.noMaster += 1
    reply(client) { $0.writeError(ErrorReply.noMaster(reason)) }
  }

  /// Why requests wait, in words.
  var waitReason: String {
    switch view.state {
    case .waiting(let reason), .hopeless(let reason):
      "no verified master within \(configuration.waitMilliseconds) ms: \(reason)"
    case .serving:
      "no connection to the master within \(configuration.waitMilliseconds) ms"
    }
  }
}
