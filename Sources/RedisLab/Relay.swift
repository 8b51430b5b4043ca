// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// A TCP relay in front of a server, which can do to connections what networks do.
public final class Relay: Sendable {
  /// What happens to connections; a change takes effect on those that are open as well.
  public enum Mode: Equatable, Sendable {
    /// Everything passes.
    case pass
    /// Half-open: connections stay open and new ones are accepted, but nothing moves. What got stuck
    /// arrives late when the mode changes, as it does in TCP.
    case drop
    /// New connections are refused; open ones go on (see ``Relay/cutAll()``).
    case refuse
    /// Open connections are reset; new ones are accepted and reset at once.
    case reset
    /// Each piece of data, in each direction, arrives this many milliseconds late.
    case delay(Int)
    /// Data passes one byte a packet.
    case fragment
    /// The first request that contains the text passes and is answered, but the connection is reset
    /// in place of its reply: executed, and the client cannot know. Then the mode is `pass` again.
    case cutReply(containing: String)
    /// The first request that contains the text is not passed on and its connection is reset: not
    /// executed, and the client cannot know. Then the mode is `pass` again.
    case cutRequest(containing: String)
  }

  /// Where clients connect.
  public let port: Int
  /// Where it connects to.
  public let target: Endpoint

  private struct State {
    var mode = Mode.pass
    var listener: Int32 = -1
    var isStopped = false
    var connections: [Int: RelayConnection] = [:]
    var count = 0
    /// Addresses from which nothing arrives.
    var cutSources: Set<String> = []

    mutating func closeListener() {
      guard listener >= 0 else { return }
      // A close alone would leave it listening for as long as the accepting thread polls it.
      shutdown(listener, Int32(SHUT_RDWR))
      close(listener)
      listener = -1
    }
  }
  private let state = Mutex(State())

  /// Starts a relay on a free port.
  public init(to target: Endpoint) throws {
    self.target = target
    port = try Ports.take()
    try openListener()
    try LabThread.start { [self] in acceptLoop() }
  }

  /// Where clients connect.
  public var endpoint: Endpoint { .tcp("127.0.0.1", port) }

  /// Connections that are open now.
  public var openConnections: Int { state.withLock { $0.connections.count } }

  /// Connections accepted since the start.
  public var acceptedConnections: Int { state.withLock { $0.count } }

  /// What happens to connections.
  public var mode: Mode {
    get { state.withLock { $0.mode } }
    set {
      state.withLock { state in
        state.mode = newValue
        if newValue == .refuse { state.closeListener() }
      }
      if newValue == .reset { cutAll() }
      if newValue != .refuse { try? openListener() }
    }
  }

  /// The addresses of clients that are cut off: for their connections, open and new, all is as with
  /// ``Mode/drop``, whatever the mode.
  public var cutSources: Set<String> {
    get { state.withLock { $0.cutSources } }
    set { state.withLock { $0.cutSources = newValue } }
  }

  /// Resets all open connections once; the mode stays.
  public func cutAll() {
    for connection in state.withLock({ Array($0.connections.values) }) { connection.cut() }
  }

  /// Ends the relay and its connections.
  public func stop() {
    let wasStopped = state.withLock { state in
      defer { state.isStopped = true }
      state.closeListener()
      return state.isStopped
    }
    guard !wasStopped else { return }
    cutAll()
    Ports.release(port)
  }

  private func openListener() throws {
    try state.withLock { state in
      guard state.listener < 0, !state.isStopped else { return }
      state.listener = try Sockets.listen(port: port)
    }
  }

  private func acceptLoop() {
    while true {
      let (listener, isStopped) = state.withLock { ($0.listener, $0.isStopped) }
      if isStopped { return }
      // A short wait: the listener may be closed under us by a change of mode.
      if listener < 0 || !Sockets.wait(listener, for: POLLIN, milliseconds: 5) {
        usleep(2000)
        continue
      }
      // Under the lock, so that the descriptor is still the listener's.
      let client = state.withLock { state in
        state.listener < 0 ? -1 : accept(state.listener, nil, nil)
      }
      if client >= 0 { serve(client) }
    }
  }

  private func mode(of source: String) -> Mode {
    state.withLock { $0.cutSources.contains(source) ? .drop : $0.mode }
  }

  private func serve(_ client: Int32) {
    let source = Sockets.peerAddress(client)
    Sockets.makePrivate(client)
    Sockets.set(client, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    guard mode != .reset, let server = try? Sockets.connect(target, timeoutMilliseconds: 1000),
      let connection = try? RelayConnection(client: client, server: server)
    else {
      Sockets.lingerZero(client)
      close(client)
      return
    }
    let id = state.withLock { state in
      state.count += 1
      state.connections[state.count] = connection
      return state.count
    }
    let done: @Sendable () -> Void = { [self] in
      state.withLock { _ = $0.connections.removeValue(forKey: id) }
    }
    connection.run(mode: { [self] in mode(of: source) }, fired: { [self] in fire($0) }, done: done)
  }

  /// A cut that is due happens once; false where another connection was first.
  private func fire(_ mode: Mode) -> Bool {
    state.withLock { state in
      guard state.mode == mode else { return false }
      state.mode = .pass
      return true
    }
  }
}
