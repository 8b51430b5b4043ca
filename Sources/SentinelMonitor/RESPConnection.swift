// SPDX-License-Identifier: Apache-2.0

import Failover
import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import RESP
import Synchronization

/// Why a connection gave no answer.
struct ConnectionError: Error {
  let failure: ProbeFailure
  /// The peer had closed the connection: it may be a leftover of a restart, worth one more try.
  var isClosed = false

  /// What an error reply means.
  static func classify(_ message: String) -> ConnectionError {
    let word = message.prefix { $0 != " " }
    switch word {
    case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED":
      return ConnectionError(failure: .authentication(message))
    case "BUSY", "LOADING", "MASTERDOWN": return ConnectionError(failure: .busy(message))
    default:
      return message.hasPrefix("ERR max number of clients")
        ? ConnectionError(failure: .busy(message)) : ConnectionError(failure: .malformed(message))
    }
  }
}

/// A connection that asks and waits. Closed at the first timeout: a reply that comes late must never
/// answer the next question.
struct RESPConnection: Sendable {
  private let channel: any Channel
  private let end: ConnectionEnd

  /// Connects, trying every address that the name has now. `onPush` takes what answers nothing and
  /// says whether there was room; `onClose` follows the last of them.
  static func connect(
    to address: NodeAddress, tls: TLS?, timeoutMilliseconds: Int64, group: any EventLoopGroup,
    onPush: (@Sendable (RESPValue) -> Bool)? = nil,
    onClose: @escaping @Sendable () -> Void = {}
  ) async throws(ConnectionError) -> RESPConnection {
    let literal = try? SocketAddress(ipAddress: address.host, port: address.port)
    let end = ConnectionEnd()
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(timeoutMilliseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          if let tls {
            let name = tls.serverName ?? (literal == nil ? address.host : nil)
            try pipeline.addHandler(
              NIOSSLClientHandler(context: tls.context, serverHostname: name))
          }
          try pipeline.addHandler(RESPClientHandler(end: end, onPush: onPush, onClose: onClose))
        }
      }
    do {
      let future =
        if let literal {
          bootstrap.connect(to: literal)
        } else {
          bootstrap.connect(host: address.host, port: address.port)
        }
      return RESPConnection(channel: try await future.get(), end: end)
    } catch ChannelError.connectTimeout {
      throw ConnectionError(failure: .timedOut)
    } catch {
      throw ConnectionError(failure: .unreachable(Self.describe(error)))
    }
  }

  /// Sends the commands at once and waits for as many replies. Errors are replies, too.
  func ask(
    _ commands: [[String]], timeoutMilliseconds: Int64
  ) async throws(ConnectionError) -> [RESPValue] {
    let promise = channel.eventLoop.makePromise(of: [RESPValue].self)
    let request = RESPRequest(
      commands: commands, promise: promise, timeoutMilliseconds: timeoutMilliseconds)
    do {
      return try await withTaskCancellationHandler {
        channel.writeAndFlush(request).cascadeFailure(to: promise)
        return try await promise.futureResult.get()
      } onCancel: {
        channel.close(promise: nil)
      }
    } catch let error as ConnectionError {
      throw error.isClosed ? end.cause ?? error : error
    } catch {
      throw end.cause
        ?? ConnectionError(failure: .unreachable(Self.describe(error)), isClosed: true)
    }
  }

  /// Sends without waiting; what comes back goes to `onPush`.
  func send(_ command: [String]) {
    channel.writeAndFlush(
      RESPRequest(commands: [command], promise: nil, timeoutMilliseconds: 0), promise: nil)
  }

  /// Closes; harmless when closed already.
  func close() {
    channel.close(promise: nil)
  }

  fileprivate static func describe(_ error: any Error) -> String {
    switch error {
    case let error as IOError: String(cString: strerror(error.errnoCode))
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { describe($0.error) }
        ?? "no address for \(error.host)"
    case ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed: "the connection was closed"
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: TLSFailure.text("\(error)")
    default: String(describing: error)
    }
  }
}

/// Why a connection ended, for a question that comes after it: a TLS handshake may fail before the
/// first one, and "closed" would be all that is said of a wrong certificate.
final class ConnectionEnd: Sendable {
  private let noted = Mutex<ConnectionError?>(nil)

