// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where a server listens.
public enum Endpoint: Equatable, Sendable, CustomStringConvertible {
  /// An IPv4 address in numbers (or `localhost`) and a port.
  case tcp(String, Int)
  /// The path of a Unix-domain socket.
  case unix(String)

  /// `host:port`, or the path.
  public var description: String {
    switch self {
    case .tcp(let host, let port): "\(host):\(port)"
    case .unix(let path): path
    }
  }
}

/// The few socket calls that the lab needs; all descriptors are closed on exec.
enum Sockets {
  /// Connects within the time given.
  static func connect(_ endpoint: Endpoint, timeoutMilliseconds: Int = 2000) throws -> Int32 {
    let family: Int32
    switch endpoint {
    case .tcp: family = AF_INET
    case .unix: family = AF_UNIX
    }
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, kind | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw LabError.last("socket") }
    do {
      let result = try withAddress(endpoint) { Glibc.connect(descriptor, $0, $1) }
      if result != 0 {
        guard errno == EINPROGRESS else { throw LabError.last("connect \(endpoint)") }
        guard wait(descriptor, for: POLLOUT, milliseconds: timeoutMilliseconds) else {
          throw LabError.timeout("connect \(endpoint)")
        }
        var problem: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &size)
        guard problem == 0 else {
          throw LabError.system(call: "connect \(endpoint)", errno: problem)
        }
      }
      if family == AF_INET { set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// A listening socket on 127.0.0.1, non-blocking.
  static func listen(port: Int) throws -> Int32 {
    let descriptor = try bind(port: port)
    guard Glibc.listen(descriptor, 1024) == 0 else {
      defer { close(descriptor) }
      throw LabError.last("listen on 127.0.0.1:\(port)")
    }
    return descriptor
  }

  /// A socket with this port of 127.0.0.1, non-blocking, which does not listen; while it is open others can
  /// take the port all the same.
  /// - Throws: where somebody listens there.
  static func bind(port: Int) throws -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_INET, kind | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw LabError.last("socket") }
    set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    do {
      let bound = try withAddress(.tcp("127.0.0.1", port)) { Glibc.bind(descriptor, $0, $1) }
      guard bound == 0 else { throw LabError.last("bind 127.0.0.1:\(port)") }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// The IPv4 address of the other side, in numbers; empty where it has none.
  static func peerAddress(_ descriptor: Int32) -> String {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getpeername(descriptor, $0, &size)
      }
    }
    guard result == 0 else { return "" }
    let number = UInt32(bigEndian: address.sin_addr.s_addr)
    return [24, 16, 8, 0].map { "\(number >> $0 & 0xff)" }.joined(separator: ".")
  }

  /// A pipe, its read end first, that children do not inherit.
  static func makePipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw LabError.last("pipe") }
    for end in ends { makePrivate(end) }
    return (ends[0], ends[1])
  }

  /// Closed on exec, and never blocking.
  static func makePrivate(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  }

  /// Waits for an event of one descriptor; false after the time given.
  static func wait(_ descriptor: Int32, for events: Int32, milliseconds: Int) -> Bool {
    let deadline = ContinuousClock.now + .milliseconds(milliseconds)
    while true {
      let left = max(0, (deadline - .now).inMilliseconds.rounded(.up))
      var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      let count = poll(&entry, 1, Int32(min(left, 1e9)))
      if count > 0 { return true }
      if count == 0 || errno != EINTR { return false }
    }
  }

  static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Makes the close a reset, and discards what was not sent.
  static func lingerZero(_ descriptor: Int32) {
    var value = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
  }

  private static func withAddress<R>(
    _ endpoint: Endpoint, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
  ) throws -> R {
    switch endpoint {
    case .tcp(let host, let port):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
      let numeric = host == "localhost" ? "127.0.0.1" : host
      guard inet_pton(AF_INET, numeric, &address.sin_addr) == 1 else {
        throw LabError.failed("the lab takes IPv4 addresses in numbers, not \(host)")
      }
      return withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let bytes = Array(path.utf8)
      let room = MemoryLayout.size(ofValue: address.sun_path) - 1
      guard bytes.count <= room else {
        throw LabError.failed("socket path longer than \(room) bytes: \(path)")
      }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
      return withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
    }
  }
}
