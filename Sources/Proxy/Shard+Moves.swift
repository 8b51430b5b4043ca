// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// Subscribers whose connection is lost get another one, on which the daemon asks for all that they had. What was
// published in between is lost, as Redis keeps no messages; who subscribes to `__holdfast__:gap` is told so.
extension Shard {
  /// Whether nothing but its subscriptions and commands hangs on a subscriber's lost connection.
  func maySubscribeAgain(_ client: Client, _ entries: InFlightQueue) -> Bool {
    let isSettled = !entries.entries.contains { $0.kind == .marker }
    let hasOtherState = client.isTracking || client.isMonitoring || client.isWatching
    return isSettled && !hasOtherState && client.transaction == .none && !client.isClosed
      && client.block != .closing && client.subscriptions.isComplete && !isDraining
  }

  /// Lets a subscriber wait for another connection; what it sends meanwhile waits with it.
  func awaitMove(_ client: Client) {
    if client.moveDeadlineMilliseconds == 0 {
      client.moveDeadlineMilliseconds = now + configuration.waitMilliseconds
    }
    client.block = .moving
    movers.append(client.id)
  }

  /// Gives those who wait the connections that are ready.
  func moveSubscribers() {
    guard !movers.isEmpty else { return tellMoves() }
    var waiting: [ClientID] = []
    swap(&waiting, &movers)
    for id in waiting {
      guard let client = clients[id], client.block == .moving else { continue }
      let isOver = client.moveDeadlineMilliseconds <= now || isDraining
      guard !isOver, groupErrors[client.group] == nil else {
        close(client)
        continue
      }
      // What its lost connection may still execute is void first, as for any connection of its own.
      guard view.isServing, client.order.isSettled, !mayStillExecute(client),
        let spare = takeSpare(for: client)
      else {
        movers.append(id)
        continue
      }
      lease(spare, to: client)
      // Whatever prepares the connection comes before it.
      client.block = .moving
      let bytes = client.subscriptions.commands + Self.markerPing
      bytes.withUnsafeBytes { enqueue($0, client.id, 0, .move, on: spare) }
    }
    if !movers.isEmpty { makeSpares() }
  }

  /// A subscriber has again what it had.
  func endMove(_ client: Client) {
    client.moveDeadlineMilliseconds = 0
    movedCount += 1
    if client.subscriptions.wantsGaps { tellGap(client) }
    if client.block == .moving { unblock(client) }
  }

  private func tellGap(_ client: Client) {
    var message: [UInt8] = []
    message.writePushHeader(3, client.version)
    message.writeBulk("message")
    message.writeBulk(Subscriptions.gapChannel)
    message.writeBulk("generation \(view.generation)")
    message.withUnsafeBytes { passPush(client, $0) }
  }

  /// Once for all that have moved together.
  private func tellMoves() {
    guard movedCount > 0 else { return }
    actions.append(.note(.subscribersMoved(count: movedCount)))
    movedCount = 0
  }
}
