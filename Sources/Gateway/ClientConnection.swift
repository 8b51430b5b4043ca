// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Proxy

/// The socket of one app's connection.
final class ClientConnection: StreamOwner {
  private static let marks = StreamSocket.Marks(high: 64 << 10, low: 32 << 10)
  /// How long a client may take to read its last replies.
  private static let lingerMilliseconds: Int64 = 5_000

  private let shard: ShardLoop
  private let entrance: Entrance
  private var socket: StreamSocket?
  private(set) var id: ClientID?
  /// See ``RequestPace``.
  private var seenIn: UInt32 = 0
  /// Since when it is closed but for replies that are not read yet.
  private var closesAtMilliseconds: Int64?

  /// Takes an accepted descriptor over.
  init(
    _ descriptor: CInt, _ entrance: Entrance, shard: ShardLoop, poller: Poller,
    buffer: UnsafeMutableRawBufferPointer
  ) {
    self.shard = shard
    self.entrance = entrance
    socket = StreamSocket(
      descriptor, poller: poller, buffer: buffer, marks: Self.marks, owner: self)
    guard socket != nil else { return }
    let peer = entrance == .socket ? PeerCredentials.read(descriptor) : nil
    id = shard.clientConnected(self, entrance, peer: peer)
  }

  func received(_ bytes: UnsafeRawBufferPointer) {
    guard let id, closesAtMilliseconds == nil else { return }
    shard.clientReceived(id, bytes, seenIn: &seenIn)
  }

  func writable(_ isWritable: Bool) {
    guard let id else { return }
    shard.clientWritable(id, isWritable)
  }

  func ended(isOver: Bool) {
    if !isOver, isInputEnding, let id { return shard.clientInputEnded(id) }
    close()
  }

  private var isInputEnding = false

  /// Lets the other end send nothing more: its next write fails at once, while all that it wrote before is still read.
  ///
  /// Closing instead would drop requests that the kernel holds, and their sender could not know. False: it is of a kind
  /// where that cannot be done.
  func endInput() -> Bool {
    guard entrance == .socket, let socket, socket.isOpen else { return false }
    isInputEnding = true
    return shutdown(socket.descriptor, CInt(SHUT_RD)) == 0
  }

  func write(_ bytes: inout [UInt8]) { socket?.write(taking: &bytes) }

  func peerGroups() -> [UInt32] {
    guard entrance == .socket, let socket else { return [] }
    return PeerGroups.read(socket.descriptor)
  }

  func setReading(_ isReading: Bool) { socket?.setReading(isReading) }

  /// Closes at once; the shard hears of it behind what it is doing now.
  func close() {
    guard let open = socket else { return }
    socket = nil
    open.close()
    guard let id else { return }
    self.id = nil
    shard.clientClosed(id, self)
  }

  /// Closes once all replies are written, or when the client has not read them for five seconds. True: it is closed.
  func closeAfterWriting(nowMilliseconds: Int64) -> Bool {
    guard let socket, !socket.isSettled,
      nowMilliseconds < closesAtMilliseconds ?? .max
    else {
      close()
      return true
    }
    if closesAtMilliseconds == nil {
      closesAtMilliseconds = nowMilliseconds + Self.lingerMilliseconds
    }
    return false
  }
}

/// The groups of a process behind a Unix-domain socket.
enum PeerGroups {
  /// As many as are looked at; a user with more is not recognized by them.
  private static let countMax = 64

  /// Empty where the kernel does not say.
  static func read(_ descriptor: CInt) -> [UInt32] {
    var groups = [UInt32](repeating: 0, count: countMax)
    var size = socklen_t(countMax * MemoryLayout<UInt32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &size) == 0 else { return [] }
    return Array(groups.prefix(Int(size) / MemoryLayout<UInt32>.size))
  }
}

/// The process behind a Unix-domain socket, as the kernel saw it at connect.
enum PeerCredentials {
  /// Linux' `struct ucred`, see unix(7).
  private struct Raw {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
  }

  /// Nil where the other end is no local process.
  static func read(_ descriptor: CInt) -> Peer? {
    var raw = Raw()
    var size = socklen_t(MemoryLayout<Raw>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &raw, &size) == 0 else { return nil }
    return Peer(pid: raw.pid, uid: raw.uid, gid: raw.gid)
  }
}
