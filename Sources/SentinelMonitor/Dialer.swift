// SPDX-License-Identifier: Apache-2.0

import Failover
import NIOCore
import RESP

/// Opens authenticated connections to one address, and does not hammer a peer that refuses us.
struct Dialer {
  let address: NodeAddress
  let tls: TLS?
  let credentials: @Sendable () -> Credentials?
  let timings: MonitorConfiguration.Timings
  let group: any EventLoopGroup

  private var refusal:
    (credentials: Credentials?, error: ConnectionError, until: ContinuousClock.Instant)?

  init(
    address: NodeAddress, tls: TLS?, credentials: @escaping @Sendable () -> Credentials?,
    timings: MonitorConfiguration.Timings, group: any EventLoopGroup
  ) {
    self.address = address
    self.tls = tls
    self.credentials = credentials
    self.timings = timings
    self.group = group
  }

  mutating func open(
    onPush: (@Sendable (RESPValue) -> Bool)? = nil,
    onClose: @escaping @Sendable () -> Void = {}
  ) async throws(ConnectionError) -> RESPConnection {
    let credentials = credentials()
    if let refusal, refusal.credentials == credentials, refusal.until > .now {
      throw refusal.error
    }
    let connection = try await RESPConnection.connect(
      to: address, tls: tls, timeoutMilliseconds: timings.connectTimeoutMilliseconds,
      group: group, onPush: onPush, onClose: onClose)
    do {
      if let credentials { try await authenticate(connection, credentials) }
      return connection
    } catch {
      connection.close()
      remember(error)
      throw error
    }
  }

  /// Credentials that were refused once are not tried again for a while, unless they changed.
  mutating func remember(_ error: ConnectionError) {
    guard case .authentication = error.failure else { return }
    let pause = Duration.milliseconds(timings.refusedBackoffMilliseconds)
    refusal = (credentials(), error, .now + pause)
  }

  private func authenticate(
    _ connection: RESPConnection, _ credentials: Credentials
  ) async throws(ConnectionError) {
    let command = ["AUTH"] + (credentials.username.map { [$0] } ?? []) + [credentials.password]
    let replies = try await connection.ask(
      [command], timeoutMilliseconds: timings.queryTimeoutMilliseconds)
    guard case .error(let message) = replies.first else { return }
    let error = ConnectionError.classify(message)
    // Any other complaint about AUTH (no password is set, say) is about our credentials, too.
    if case .malformed = error.failure { throw ConnectionError(failure: .authentication(message)) }
    throw error
  }
}

/// A connection that is kept between questions and opened again when needed.
struct KeptConnection {
  var dialer: Dialer
  private var connection: RESPConnection?

  init(dialer: Dialer) {
    self.dialer = dialer
  }

  /// Asks, on the kept connection if there is one. Found closed it is opened once more, and again
  /// if that one is closed too: a promotion closes connections, and is what is asked for.
  mutating func ask(
    _ commands: [[String]], timeoutMilliseconds: Int64
  ) async throws(ConnectionError) -> [RESPValue] {
    var triesLeft = connection == nil ? 0 : 2
    while true {
      let current: RESPConnection
      if let kept = connection {
        current = kept
      } else {
        current = try await dialer.open()
        connection = current
      }
      do {
        return try await current.ask(commands, timeoutMilliseconds: timeoutMilliseconds)
      } catch {
        failed(error)
        guard error.isClosed, triesLeft > 0 else { throw error }
        triesLeft -= 1
      }
    }
  }

  /// After an answer that makes the connection useless.
  mutating func failed(_ error: ConnectionError) {
    close()
    dialer.remember(error)
  }

  mutating func close() {
    connection?.close()
    connection = nil
  }
}
