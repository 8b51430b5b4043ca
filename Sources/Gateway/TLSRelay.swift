// SPDX-License-Identifier: Apache-2.0
import CLinux
import Failover
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Proxy

/// TLS ends here, on NIO's channels: each connection is relayed to a pair of sockets, and its shard sees plain bytes.
///
/// The inner pair is closed by the shard alone, so that it hears why a connection ended before it ends.
struct TLSRelay: Sendable {
  /// Clients that have connected and not agreed on TLS yet; more are closed.
  private static let handshakesMax = 256

  let group: any EventLoopGroup
  private let handshakes = NIOLockedValueBox(0)

  init(group: any EventLoopGroup) { self.group = group }

  /// Connects to Redis and agrees on TLS; answers with the shard's end, which is the caller's to close.
  ///
  /// - Parameter ended: What became of the connection later on.
  func connect(
    to address: NodeAddress, _ tls: UpstreamTLS, timeoutMilliseconds: Int64,
    ended: @escaping @Sendable (LinkEvent) -> Void
  ) -> EventLoopFuture<CInt> {
    let literal = try? SocketAddress(ipAddress: address.host, port: address.port)
    // Certificates are checked against the name; where there is none, against the address.
    let serverName = tls.serverName ?? (literal == nil ? address.host : nil)
    let loop = group.next()
    let agreed = loop.makePromise(of: CInt.self)
    let bootstrap = ClientBootstrap(group: loop)
      .connectTimeout(.milliseconds(timeoutMilliseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .channelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 5)
      .channelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 2)
      .channelOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 3)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(
            NIOSSLClientHandler(context: tls.context, serverHostname: serverName))
          try pipeline.addHandler(OuterHandler(agreed: agreed, ended: ended))
        }
      }
    bootstrap.connect(host: address.host, port: address.port).cascadeFailure(to: agreed)
    return agreed.futureResult
  }

  /// Listens for clients that speak TLS; each is given to `accepted` as the shard's end of a pair.
  func listen(
    _ listener: TCPListener, _ context: NIOSSLContext, backlog: Int32,
    accepted: @escaping @Sendable (CInt) -> Void
  ) async throws -> any Channel {
    try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [handshakes] channel in
        channel.eventLoop.makeCompletedFuture {
          let count = handshakes.withLockedValue { count in
            count += 1
            return count
          }
          let agreed = channel.eventLoop.makePromise(of: CInt.self)
          agreed.futureResult.whenSuccess(accepted)
          agreed.futureResult.whenComplete { _ in handshakes.withLockedValue { $0 -= 1 } }
          guard count <= Self.handshakesMax else {
            agreed.fail(ChannelError.connectPending)
            throw ChannelError.connectPending
          }
          let pipeline = channel.pipeline.syncOperations
          try pipeline.addHandler(NIOSSLServerHandler(context: context))
          try pipeline.addHandler(OuterHandler(agreed: agreed, ended: nil))
        }
      }
      .bind(host: listener.host, port: listener.port).get()
  }
}