  var cause: ConnectionError? { noted.withLock { $0 } }

  /// The first error is the cause.
  func note(_ error: ConnectionError) {
    noted.withLock { if $0 == nil { $0 = error } }
  }
}

/// Commands on their way to the handler.
struct RESPRequest: Sendable {
  let commands: [[String]]
  /// Nil: no reply is waited for.
  let promise: EventLoopPromise<[RESPValue]>?
  let timeoutMilliseconds: Int64
}

/// Gives replies to those who asked, first come first served.
final class RESPClientHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = RESPRequest
  typealias OutboundOut = ByteBuffer

  private struct Waiter {
    var repliesDue: Int
    var replies: [RESPValue] = []
    var promise: EventLoopPromise<[RESPValue]>
    var timer: Scheduled<Void>
  }

  private static let limits = ScanLimits(
    bulkBytesMax: 1 << 20, elementsMax: 65_536, frameBytesMax: 4 << 20, lineBytesMax: 4096)
  private static let waitersMax = 8

  private let end: ConnectionEnd
  private let onPush: (@Sendable (RESPValue) -> Bool)?
  private let onClose: @Sendable () -> Void
  private var scanner = ReplyScanner(limits: limits)
  private var buffer = ByteBuffer()
  private var waiters: [Waiter] = []

  init(
    end: ConnectionEnd, onPush: (@Sendable (RESPValue) -> Bool)?,
    onClose: @escaping @Sendable () -> Void
  ) {
    self.end = end
    self.onPush = onPush
    self.onClose = onClose
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let request = unwrapOutboundIn(data)
    if let replies = request.promise {
      guard waiters.count < Self.waitersMax else {
        promise?.fail(ConnectionError(failure: .busy("too many questions at once")))
        return
      }
      let timer = context.eventLoop.assumeIsolated().scheduleTask(
        in: .milliseconds(request.timeoutMilliseconds)
      ) { [self] in
        fail(ConnectionError(failure: .timedOut))
        context.close(promise: nil)
      }
      waiters.append(
        Waiter(repliesDue: request.commands.count, promise: replies, timer: timer))
    }
    var bytes: [UInt8] = []
    for command in request.commands { bytes.writeCommand(command) }
    context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var received = unwrapInboundIn(data)
    if buffer.readableBytes == 0 { buffer.clear() }
    buffer.writeBuffer(&received)
    do {
      while let value = try nextValue() { deliver(value, context) }
    } catch {
      fail(ConnectionError(failure: .malformed(String(describing: error))))
      context.close(promise: nil)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    // A server at its limits says so and closes: that answer is better than none.
    if case .error(let message) = waiters.first?.replies.last {
      fail(.classify(message))
    } else {
      fail(
        ConnectionError(failure: .unreachable("the connection was closed"), isClosed: true))
    }
    onClose()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    let cause = ConnectionError(
      failure: .unreachable(RESPConnection.describe(error)), isClosed: true)
    end.note(cause)
    fail(cause)
    context.close(promise: nil)
  }

  private func nextValue() throws -> RESPValue? {
    let result = try buffer.withUnsafeReadableBytes { bytes throws -> (RESPValue, Int)? in
      guard bytes.count > 0, let frame = try scanner.next(in: bytes, from: 0) else { return nil }
      guard let (value, _) = try RESPValue.parse(bytes, from: 0, limits: Self.limits) else {
        return nil
      }
      return (value, frame.byteCount)
    }
    guard let (value, byteCount) = result else { return nil }
    buffer.moveReaderIndex(forwardBy: byteCount)
    return value
  }

  private func deliver(_ value: RESPValue, _ context: ChannelHandlerContext) {
    guard !waiters.isEmpty else {
      if onPush?(value) != true { context.close(promise: nil) }
      return
    }
    waiters[0].replies.append(value)
    waiters[0].repliesDue -= 1
    if waiters[0].repliesDue == 0 {
      let waiter = waiters.removeFirst()
      waiter.timer.cancel()
      waiter.promise.succeed(waiter.replies)
    }
  }

  private func fail(_ error: ConnectionError) {
    let failed = waiters
    waiters = []
    for waiter in failed {
      waiter.timer.cancel()
      waiter.promise.fail(error)
    }
  }
}
