// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// One relayed connection: a thread for each direction. The last one to end closes both sockets, so
/// that no descriptor is closed under the other.
final class RelayConnection: Sendable {
  private enum Direction {
    case request, reply
  }

  private struct State {
    var pumps = 2
    var isCut = false
    /// A request was passed whose reply must not be.
    var awaitsCut = false
  }

  private let client: Int32
  private let server: Int32
  /// The ends of a pipe: a byte in it wakes both directions, and stays there.
  private let wake: Int32
  private let waker: Int32
  private let state = Mutex(State())

  init(client: Int32, server: Int32) throws {
    do {
      (wake, waker) = try Sockets.makePipe()
    } catch {
      close(server)
      throw error
    }
    self.client = client
    self.server = server
  }

  /// Resets the connection, seen from the client.
  func cut() {
    state.withLock { state in
      guard state.pumps > 0 else { return }
      state.isCut = true
      _ = write(waker, [1], 1)
    }
  }

  /// `fired` takes a one-time mode back and says whether it was still due.
  func run(
    mode: @escaping @Sendable () -> Relay.Mode,
    fired: @escaping @Sendable (Relay.Mode) -> Bool, done: @escaping @Sendable () -> Void
  ) {
    for direction in [Direction.request, .reply] {
      let body: @Sendable () -> Void = { [self] in
        pump(direction, mode: mode, fired: fired)
        finish(done)
      }
      do {
        try LabThread.start(body)
      } catch {
        cut()
        finish(done)
      }
    }
  }

  private func finish(_ done: () -> Void) {
    let isLast = state.withLock { state in
      state.pumps -= 1
      guard state.pumps == 0 else { return false }
      if state.isCut { Sockets.lingerZero(client) }
      close(client)
      close(server)
      close(wake)
      close(waker)
      return true
    }
    if isLast { done() }
  }

  private func pump(
    _ direction: Direction, mode: () -> Relay.Mode, fired: (Relay.Mode) -> Bool
  ) {
    let (source, target) = direction == .request ? (client, server) : (server, client)
    var buffer = [UInt8](repeating: 0, count: 65_536)
    // The last bytes seen, for a text that two reads share.
    var tail: [UInt8] = []
    while wait(source, POLLIN, mode) {
      let count = recv(source, &buffer, buffer.count, 0)
      if count < 0 && (errno == EAGAIN || errno == EINTR) { continue }
      if count < 0 { return cut() }
      if count == 0 {
        shutdown(target, Int32(SHUT_WR))
        return
      }
      let data = Array(buffer[..<count])
      let current = mode()
      switch current {
      case .pass, .drop, .refuse, .reset, .fragment: break
      case .delay(let milliseconds): usleep(UInt32(max(0, milliseconds)) * 1000)
      case .cutReply(let text):
        if direction == .request, contains(text, tail + data), fired(current) {
          state.withLock { $0.awaitsCut = true }
        }
      case .cutRequest(let text):
        if direction == .request, contains(text, tail + data), fired(current) { return cut() }
      }
      tail = Array((tail + data).suffix(128))
      if direction == .reply, state.withLock({ $0.awaitsCut }) { return cut() }
      guard pass(data, to: target, piece: current == .fragment ? 1 : data.count, mode) else {
        return cut()
      }
    }
  }

  /// Writes all of it; false where the connection was cut or the other side is gone.
  private func pass(
    _ data: [UInt8], to target: Int32, piece: Int, _ mode: () -> Relay.Mode
  ) -> Bool {
    var sent = 0
    while sent < data.count {
      guard wait(target, POLLOUT, mode) else { return false }
      let count = data.withUnsafeBytes { raw in
        send(
          target, raw.baseAddress?.advanced(by: sent), min(piece, raw.count - sent),
          Int32(MSG_NOSIGNAL))
      }
      if count > 0 {
        sent += count
      } else if errno != EAGAIN && errno != EINTR {
        return false
      }
    }
    return true
  }

  /// Until the descriptor is ready and the mode lets data move; false once the connection is cut.
  private func wait(_ descriptor: Int32, _ events: Int32, _ mode: () -> Relay.Mode) -> Bool {
    while true {
      if state.withLock({ $0.isCut }) { return false }
      if mode() == .drop {
        usleep(2000)
        continue
      }
      var entries = [
        pollfd(fd: descriptor, events: Int16(events), revents: 0),
        pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
      ]
      // Bounded, so that a change to `drop` counts before the data that arrives after it.
      let count = poll(&entries, 2, 1000)
      if count > 0, entries[1].revents == 0, mode() != .drop { return true }
    }
  }

  private func contains(_ text: String, _ data: [UInt8]) -> Bool {
    let wanted = Array(text.utf8)
    guard wanted.count <= data.count else { return false }
    return wanted.isEmpty
      || (0...(data.count - wanted.count)).contains { data[$0...].starts(with: wanted) }
  }
}