/// The side that speaks TLS: once both sides agree it makes the inner pair.
private final class OuterHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let agreed: EventLoopPromise<CInt>
  /// Nil: the inner pair is closed instead.
  private let ended: (@Sendable (LinkEvent) -> Void)?
  private var failure = LinkEvent.closed
  private var isAgreed = false
  private var hasEnded = false

  init(agreed: EventLoopPromise<CInt>, ended: (@Sendable (LinkEvent) -> Void)?) {
    self.agreed = agreed
    self.ended = ended
  }

  /// Whoever does not come to an end with its handshake takes a place that others want.
  private static let handshakeLimit = TimeAmount.seconds(10)

  func channelActive(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: Self.handshakeLimit) {
      let (handler, context) = bound.value
      if !handler.isAgreed { context.close(promise: nil) }
    }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent, !isAgreed {
      isAgreed = true
      open(context)
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func open(_ context: ChannelHandlerContext) {
    var ends: [CInt] = [-1, -1]
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      agreed.fail(ChannelError.operationUnsupported)
      return context.close(promise: nil)
    }
    let (inner, shards) = (ends[0], ends[1])
    let outer = RelayHandler(isUpstream: ended != nil)
    let other = NIOLoopBound(RelayHandler(behind: outer), eventLoop: context.eventLoop)
    do {
      try context.pipeline.syncOperations.addHandler(outer)
    } catch {
      Glibc.close(inner)
      Glibc.close(shards)
      agreed.fail(error)
      return context.close(promise: nil)
    }
    let agreed = agreed
    ClientBootstrap(group: context.eventLoop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(other.value)
        }
      }
      .withConnectedSocket(inner)
      .whenComplete { result in
        switch result {
        case .success: agreed.succeed(shards)
        case .failure(let error):
          Glibc.close(shards)
          agreed.fail(error)
        }
      }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError {
      failure = .authenticationFailed(TLSFailure.text("\(error)"))
    }
    if !isAgreed { agreed.fail(TLSRelayError(event: failure)) }
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    if !isAgreed { agreed.fail(TLSRelayError(event: failure)) }
    if isAgreed, !hasEnded { ended?(failure) }
    hasEnded = true
    context.fireChannelInactive()
  }
}

/// Why no connection came about.
struct TLSRelayError: Error {
  let event: LinkEvent
}

/// One side of a relay: gives what it reads to the other, and reads no faster than that one takes it.
private final class RelayHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var other: RelayHandler?
  private var context: ChannelHandlerContext?
  private var isActive: Bool
  private var isReadDue = false
  /// What came together with the end of the handshake, before the other side was there.
  private var early: [ByteBuffer] = []
  /// The side that leads to the shard.
  private let isInner: Bool
  /// To Redis: the shard closes its end when it gives the connection up, and nothing more may be executed.
  private let isUpstream: Bool

  init(isUpstream: Bool) {
    isInner = false
    isActive = true
    self.isUpstream = isUpstream
  }

  init(behind outer: RelayHandler) {
    isInner = true
    isActive = false
    isUpstream = outer.isUpstream
    other = outer
    outer.other = self
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    other = nil
  }

  /// Where bytes go, once it is there.
  private var target: ChannelHandlerContext? { other.flatMap { $0.isActive ? $0.context : nil } }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = unwrapInboundIn(data)
    guard let target else { return early.append(bytes) }
    target.write(wrapOutboundOut(bytes), promise: nil)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    target?.flush()
    context.fireChannelReadComplete()
  }

  func read(context: ChannelHandlerContext) {
    guard let target, target.channel.isWritable else {
      isReadDue = true
      return
    }
    context.read()
  }

  func channelActive(context: ChannelHandlerContext) {
    isActive = true
    other?.targetIsThere()
    context.fireChannelActive()
  }

  private func targetIsThere() {
    for bytes in early { target?.write(wrapOutboundOut(bytes), promise: nil) }
    early = []
    target?.flush()
    readIfDue()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { other?.readIfDue() }
    context.fireChannelWritabilityChanged()
  }

  private func readIfDue() {
    guard isReadDue, let context else { return }
    isReadDue = false
    context.read()
  }

  func channelInactive(context: ChannelHandlerContext) {
    isActive = false
    if isInner {
      other?.endWithShard()
    } else if !isUpstream {
      other?.context?.close(promise: nil)
    }
    context.fireChannelInactive()
  }

  /// The shard has closed its end.
  private func endWithShard() {
    guard let context else { return }
    guard isUpstream else {
      // Its last replies are on their way.
      let written = context.eventLoop.makePromise(of: Void.self)
      let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
      written.futureResult.whenComplete { _ in bound.value.context?.close(promise: nil) }
      // One that does not read them is not waited for.
      context.eventLoop.scheduleTask(in: .seconds(5)) { bound.value.context?.close(promise: nil) }
      return context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }
    if let provider = context.channel as? any SocketOptionProvider {
      _ = provider.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }
    context.close(promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
