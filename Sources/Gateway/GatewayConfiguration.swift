// SPDX-License-Identifier: Apache-2.0
import NIOSSL
import Proxy
import RESP

/// TLS towards Redis.
public struct UpstreamTLS: Sendable {
  /// What is trusted, and who we are.
  public let context: NIOSSLContext
  /// The name that the certificate must have; nil: the host connected to.
  public let serverName: String?

  /// TLS with this context.
  public init(context: NIOSSLContext, serverName: String?) {
    self.context = context
    self.serverName = serverName
  }
}

/// How the data plane is run.
public struct GatewayConfiguration: Sendable {
  /// What each shard is allowed; already divided among them.
  public var proxy: ProxyConfiguration
  /// Event loops that share the clients.
  public var shards = 1
  /// How long a connection to Redis may take.
  public var connectTimeoutMilliseconds: Int64 = 1_000
  /// TLS to Redis; nil: plain TCP.
  public var tls: UpstreamTLS?
  /// Asked at each connection, so that a changed secret is used at once; nil: no authentication.
  public var credentials: @Sendable () -> Credentials?

  /// The defaults, without authentication.
  public init(
    proxy: ProxyConfiguration = ProxyConfiguration(),
    credentials: @escaping @Sendable () -> Credentials? = { nil }
  ) {
    self.proxy = proxy
    self.credentials = credentials
  }
}
