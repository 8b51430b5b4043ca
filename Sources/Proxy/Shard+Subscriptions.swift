// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// Subscriptions on a leased connection: what Redis sends goes to the client as it is. Behind each command that
// changes subscriptions travels a `PING` of the daemon's; its answer says that all before it has arrived.
extension Shard {
  private static let marker = "holdfast:marker"
  static let markerPing = command(["PING", marker])
  /// The marker's answer, and its form while RESP2 is subscribed.
  private static let markerReply = Array("$\(marker.utf8.count)\r\n\(marker)\r\n".utf8)
  private static let markerPong = Array("*2\r\n$4\r\npong\r\n".utf8) + markerReply

  private static func command(_ arguments: [String]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.writeCommand(arguments)
    return bytes
  }

  /// Sends a command that is answered by messages, with a marker behind it.
  func sendWithMarker(
    _ client: Client, _ link: Link, _ frame: UnsafeRawBufferPointer
  ) -> Bool {
    guard link.queue.replyCount < configuration.inFlightPerClientMax else {
      client.block = .marker
      return false
    }
    // What is answered by a message cannot be told from a reply that is still due.
    guard client.isStreaming || client.order.isSettled else {
      client.block = .settle
      return false
    }
    client.isStreaming = true
    let bytes = Array(frame) + Self.markerPing
    bytes.withUnsafeBytes { enqueue($0, client.id, 0, .marker, on: link) }
    return true
  }

  /// A command of a client in subscribed mode. Nil: it is taken as on any connection of its own.
  func takeWhileSubscribed(
    _ client: Client, _ link: Link, _ index: CommandIndex?, _ arguments: RequestArguments,
    _ frame: UnsafeRawBufferPointer
  ) -> Bool? {
    let name = index.map { table[$0].name } ?? ""
    let route: Route =
      index.map { self.route(of: $0, table.facts($0), arguments) } ?? .pass
    switch route {
    case .pinned(.subscription): return sendWithMarker(client, link, frame)
    case .pinnedOnly where name.hasSuffix("UNSUBSCRIBE"): return sendWithMarker(client, link, frame)
    case .local(.ping) where client.version == .two: return sendWithMarker(client, link, frame)
    case .pass where client.version == .three, .pinned where client.version == .three: return nil
    case .pass, .local, .pinned, .pinnedOnly, .refused, .forbidden: break
    }
    // What the daemon says by itself must not overtake what is on its way. And in RESP2 it may have
    // unsubscribed a moment ago.
    guard !link.queue.entries.contains(where: { $0.kind == .marker || $0.kind == .move }) else {
      client.block = .marker
      return false
    }
    if client.version == .three || route == .local(.quit) || route == .local(.reset) { return nil }
    guard !client.subscriptions.isEmpty else {
      reply(client) { $0.writeError(ErrorReply.subscribed(name)) }
      return true
    }
    // Redis executes nothing of it, and says why in its own order of complaints.
    return forward(client, frame, .client, on: link)
  }

  /// Takes a frame of a subscribed connection. False: it is the reply to a command.
  func takeStreamed(
    _ client: Client, _ link: Link, _ frame: Frame, _ reply: UnsafeRawBufferPointer
  ) -> Bool {
    let due = link.queue.entries.first?.kind
    let isMarkerDue = due == .marker || due == .move
    if isMarkerDue, reply.elementsEqual(Self.markerReply) || reply.elementsEqual(Self.markerPong) {
      _ = link.queue.takeReply()
      if due == .move { endMove(client) }
      let isLast = !link.queue.entries.contains { $0.kind == .marker || $0.kind == .move }
      if isLast, client.subscriptions.isEmpty, !client.isMonitoring { client.isStreaming = false }
      if client.block == .marker { unblock(client) }
      releaseLeaseIfOver(client, link)
      return true
    }
    // What prepared the connection, or a client's own command, is answered in its turn. In RESP2 a message looks like a
    // reply; but there Redis answers a subscriber's command with an error alone.
    if !frame.isPush, due != nil, !isMarkerDue {
      guard client.version == .two, due == .client, !frame.isError else { return false }
    }
    let confirmation = Subscriptions.Confirmation(reply, limits: configuration.replyLimits)
    if let confirmation { client.subscriptions.note(confirmation) }
    if due == .move {
      // Refused what it had: an ACL has changed, and its owner should hear of it.
      if frame.isError { close(client) }
      // It was told so before.
      if frame.isError || confirmation != nil { return true }
    }
    passPush(client, reply)
    return true
  }

  /// Gives a client what it did not ask for just now.
  func passPush(_ client: Client, _ reply: UnsafeRawBufferPointer) {
    provideOutput(client)
    client.output.append(contentsOf: reply)
    outputBytes += reply.count
    queueOutput(client)
    limitOutput(client)
  }
}
