// SPDX-License-Identifier: Apache-2.0
import RESP

// How much one client may take of what all share. Native commands keep to one link and have the share alone.
extension Shard {
  /// Others' commands wait behind those that a client has on the same link: few enough to cost them a fraction of a
  /// millisecond, many enough that a pipeline never waits for the network alone.
  static let sharedRequestsMax = 128
  static let sharedBytesMax = 256 << 10
  /// Who has sent nothing for so long does not count.
  private static let sharedForMilliseconds: Int64 = 1_000

  /// Commands, and their bytes, that a client may have in flight now: its share where others use its link too.
  func room(of client: Client) -> (requests: Int, bytes: Int) {
    guard client.lease == nil, let link = client.nativeLink ?? client.link,
      now - link.sharedMilliseconds < Self.sharedForMilliseconds
    else { return (client.requestsMax, client.bytesMax) }
    return (
      min(client.requestsMax, Self.sharedRequestsMax), min(client.bytesMax, Self.sharedBytesMax)
    )
  }

  /// Whether a client has room for one more command in flight; if not, it waits for its replies.
  func hasRoom(_ client: Client, _ byteCount: Int) -> Bool {
    let (requests, bytes) = (client.order.outstanding, client.inFlightBytes + byteCount)
    // Nearly always it has room in any case.
    if requests < min(Self.sharedRequestsMax, client.requestsMax),
      bytes <= min(Self.sharedBytesMax, client.bytesMax)
    {
      return true
    }
    let room = room(of: client)
    // However large: one at a time always may.
    if requests < room.requests, bytes <= room.bytes || client.inFlightBytes == 0 { return true }
    client.block = .inFlight
    return false
  }

  /// Whether a client that had no room takes commands again: not at every reply, but once half of its room is free.
  func hasRoomAgain(_ client: Client) -> Bool {
    let room = room(of: client)
    return client.order.outstanding <= room.requests / 2 && client.inFlightBytes <= room.bytes / 2
  }

  /// Where a client goes on that is owed nothing and would have to wait behind another's large reply or long pipeline.
  /// Not where a lost connection could still execute something of its.
  func lessBusy(than link: Link, for client: Client) -> Link? {
    guard client.nativeLink == nil, link.isReady, link.predecessors.isEmpty,
      let group = groups[client.group], group.count > 1
    else { return nil }
    return group.first {
      $0.isReady && !$0.isBusy && $0.predecessors.isEmpty && $0.deferred.isEmpty
    }
  }

  /// A client's command goes onto a link: behind another client's, both share it.
  @inline(__always)
  func noteSender(_ client: ClientID, on link: Link) {
    guard link.lastClient != client else { return }
    if link.lastClient != .nobody { link.sharedMilliseconds = now }
    link.lastClient = client
  }
}
