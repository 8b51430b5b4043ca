// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP

/// A small RESP client on a blocking socket, for load threads; not shared between threads.
///
/// It never sends anything again and never reconnects: what happens on the wire is what a test sees.
public final class BlockingClient {
  /// Long enough for a daemon that waits 15 s for a master.
  public static let defaultTimeoutMilliseconds = 30_000

  /// Where it is connected.
  public let endpoint: Endpoint
  let descriptor: Int32
  private var received: [UInt8] = []
  private var start = 0
  private var buffer = [UInt8](repeating: 0, count: 65_536)

  /// Connects.
  /// - Throws: `LabError`.
  public init(_ endpoint: Endpoint, timeoutMilliseconds: Int = 2000) throws {
    self.endpoint = endpoint
    descriptor = try Sockets.connect(endpoint, timeoutMilliseconds: timeoutMilliseconds)
  }

  deinit { close(descriptor) }

  /// Sends one command and waits for its reply; an error reply is a value, not thrown.
  /// - Throws: `LabError.timeout`, `.closed`, or RESP's `ProtocolError`.
  public func command(
    _ arguments: [String], timeoutMilliseconds: Int = defaultTimeoutMilliseconds
  ) throws -> RESPValue {
    try send(arguments)
    return try receive(timeoutMilliseconds: timeoutMilliseconds)
  }

  /// Sends one command of binary arguments and waits for its reply.
  /// - Throws: as ``command(_:timeoutMilliseconds:)-([String],_)``.
  public func command(
    _ arguments: [[UInt8]], timeoutMilliseconds: Int = defaultTimeoutMilliseconds
  ) throws -> RESPValue {
    try send(arguments)
    return try receive(timeoutMilliseconds: timeoutMilliseconds)
  }

  /// Sends one command and does not wait.
  public func send(_ arguments: [String]) throws {
    var bytes: [UInt8] = []
    bytes.writeCommand(arguments)
    try write(bytes)
  }

  /// Sends one command of binary arguments and does not wait.
  public func send(_ arguments: [[UInt8]]) throws {
    var bytes: [UInt8] = []
    bytes.writeCommand(arguments)
    try write(bytes)
  }

  /// The next reply.
  /// - Throws: `LabError.timeout`, `.closed`, or RESP's `ProtocolError`.
  public func receive(
    timeoutMilliseconds: Int = defaultTimeoutMilliseconds
  ) throws -> RESPValue {
    let deadline = ContinuousClock.now + .milliseconds(timeoutMilliseconds)
    while true {
      if let value = try parseReceived() { return value }
      try fill(until: deadline, of: timeoutMilliseconds)
    }
  }

  /// Writes raw bytes, all of them.
  /// - Throws: `LabError.timeout` where the other side does not read for that long, or `.closed`.
  public func write(
    _ bytes: [UInt8], timeoutMilliseconds: Int = defaultTimeoutMilliseconds
  ) throws {
    let deadline = ContinuousClock.now + .milliseconds(timeoutMilliseconds)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { raw in
        Glibc.send(
          descriptor, raw.baseAddress?.advanced(by: sent), raw.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        sent += count
      } else if errno == EAGAIN {
        let left = Int((deadline - .now).inMilliseconds)
        guard left > 0, Sockets.wait(descriptor, for: POLLOUT, milliseconds: left) else {
          throw LabError.timeout("\(endpoint) does not read")
        }
      } else if errno != EINTR {
        throw LabError.closed("\(endpoint), while sending: \(LabError.last("send"))")
      }
    }
  }

  /// Raw bytes, at least one and at most `count`; empty at the end of the stream.
  /// - Throws: `LabError.timeout`, or `.closed` after a reset.
  public func read(
    atMost count: Int = 65_536, timeoutMilliseconds: Int = defaultTimeoutMilliseconds
  ) throws -> [UInt8] {
    if start == received.count {
      do {
        try fill(until: .now + .milliseconds(timeoutMilliseconds), of: timeoutMilliseconds)
      } catch LabError.closed(Self.endOfStream(endpoint)) {
        return []
      }
    }
    let end = min(start + count, received.count)
    defer { consume(end - start) }
    return Array(received[start..<end])
  }

  /// Whether the other side closes (or resets) within the time given; what it still sends is dropped.
  public func isClosed(within timeoutMilliseconds: Int) -> Bool {
    let deadline = ContinuousClock.now + .milliseconds(timeoutMilliseconds)
    while true {
      do {
        let left = max(0, Int((deadline - .now).inMilliseconds))
        if try read(timeoutMilliseconds: left).isEmpty { return true }
      } catch LabError.timeout {
        return false
      } catch {
        return true
      }
    }
  }

  /// Ends the sending direction: the other side reads an end of stream.
  public func shutdownWrite() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The close that follows (at deinit) resets the connection.
  public func resetOnClose() { Sockets.lingerZero(descriptor) }

  private static func endOfStream(_ endpoint: Endpoint) -> String { "\(endpoint), end of stream" }

  private func parseReceived() throws -> RESPValue? {
    guard start < received.count else { return nil }
    let frame = try received.withUnsafeBytes { raw in
      try RESPValue.parse(raw, from: start, limits: ScanLimits())
    }
    guard let frame else { return nil }
    consume(frame.byteCount)
    return frame.value
  }

  private func consume(_ count: Int) {
    start += count
    if start == received.count {
      received.removeAll(keepingCapacity: true)
      start = 0
    }
  }

  private func fill(until deadline: ContinuousClock.Instant, of timeoutMilliseconds: Int) throws {
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count > 0 {
        received += buffer[..<count]
        return
      }
      if count == 0 { throw LabError.closed(Self.endOfStream(endpoint)) }
      if errno == EINTR { continue }
      guard errno == EAGAIN else {
        throw LabError.closed("\(endpoint): \(LabError.last("recv"))")
      }
      let left = max(0, Int((deadline - .now).inMilliseconds.rounded(.up)))
      guard Sockets.wait(descriptor, for: POLLIN, milliseconds: left) else {
        throw LabError.timeout("no reply from \(endpoint) within \(timeoutMilliseconds) ms")
      }
    }
  }
}
