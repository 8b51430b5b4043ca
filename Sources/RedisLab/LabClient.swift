// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Glibc
import RESP
import Synchronization

/// ``BlockingClient`` for async code: calls run one after another on a queue of the client's own,
/// so that waiting for a reply never blocks the cooperative pool.
public final class LabClient: Sendable {
  /// Where it is connected.
  public let endpoint: Endpoint
  private let client: Mutex<BlockingClient>
  private let descriptor: Int32
  private let queue = DispatchQueue(label: "redis-lab-client")

  private init(_ client: sending BlockingClient) {
    endpoint = client.endpoint
    descriptor = client.descriptor
    self.client = Mutex(client)
  }

  /// Connects.
  /// - Throws: `LabError`.
  public static func connect(
    _ endpoint: Endpoint, timeoutMilliseconds: Int = 2000
  ) async throws -> LabClient {
    try await LabThread.run {
      LabClient(try BlockingClient(endpoint, timeoutMilliseconds: timeoutMilliseconds))
    }
  }

  /// Sends one command and waits for its reply; an error reply is a value, not thrown.
  /// - Throws: `LabError.timeout`, `.closed`, or RESP's `ProtocolError`.
  @discardableResult
  public func command(
    _ arguments: [String],
    timeoutMilliseconds: Int = BlockingClient.defaultTimeoutMilliseconds
  ) async throws -> RESPValue {
    try await run { try $0.command(arguments, timeoutMilliseconds: timeoutMilliseconds) }
  }

  /// Sends one command and waits for its reply.
  @discardableResult
  public func command(
    _ arguments: String...,
    timeoutMilliseconds: Int = BlockingClient.defaultTimeoutMilliseconds
  ) async throws -> RESPValue {
    try await command(arguments, timeoutMilliseconds: timeoutMilliseconds)
  }

  /// Sends commands in one write and waits for all replies.
  public func pipeline(
    _ commands: [[String]],
    timeoutMilliseconds: Int = BlockingClient.defaultTimeoutMilliseconds
  ) async throws -> [RESPValue] {
    var bytes: [UInt8] = []
    for command in commands { bytes.writeCommand(command) }
    return try await run { [bytes] client in
      try client.write(bytes)
      return try commands.map { _ in
        try client.receive(timeoutMilliseconds: timeoutMilliseconds)
      }
    }
  }

  /// Sends one command and does not wait.
  public func send(_ arguments: [String]) async throws {
    try await run { try $0.send(arguments) }
  }

  /// The next reply or push.
  /// - Throws: `LabError.timeout`, `.closed`, or RESP's `ProtocolError`.
  public func receive(
    timeoutMilliseconds: Int = BlockingClient.defaultTimeoutMilliseconds
  ) async throws -> RESPValue {
    try await run { try $0.receive(timeoutMilliseconds: timeoutMilliseconds) }
  }

  /// Writes raw bytes, all of them.
  public func write(_ bytes: [UInt8]) async throws {
    try await run { try $0.write(bytes) }
  }

  /// Writes raw text.
  public func write(_ text: String) async throws { try await write(Array(text.utf8)) }

  /// Raw bytes, at least one and at most `count`; empty at the end of the stream.
  public func read(
    atMost count: Int = 65_536,
    timeoutMilliseconds: Int = BlockingClient.defaultTimeoutMilliseconds
  ) async throws -> [UInt8] {
    try await run { try $0.read(atMost: count, timeoutMilliseconds: timeoutMilliseconds) }
  }

  /// Whether the other side closes within the time given; what it still sends is dropped.
  public func isClosed(within timeoutMilliseconds: Int) async throws -> Bool {
    try await run { $0.isClosed(within: timeoutMilliseconds) }
  }

  /// Ends the sending direction: the other side reads an end of stream.
  public func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The connection ends with a reset once the last reference to this client is gone.
  public func resetOnClose() { Sockets.lingerZero(descriptor) }

  /// Closes at once, also under a call that waits; later calls throw `LabError.closed`.
  public func close() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  private func run<T: Sendable>(
    _ body: @escaping @Sendable (BlockingClient) throws -> T
  ) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
      queue.async {
        let result = self.client.withLock { client in Result { try body(client) } }
        continuation.resume(with: result)
      }
    }
  }
}
