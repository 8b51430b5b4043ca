// SPDX-License-Identifier: Apache-2.0
import Failover
import Glibc
import NIOCore
import NIOPosix

/// Finds the addresses behind a node's name, off the shards' threads: a resolver may take its time.
enum Resolver {
  /// All addresses, in the system's order; none where the name is not known. Called back on another thread.
  static func resolve(
    _ node: NodeAddress, _ done: @escaping @Sendable ([SocketAddress]) -> Void
  ) {
    NIOThreadPool.singleton.submit { _ in done(addresses(of: node)) }
  }

  private static func addresses(of node: NodeAddress) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(node.host, "\(node.port)", &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next {
      if let address = address(entry.pointee) { found.append(address) }
      next = entry.pointee.ai_next
    }
    return found
  }

  private static func address(_ entry: addrinfo) -> SocketAddress? {
    guard let raw = UnsafeRawPointer(entry.ai_addr) else { return nil }
    switch entry.ai_family {
    case AF_INET: return SocketAddress(raw.loadUnaligned(as: sockaddr_in.self))
    case AF_INET6: return SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self))
    default: return nil
    }
  }
}
