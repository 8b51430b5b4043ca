// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP

/// A blocking connection to the daemon, in RESP3.
final class DaemonConnection {
  /// Why the daemon cannot be asked, and what to do.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private static let replyBytesMax = 256 << 20

  private let path: String
  private let descriptor: Int32
  private var input: [UInt8] = []
  private var pushes: [[RESPValue]] = []

  /// `password`: where the daemon asks its clients for one (`listen.passwordFile`).
  init(path: String, password: String?, timeoutSeconds: Int) throws(Failure) {
    self.path = path
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let room = MemoryLayout.size(ofValue: address.sun_path) - 1
    guard !path.isEmpty, path.utf8.count <= room else {
      throw Failure(description: "\(path): a socket's path has 1 to \(room) bytes")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var time = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size))
    }
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard code == 0 else { throw Failure(description: Self.advice(path, errno)) }
    let credentials = password.map { ["AUTH", "default", $0] } ?? []
    let hello = try command(["HELLO", "3"] + credentials + ["SETNAME", "holdfast-cli"])
    if case .error(let text) = hello, password != nil { throw Failure(description: text) }
  }

  deinit { close(descriptor) }

  private static func advice(_ path: String, _ code: Int32) -> String {
    let reason = String(cString: strerror(code))
    switch code {
    case ENOENT:
      return "\(path): no such socket: is holdfastd.socket started (systemctl start "
        + "holdfastd.socket), or is it elsewhere (--socket)?"
    case EACCES:
      return "\(path): permission denied: members of the socket's group may connect "
        + "(usually holdfast-clients), root may"
    case ECONNREFUSED:
      return "\(path): nobody listens: systemctl status holdfastd.socket holdfastd.service"
    default: return "\(path): \(reason)"
    }
  }

  /// Sends a command and waits for its reply; pushes that come first are kept.
  func command(_ words: [String]) throws(Failure) -> RESPValue {
    var bytes: [UInt8] = []
    bytes.writeCommand(words)
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw lost() }
      rest = rest.dropFirst(count)
    }
    while true {
      let value = try next()
      guard case .push(let elements) = value else { return value }
      pushes.append(elements)
    }
  }

  /// The next push; nil when the time is over without one.
  func push() throws(Failure) -> [RESPValue]? {
    if !pushes.isEmpty { return pushes.removeFirst() }
    do {
      while true {
        if case .push(let elements) = try next() { return elements }
      }
    } catch {
      guard errno == EAGAIN else { throw error }
      return nil
    }
  }

  private func next() throws(Failure) -> RESPValue {
    while true {
      do {
        let limits = ScanLimits(bulkBytesMax: Self.replyBytesMax)
        let parsed = try input.withUnsafeBytes { try RESPValue.parse($0, from: 0, limits: limits) }
        if let parsed {
          input.removeFirst(parsed.byteCount)
          return parsed.value
        }
      } catch {
        throw Failure(description: "\(path): that is no Redis protocol: \(error)")
      }
      try receive()
    }
  }

  private func receive() throws(Failure) {
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    errno = 0
    let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
    guard count > 0 else { throw lost() }
    input += chunk.prefix(count)
  }

  private func lost() -> Failure {
    let code = errno
    defer { errno = code }
    return code == EAGAIN
      ? Failure(description: "\(path): no answer in time: journalctl -u holdfastd")
      : Failure(description: "\(path): the daemon closed the connection")
  }
}
