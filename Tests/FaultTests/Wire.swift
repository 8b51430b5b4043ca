// SPDX-License-Identifier: Apache-2.0
import Glibc
import RedisLab
import Synchronization

/// A listening TCP socket on the loopback interface. By itself it is a server that accepts (the
/// kernel does) and never answers.
final class Listener: Sendable {
  let port: Int
  let descriptor: Int32

  init() throws {
    descriptor = socket(
      AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    // Below the kernel's range for outgoing connections, above the lab's own.
    for _ in 0..<200 {
      let candidate = Int.random(in: 31_000..<32_700)
      if Self.bind(descriptor, candidate), listen(descriptor, 128) == 0 {
        port = candidate
        return
      }
    }
    close(descriptor)
    throw LabError.failed("no free port")
  }

  deinit { close(descriptor) }

  /// A port that was free just now.
  static func freePort() throws -> Int { try Listener().port }

  private static func bind(_ descriptor: Int32, _ port: Int) -> Bool {
    withAddress(port) { Glibc.bind(descriptor, $0, $1) == 0 }
  }

  fileprivate static func withAddress<R>(
    _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R
  ) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}

/// A relay whose open connections can get stuck while new ones pass, as when one path of a network
/// loses its packets: what the given-up connections hold arrives late, or never.
final class StickyRelay: Sendable {
  private struct State {
    /// Connections up to this number hold their requests back.
    var stuckUpTo = 0
    var count = 0
    var open = 0
    /// Bytes that were held back and then delivered.
    var late = 0
    var isStopped = false
  }
  private let state = Mutex(State())
  private let listener: Listener
  private let target: Int

  var port: Int { listener.port }
  /// Bytes of requests that were passed on by connections once stuck.
  var lateBytes: Int { state.withLock { $0.late } }
  var openConnections: Int { state.withLock { $0.open } }

  init(to target: Int) throws {
    listener = try Listener()
    self.target = target
    try LabThread.start { [self] in
      while !state.withLock({ $0.isStopped }) {
        guard Self.wait(listener.descriptor, milliseconds: 20) else { continue }
        let client = accept(listener.descriptor, nil, nil)
        if client >= 0 { serve(client) }
      }
    }
  }

  /// The open connections pass no more requests on; new ones do.
  func stick() { state.withLock { $0.stuckUpTo = $0.count } }

  /// Everything arrives.
  func release() { state.withLock { $0.stuckUpTo = 0 } }

  func stop() { state.withLock { $0.isStopped = true } }

  private func serve(_ client: Int32) {
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    let isConnected = Listener.withAddress(target) { connect(server, $0, $1) == 0 }
    guard isConnected else {
      close(client)
      close(server)
      return
    }
    let number = state.withLock { state in
      state.count += 1
      state.open += 1
      return state.count
    }
    do {
      try LabThread.start { [self] in
        pump(client, server, number)
        close(client)
        close(server)
        state.withLock { $0.open -= 1 }
      }
    } catch {
      close(client)
      close(server)
    }
  }

  /// One thread for both directions: replies always pass.
  private func pump(_ client: Int32, _ server: Int32, _ number: Int) {
    var wasStuck = false
    while true {
      let (isStuck, isStopped) = state.withLock { (number <= $0.stuckUpTo, $0.isStopped) }
      if isStopped { return }
      wasStuck = wasStuck || isStuck
      if !isStuck, Self.wait(client, milliseconds: 1) {
        // Looked at again: what came after it got stuck stays.
        if state.withLock({ number <= $0.stuckUpTo }) { continue }
        let count = Self.move(client, server)
        if count <= 0 { return }
        if wasStuck { state.withLock { $0.late += count } }
      }
      if Self.wait(server, milliseconds: 1), Self.move(server, client) <= 0, !isStuck { return }
    }
  }

  private static func move(_ source: Int32, _ target: Int32) -> Int {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    let count = recv(source, &buffer, buffer.count, 0)
    guard count > 0 else { return count }
    var sent = 0
    while sent < count {
      let written = buffer[sent..<count].withUnsafeBytes {
        send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard written > 0 else { return -1 }
      sent += written
    }
    return count
  }

  private static func wait(_ descriptor: Int32, milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }
}

/// Many connections to a Unix-domain socket, without a buffer each.
final class Crowd {
  private(set) var descriptors: [Int32] = []

  /// Connects all.
  init(_ count: Int, to path: String) throws {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    for _ in 0..<count {
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      let isConnected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
      }
      if descriptor >= 0 { descriptors.append(descriptor) }
      guard isConnected else { throw LabError.failed("connection \(descriptors.count): \(errno)") }
    }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  func send(_ text: String, at index: Int) {
    let bytes = Array(text.utf8)
    _ = Glibc.send(descriptors[index], bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// Reads a whole expected reply; what came otherwise, or nil for the right one.
  func mismatch(of expected: String, at index: Int) -> String? {
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 256)
    while received.count < expected.utf8.count {
      var entry = pollfd(fd: descriptors[index], events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, 20_000) > 0 else { return "timeout" }
      let count = recv(descriptors[index], &buffer, buffer.count, 0)
      guard count > 0 else { return "closed" }
      received += buffer[..<count]
    }
    let text = String(decoding: received, as: UTF8.self)
    return text == expected ? nil : text
  }
}
