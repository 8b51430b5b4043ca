// SPDX-License-Identifier: Apache-2.0

import Failover
import NIOCore
import RESP

/// Asks one Redis node who it is, whenever told to, on a connection that is kept.
struct NodeWorker: Sendable {
  let address: NodeAddress
  let configuration: MonitorConfiguration
  let group: any EventLoopGroup
  let inbox: Inbox
  /// Each element asks for one probe; its end ends the worker.
  let requests: AsyncStream<Void>

  func run() async {
    var connection = KeptConnection(
      dialer: Dialer(
        address: address, tls: configuration.redisTLS,
        credentials: configuration.redisCredentials, timings: configuration.timings, group: group))
    for await _ in requests {
      do throws(ConnectionError) {
        let replies = try await connection.ask(
          NodeIdentity.commands,
          timeoutMilliseconds: configuration.timings.probeTimeoutMilliseconds)
        inbox.post(.nodeProbed(address, try NodeIdentity(replies: replies)))
      } catch {
        connection.failed(error)
        inbox.post(.nodeFailed(address, error.failure))
      }
    }
    connection.close()
  }
}
