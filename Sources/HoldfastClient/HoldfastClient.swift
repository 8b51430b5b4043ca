// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import RESP

/// Sessions of a Holdfast daemon on this host, over one connection that all tasks share.
///
/// ```swift
/// let holdfast = HoldfastClient()
/// let scope = RequestScope(holdfast, id: cookie.flatMap { SessionID($0) })
/// var cart = try await scope.data() ?? []
/// ```
public final class HoldfastClient: Sendable {
  /// Where the daemon is, and what may be under way at a time.
  public struct Configuration: Sendable {
    /// The daemon's socket.
    public var path = "/run/holdfast/holdfast.sock"
    /// The password, where the daemon asks for one (`listen.passwordFile`).
    public var password: String?
    /// How long a connection may take, in milliseconds.
    public var connectMilliseconds: Int64 = 2_000
    /// Requests under way on the shared connection.
    public var requestsMax = 10_000
    /// Tasks that wait for locks at a time: each has a connection of its own meanwhile.
    public var lockWaitersMax = 64
    /// Largest value in a reply.
    public var replyBytesMax = 64 << 20

    /// The defaults.
    public init() {}
  }

  let configuration: Configuration
  private let connector: Connector
  let lockConnections: LockConnections

  /// A client that connects when it is first used.
  public init(
    _ configuration: Configuration = Configuration(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    self.configuration = configuration
    connector = Connector(configuration, group)
    lockConnections = LockConnections(configuration, group)
  }

  /// Sends any command; throws ``HoldfastError`` for an error reply.
  ///
  /// - Parameter isRepeatable: Whether it may be sent once more where the connection broke before the reply.
  @discardableResult
  public func command(_ words: [[UInt8]], isRepeatable: Bool = false) async throws -> RESPValue {
    do {
      return try Self.value(try await connector.connection().send(words))
    } catch HoldfastError.connectionLost(let mayHaveRun) where isRepeatable || !mayHaveRun {
      return try Self.value(try await connector.connection().send(words))
    }
  }

  static func value(_ reply: RESPValue) throws -> RESPValue {
    if case .error(let text) = reply { throw HoldfastError(reply: text) }
    return reply
  }

  /// Closes its connections. What is under way fails.
  public func close() async {
    await connector.close()
    await lockConnections.close()
  }
}

/// Connections for those who wait for locks: replies come in order, so that a wait would hold up all others.
actor LockConnections {
  private let configuration: HoldfastClient.Configuration
  private let group: any EventLoopGroup
  private var idle: [Connection] = []
  private var used = 0

  init(_ configuration: HoldfastClient.Configuration, _ group: any EventLoopGroup) {
    self.configuration = configuration
    self.group = group
  }

  func send(_ words: [[UInt8]]) async throws -> RESPValue {
    guard used < configuration.lockWaitersMax else {
      throw HoldfastError.overloaded("\(configuration.lockWaitersMax) tasks wait for locks")
    }
    used += 1
    defer { used -= 1 }
    let connection: Connection
    if let known = idle.popLast(), known.isOpen {
      connection = known
    } else {
      connection = try await Connection.open(configuration, group)
    }
    let reply = try await connection.send(words)
    if idle.count < 4 { idle.append(connection) } else { await connection.close() }
    return reply
  }

  func close() async {
    for connection in idle { await connection.close() }
    idle = []
  }
}
