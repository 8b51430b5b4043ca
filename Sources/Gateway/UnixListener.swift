// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
  import Glibc
#endif

/// Why a socket cannot be listened on.
public struct ListenError: Error, CustomStringConvertible {
  /// What was wrong and what to do.
  public let description: String
}

/// Makes the daemon's own listening socket, where systemd does not hand one over.
public enum UnixListener {
  /// A bound, listening Unix-domain socket with this mode and group.
  ///
  /// The file of a dead daemon is replaced; one that a live process listens on never is.
  public static func open(
    path: String, mode: UInt32, group: String?, backlog: Int32
  ) throws(ListenError) -> CInt {
    var address = try makeAddress(path)
    try removeStale(path, &address)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("create a socket for", path) }
    // Nobody may connect before mode and group are set.
    let mask = umask(0o777)
    let bound = withSocketAddress(&address) { bind(descriptor, $0, $1) }
    umask(mask)
    guard bound == 0 else {
      defer { close(descriptor) }
      throw failure("bind", path)
    }
    do throws(ListenError) {
      if let group { try setGroup(group, path) }
      guard chmod(path, mode_t(mode)) == 0 else { throw failure("set the mode of", path) }
      guard listen(descriptor, backlog) == 0 else { throw failure("listen on", path) }
    } catch {
      close(descriptor)
      unlink(path)
      throw error
    }
    return descriptor
  }

  private static func makeAddress(_ path: String) throws(ListenError) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path) - 1
    guard !path.isEmpty, path.utf8.count <= room else {
      throw ListenError(
        description: "listen.path \(path) must have 1 to \(room) bytes: choose a shorter path")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return address
  }

  private static func removeStale(
    _ path: String, _ address: inout sockaddr_un
  ) throws(ListenError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw ListenError(description: "listen.path \(path) exists and is not a socket: remove it")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    defer { close(probe) }
    let connected = withSocketAddress(&address) { connect(probe, $0, $1) }
    guard connected != 0, errno == ECONNREFUSED else {
      throw ListenError(
        description: "listen.path \(path) is in use: another process listens there, stop it first")
    }
    unlink(path)
  }

  private static func setGroup(_ name: String, _ path: String) throws(ListenError) {
    guard let group = getgrnam(name) else {
      throw ListenError(
        description: "listen.group \(name) does not exist: create it, or name another")
    }
    guard chown(path, uid_t.max, group.pointee.gr_gid) == 0 else {
      throw failure("give the group \(name) to", path)
    }
  }

  private static func withSocketAddress(
    _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
  ) -> CInt {
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }

  private static func failure(_ what: String, _ path: String) -> ListenError {
    ListenError(
      description: "cannot \(what) listen.path \(path): \(String(cString: strerror(errno)))")
  }
}
