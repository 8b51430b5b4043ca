// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// Makes the listening socket for clients that cannot use a Unix-domain socket.
enum LoopbackListener {
  /// A bound, listening TCP socket.
  static func open(_ listener: TCPListener, backlog: Int32) throws(ListenError) -> CInt {
    let name = "tcp.address \(listener.host):\(listener.port)"
    let host = listener.host == "localhost" ? "127.0.0.1" : listener.host
    guard let address = try? SocketAddress(ipAddress: host, port: listener.port) else {
      throw ListenError(description: "\(name) is no address of the loopback")
    }
    func failure(_ what: String) -> ListenError {
      ListenError(description: "cannot \(what) \(name): \(String(cString: strerror(errno)))")
    }
    let descriptor = socket(
      CInt(address.protocol.rawValue), CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("create a socket for") }
    var isOn: CInt = 1
    setsockopt(
      descriptor, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<CInt>.size))
    // Accepted sockets have it from this one, tcp(7).
    setsockopt(
      descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<CInt>.size))
    let bound = address.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
    guard bound == 0, listen(descriptor, backlog) == 0 else {
      defer { close(descriptor) }
      throw failure("listen on")
    }
    return descriptor
  }
}
