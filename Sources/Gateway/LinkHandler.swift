// SPDX-License-Identifier: Apache-2.0
import Failover
import NIOCore
import NIOPosix
import NIOSSL
import Proxy

#if canImport(Glibc)
  import Glibc
#endif

/// The channel of one connection to Redis.
final class LinkHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  let id: LinkID
  private let shard: ShardLoop
  private var context: ChannelHandlerContext?
  private var failure = LinkEvent.closed

  init(id: LinkID, shard: ShardLoop) {
    self.id = id
    self.shard = shard
  }

  /// Connects; a host name is resolved anew at each attempt, and all its addresses are tried.
  static func connect(
    _ id: LinkID, to address: NodeAddress, on shard: ShardLoop
  ) -> EventLoopFuture<any Channel> {
    let bound = NIOLoopBound(shard, eventLoop: shard.loop)
    let tls = shard.configuration.tls
    let literal = try? SocketAddress(ipAddress: address.host, port: address.port)
    // Certificates are checked against the name; where there is none, against the address.
    let serverName = tls?.serverName ?? (literal == nil ? address.host : nil)
    let bootstrap = ClientBootstrap(group: shard.loop)
      .connectTimeout(.milliseconds(shard.configuration.connectTimeoutMilliseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      // A blocking command or a subscription may be silent for long: the kernel asks after the other end.
      .channelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 5)
      .channelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 2)
      .channelOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 3)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 64 << 10))
      .channelOption(.writeBufferWaterMark, value: .init(low: 256 << 10, high: 1 << 20))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls {
            try channel.pipeline.syncOperations.addHandler(
              NIOSSLClientHandler(context: tls.context, serverHostname: serverName))
          }
          try channel.pipeline.syncOperations.addHandler(LinkHandler(id: id, shard: bound.value))
        }
      }
    // A literal address needs no resolver, whose answer would come from another thread.
    if let literal { return bootstrap.connect(to: literal) }
    return bootstrap.connect(host: address.host, port: address.port)
  }

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    if !shard.linkConnected(self) { abort() }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    shard.linkReceived(id, unwrapInboundIn(data))
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    shard.linkWritable(id, context.channel.isWritable)
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    shard.linkClosed(id, failure)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError {
      failure = .authenticationFailed(TLSFailure.text("\(error)"))
    }
    context.close(promise: nil)
  }

  func write(_ buffer: ByteBuffer) {
    context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  func close() {
    context?.close(promise: nil)
  }

  /// Closes with linger 0: what is not sent yet never will be, and the other end learns it at once.
  func abort() {
    guard let context else { return }
    if let provider = context.channel as? any SocketOptionProvider {
      _ = provider.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }
    context.close(promise: nil)
  }
}
