// SPDX-License-Identifier: Apache-2.0
import NIOSSL
import Proxy
import RESP
import Sessions

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

/// A listener on the loopback.
public struct TCPListener: Sendable {
  /// A name or address of the loopback.
  public let host: String
  /// Where it listens.
  public let port: Int
  /// TLS with its clients; nil: plain TCP.
  public let tls: NIOSSLContext?

  /// A listener there.
  public init(host: String, port: Int, tls: NIOSSLContext?) {
    self.host = host
    self.port = port
    self.tls = tls
  }
}

/// How the data plane is run.
public struct GatewayConfiguration: Sendable {
  /// What each shard is allowed; already divided among them.
  public var proxy: ProxyConfiguration
  /// Event loops that share the clients.
  public var shards = 1
  /// Where clients that cannot use a Unix-domain socket connect; nil: nowhere.
  public var tcp: TCPListener?
  /// How long a connection to Redis may take.
  public var connectTimeoutMilliseconds: Int64 = 1_000
  /// TLS to Redis; nil: plain TCP.
  public var tls: UpstreamTLS?
  /// Bounds of the host's queue of locks.
  public var locks = LockConfiguration()
  /// Processes whose end is watched for; the locks of others end with their time.
  public var processesMax = 10_000
  /// Where ended sessions that no replica has confirmed are kept across a restart; nil: in memory alone.
  public var stateDirectory: String?
  /// Answers operators' commands.
  public var console: @Sendable (ConsoleAsk) async -> ConsoleAnswer = { _ in
    ConsoleAnswer(.error("ERR this daemon has no console"))
  }
  /// Told what belongs into the log. Must not block.
  public var note: @Sendable (GatewayNote) -> Void = { _ in }
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

/// What the data plane has to say to the log.
public enum GatewayNote: Sendable, Equatable {
  /// Something in a native command.
  case session(SessionNote)
  /// Something about clients.
  case shard(ShardNote)
  /// What must stay denied across a restart could not be saved, for this reason.
  case denialsNotSaved(String)
}
