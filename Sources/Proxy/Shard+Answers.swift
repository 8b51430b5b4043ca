// SPDX-License-Identifier: Apache-2.0
import RESP

// What the daemon says by itself, and the end of clients.
extension Shard {
  /// Answers a command of the client by the daemon itself, in its turn.
  func reply(_ client: Client, _ build: (inout [UInt8]) -> Void) {
    scratch.removeAll(keepingCapacity: true)
    let isSilent = isSilent(client)
    let position = client.order.issue()
    if !isSilent { build(&scratch) }
    scratch.withUnsafeBytes { answer(client, position, $0) }
  }

  /// Answers the command at a position of the client's order.
  func answer(_ client: Client, _ position: UInt64, _ reply: UnsafeRawBufferPointer) {
    provideOutput(client)
    if position == client.order.answered { makeRoom(for: reply.count, in: &client.output) }
    client.order.answer(position, with: reply, into: &client.output)
    outputBytes += reply.count
    queueOutput(client)
    limitOutput(client)
    if client.block != nil { reconsider(client) }
    if client.hasInputEnded { closeIfSettled(client) }
  }

  /// Cuts off a client that does not read, or the one that reads least where all together hold too much.
  func limitOutput(_ client: Client) {
    if client.unreadBytes > configuration.outputBytesPerClientMax {
      refuseByLimit(client, "limits.outputBytesPerClient")
      abort(client)
    }
    guard outputBytes > configuration.outputBytesMax else { return }
    if let largest = clients.all.max(by: { $0.unreadBytes < $1.unreadBytes }) {
      refuseByLimit(largest, "limits.outputBytesTotal")
      abort(largest)
    }
  }

  /// Whether the command that is being taken gets no reply (`CLIENT REPLY`).
  func isSilent(_ client: Client) -> Bool {
    switch client.replyMode {
    case .on: return false
    case .off: return true
    case .skipNext:
      client.replyMode = .on
      return true
    }
  }

  /// Takes no more commands of a client, and closes it once all are answered.
  func finish(_ client: Client) {
    guard !client.order.isSettled else { return close(client) }
    client.block = .closing
  }

  /// Closes a client once the replies that have come are written.
  func close(_ client: Client) {
    guard !client.isClosed else { return }
    client.isClosed = true
    client.block = .closing
    queueOutput(client)
    actions.append(.closeClient(client.id))
  }

  /// Closes a client at once.
  func abort(_ client: Client) {
    guard !client.isClosed else { return }
    client.isClosed = true
    client.block = .closing
    outputBytes -= client.output.count
    client.output = []
    actions.append(.abortClient(client.id))
  }
}
