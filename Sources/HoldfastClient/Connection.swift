// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import RESP

/// One connection: commands go out as they come, replies come back in order.
final class Connection: Sendable {
  private let channel: any Channel
  private let handler: NIOLoopBound<ReplyHandler>

  private init(channel: any Channel, handler: NIOLoopBound<ReplyHandler>) {
    self.channel = channel
    self.handler = handler
  }

  /// Connects and asks for RESP3.
  static func open(
    _ configuration: HoldfastClient.Configuration, _ group: any EventLoopGroup
  ) async throws -> Connection {
    let connection: Connection
    do {
      connection = try await connect(configuration, group)
    } catch {
      throw HoldfastError.unreachable("\(configuration.path): \(error)")
    }
    let credentials = configuration.password.map { ["AUTH", "default", $0] } ?? []
    let words = (["HELLO", "3"] + credentials).map { Array($0.utf8) }
    if case .error(let text) = try await connection.send(words) {
      await connection.close()
      throw HoldfastError(reply: text)
    }
    return connection
  }

  private static func connect(
    _ configuration: HoldfastClient.Configuration, _ group: any EventLoopGroup
  ) async throws -> Connection {
    let limits = ScanLimits(bulkBytesMax: configuration.replyBytesMax)
    let made = group.next().makePromise(of: NIOLoopBound<ReplyHandler>.self)
    do {
      let channel = try await ClientBootstrap(group: made.futureResult.eventLoop)
        .connectTimeout(.milliseconds(configuration.connectMilliseconds))
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let handler = ReplyHandler(limits: limits, requestsMax: configuration.requestsMax)
            try channel.pipeline.syncOperations.addHandler(handler)
            made.succeed(NIOLoopBound(handler, eventLoop: channel.eventLoop))
          }
        }
        .connect(unixDomainSocketPath: configuration.path).get()
      return Connection(channel: channel, handler: try await made.futureResult.get())
    } catch {
      made.fail(error)
      throw error
    }
  }

  var isOpen: Bool { channel.isActive }

  /// A reply; error replies are values.
  func send(_ words: [[UInt8]]) async throws -> RESPValue {
    var bytes: [UInt8] = []
    bytes.writeCommand(words)
    let request = ByteBuffer(bytes: bytes)
    return try await channel.eventLoop.flatSubmit { [handler] in
      handler.value.send(request)
    }.get()
  }

  func close() async { try? await channel.close() }
}

/// Gives replies to those who wait for them.
final class ReplyHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let requestsMax: Int
  private let limits: ScanLimits
  private var scanner: ReplyScanner
  private var input: [UInt8] = []
  private var waiting = CircularBuffer<EventLoopPromise<RESPValue>>()
  private var context: ChannelHandlerContext?

  init(limits: ScanLimits, requestsMax: Int) {
    self.limits = limits
    self.requestsMax = requestsMax
    scanner = ReplyScanner(limits: limits)
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func send(_ request: ByteBuffer) -> EventLoopFuture<RESPValue> {
    guard let context, context.channel.isActive else {
      return failed(.connectionLost(mayHaveRun: false))
    }
    guard waiting.count < requestsMax else {
      return failed(.overloaded("\(requestsMax) requests are under way on this connection"))
    }
    let promise = context.eventLoop.makePromise(of: RESPValue.self)
    waiting.append(promise)
    context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    return promise.futureResult
  }

  private func failed(_ error: HoldfastError) -> EventLoopFuture<RESPValue> {
    guard let loop = context?.eventLoop ?? MultiThreadedEventLoopGroup.currentEventLoop else {
      preconditionFailure("called on its loop")
    }
    return loop.makeFailedFuture(error)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    input.append(contentsOf: buffer.readableBytesView)
    do {
      try takeReplies()
    } catch {
      context.close(promise: nil)
    }
  }

  private func takeReplies() throws {
    var offset = 0
    defer { input.removeFirst(offset) }
    try input.withUnsafeBytes { bytes in
      while let frame = try scanner.next(in: bytes, from: offset) {
        let value = try RESPValue.parse(bytes, from: offset, limits: limits)?.value
        offset += frame.byteCount
        guard !frame.isPush, let value else { continue }
        waiting.popFirst()?.succeed(value)
      }
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.context = nil
    while let promise = waiting.popFirst() {
      promise.fail(HoldfastError.connectionLost(mayHaveRun: true))
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
