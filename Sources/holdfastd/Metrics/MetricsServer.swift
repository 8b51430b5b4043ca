// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Answers `GET /metrics`, and nothing else, on a loopback address or a socket.
struct MetricsServer: Service {
  let address: String
  let metrics: Metrics
  let group: any EventLoopGroup

  private static let connectionsMax = 32

  func run() async throws {
    let channel = try await listen()
    await cancelWhenGracefulShutdown { try? await Task.sleep(for: .seconds(86_400 * 365 * 100)) }
    try? await channel.close()
  }

  private func listen() async throws -> any Channel {
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: Int32(Self.connectionsMax))
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { [metrics] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(
            IdleStateHandler(allTimeout: .seconds(30)))
          try channel.pipeline.syncOperations.addHandler(MetricsHandler(metrics: metrics))
        }
      }
    do {
      if address.hasPrefix("/") {
        return try await bootstrap.bind(
          unixDomainSocketPath: address, cleanupExistingSocketFile: true
        ).get()
      }
      let colon = address.lastIndex(of: ":") ?? address.endIndex
      let host = address[..<colon].filter { $0 != "[" && $0 != "]" }
      let port = Int(address[colon...].dropFirst()) ?? 0
      return try await bootstrap.bind(host: host, port: port).get()
    } catch {
      throw WiringError(description: "metrics.listen: cannot listen on \(address): \(error)")
    }
  }
}

/// One connection of a scraper.
private final class MetricsHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let metrics: Metrics
  private var head: HTTPRequestHead?

  init(metrics: Metrics) { self.metrics = metrics }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head else { return }
      self.head = nil
      answer(context, head)
    }
  }

  private func answer(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
    guard head.method == .GET, head.uri.split(separator: "?").first == "/metrics" else {
      return send(context, head, .notFound, "GET /metrics is all there is here\n")
    }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    Task { [metrics, loop = context.eventLoop] in
      let text = try? await metrics.text()
      loop.execute {
        let (handler, context) = bound.value
        if let text {
          handler.send(context, head, .ok, text)
        } else {
          handler.send(context, head, .serviceUnavailable, "the daemon is stopping\n")
        }
      }
    }
  }

  private func send(
    _ context: ChannelHandlerContext, _ request: HTTPRequestHead, _ status: HTTPResponseStatus,
    _ text: String
  ) {
    let body = ByteBuffer(string: text)
    var head = HTTPResponseHead(version: request.version, status: status)
    head.headers.add(name: "content-type", value: "text/plain; version=0.0.4; charset=utf-8")
    head.headers.add(name: "content-length", value: "\(body.readableBytes)")
    if !request.isKeepAlive { head.headers.add(name: "connection", value: "close") }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    let isLast = !request.isKeepAlive
    context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
      if isLast { context.close(promise: nil) }
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
