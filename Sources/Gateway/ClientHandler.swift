// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import Proxy

/// The channel of one app's connection.
final class ClientHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let shard: ShardLoop
  private let entrance: Entrance
  private var context: ChannelHandlerContext?
  private(set) var id: ClientID?

  init(shard: ShardLoop, entrance: Entrance) {
    self.shard = shard
    self.entrance = entrance
  }

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    switch entrance {
    case .socket:
      id = shard.clientConnected(self, .socket, peer: PeerCredentials.read(context.channel))
    case .tcp, .inside: id = shard.clientConnected(self, entrance, peer: nil)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let id else { return }
    shard.clientReceived(id, unwrapInboundIn(data))
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    guard let id else { return }
    shard.clientWritable(id, context.channel.isWritable)
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    guard let id else { return }
    self.id = nil
    shard.clientClosed(id)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard let id, case .inputClosed? = event as? ChannelEvent else { return }
    shard.clientInputEnded(id)
  }

  /// Lets the other end send nothing more: its next write fails at once, while all that it wrote before is still read.
  ///
  /// Closing instead would drop requests that the kernel holds, and their sender could not know. False: it is of a kind
  /// where that cannot be done.
  func endInput() -> Bool {
    guard entrance == .socket, let channel = context?.channel else { return false }
    try? channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    let code = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
      of: NIOBSDSocket.Handle.self
    ) { shutdown($0, CInt(SHUT_RD)) }
    return code == 0
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }

  func write(_ buffer: ByteBuffer) {
    context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  func peerGroups() -> [UInt32] { context.map { PeerGroups.read($0.channel) } ?? [] }

  func close() {
    context?.close(promise: nil)
  }

  /// Closes once all replies are written, or when the client has not read them for five seconds.
  func closeAfterWriting() {
    guard let context else { return }
    let written = context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenComplete { _ in self.close() }
    context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(5)) { self.close() }
    context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
  }

  func setReading(_ isReading: Bool) {
    try? context?.channel.syncOptions?.setOption(.autoRead, value: isReading)
  }
}

/// The groups of a process behind a Unix-domain socket.
enum PeerGroups {
  /// As many as are looked at; a user with more is not recognized by them.
  private struct Raw: Sendable {
    var gids = InlineArray<64, UInt32>(repeating: 0)
  }

  private static let option = NIOBSDSocket.Option(rawValue: 59)  // SO_PEERGROUPS, Linux 4.13

  /// Empty where the kernel does not say. Group 0 is left out: it stands for an empty place.
  static func read(_ channel: any Channel) -> [UInt32] {
    guard let provider = channel as? any SocketOptionProvider else { return [] }
    var groups: [UInt32] = []
    let asked: EventLoopFuture<Raw> = provider.unsafeGetSocketOption(level: .socket, name: option)
    asked.assumeIsolated().whenSuccess { raw in
      for index in raw.gids.indices where raw.gids[index] != 0 { groups.append(raw.gids[index]) }
    }
    return groups
  }
}

/// The process behind a Unix-domain socket, as the kernel saw it at connect.
enum PeerCredentials {
  /// Linux' `struct ucred`, see unix(7).
  private struct Raw: Sendable {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
  }

  private static let option = NIOBSDSocket.Option(rawValue: 17)  // SO_PEERCRED

  /// Nil where the other end is no local process.
  static func read(_ channel: any Channel) -> Peer? {
    guard let provider = channel as? any SocketOptionProvider else { return nil }
    var peer: Peer?
    let asked: EventLoopFuture<Raw> = provider.unsafeGetSocketOption(level: .socket, name: option)
    // Answered at once: this runs on the channel's own loop.
    asked.assumeIsolated().whenSuccess { peer = Peer(pid: $0.pid, uid: $0.uid, gid: $0.gid) }
    return peer
  }
}
