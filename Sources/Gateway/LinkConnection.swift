// SPDX-License-Identifier: Apache-2.0
import CLinux
import Failover
import Glibc
import NIOCore
import Proxy

/// The socket of one connection to Redis.
final class LinkConnection: StreamOwner, Watcher {
  private static let marks = StreamSocket.Marks(high: 1 << 20, low: 256 << 10)

  let id: LinkID
  private let shard: ShardLoop
  private let poller: Poller
  private let buffer: UnsafeMutableRawBufferPointer
  private var socket: StreamSocket?
  /// A socket that is being connected, and where it is watched.
  private var connecting: (descriptor: CInt, place: Poller.Place)?
  /// Addresses that were not tried yet.
  private var addresses: ArraySlice<SocketAddress> = []
  private var deadlineMilliseconds: Int64 = .max
  private var isGivenUp = false

  init(
    _ id: LinkID, shard: ShardLoop, poller: Poller, buffer: UnsafeMutableRawBufferPointer
  ) {
    self.id = id
    self.shard = shard
    self.poller = poller
    self.buffer = buffer
  }

  /// Connects within a time. A name is resolved anew at each attempt, and all its addresses are tried.
  func open(
    _ address: NodeAddress, _ tls: UpstreamTLS?, _ relay: TLSRelay, nowMilliseconds: Int64,
    timeoutMilliseconds: Int64
  ) {
    deadlineMilliseconds = nowMilliseconds + timeoutMilliseconds
    if let tls { return agree(address, tls, relay, timeoutMilliseconds: timeoutMilliseconds) }
    if let literal = try? SocketAddress(ipAddress: address.host, port: address.port) {
      return connect(to: [literal])
    }
    let (loop, bound) = (shard.loop, NIOLoopBound(self, eventLoop: shard.loop))
    Resolver.resolve(address) { addresses in
      loop.execute { bound.value.connect(to: addresses) }
    }
  }

  /// TLS is spoken elsewhere; what this one gets is a socket to there.
  private func agree(
    _ address: NodeAddress, _ tls: UpstreamTLS, _ relay: TLSRelay, timeoutMilliseconds: Int64
  ) {
    let (loop, bound) = (shard.loop, NIOLoopBound(self, eventLoop: shard.loop))
    let connecting = relay.connect(to: address, tls, timeoutMilliseconds: timeoutMilliseconds) {
      event in
      loop.execute { bound.value.fail(event) }
    }
    connecting.whenComplete { result in
      loop.execute {
        switch result {
        case .success(let descriptor): bound.value.attach(descriptor)
        case .failure(let error):
          bound.value.fail((error as? TLSRelayError)?.event ?? .connectFailed)
        }
      }
    }
  }

  /// Connects to the first of these addresses that answers.
  private func connect(to addresses: [SocketAddress]) {
    guard !isGivenUp else { return }
    self.addresses = addresses[...]
    tryNext()
  }

  /// Whether it has waited too long for an answer; it is closed then.
  func expire(nowMilliseconds: Int64) {
    guard nowMilliseconds >= deadlineMilliseconds, socket == nil else { return }
    fail(.connectFailed)
  }

  private func tryNext() {
    while let address = addresses.popFirst() {
      if let descriptor = Self.begin(address),
        let place = poller.add(descriptor, self, .writable)
      {
        connecting = (descriptor, place)
        return
      }
    }
    fail(.connectFailed)
  }

  private static func begin(_ address: SocketAddress) -> CInt? {
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = Glibc.socket(CInt(address.protocol.rawValue), kind, 0)
    guard descriptor >= 0 else { return nil }
    set(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
    set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    // A blocking command or a subscription may be silent for long: the kernel asks after the other end.
    set(descriptor, CInt(IPPROTO_TCP), TCP_KEEPIDLE, 5)
    set(descriptor, CInt(IPPROTO_TCP), TCP_KEEPINTVL, 2)
    set(descriptor, CInt(IPPROTO_TCP), TCP_KEEPCNT, 3)
    let code = address.withSockAddr { Glibc.connect(descriptor, $0, socklen_t($1)) }
    if code == 0 || errno == EINPROGRESS { return descriptor }
    Glibc.close(descriptor)
    return nil
  }

  private static func set(_ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
  }

  /// The attempt to connect is over.
  func ready(_ events: Readiness) {
    guard let (descriptor, place) = connecting else { return }
    connecting = nil
    poller.remove(place, descriptor)
    var code: CInt = 0
    var size = socklen_t(MemoryLayout<CInt>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
    guard code == 0 else {
      Glibc.close(descriptor)
      return tryNext()
    }
    attach(descriptor)
  }

  /// Goes on with a connected descriptor, which it owns from here on.
  private func attach(_ descriptor: CInt) {
    guard !isGivenUp, socket == nil else {
      Glibc.close(descriptor)
      return
    }
    deadlineMilliseconds = .max
    socket = StreamSocket(
      descriptor, poller: poller, buffer: buffer, marks: Self.marks, owner: self)
    guard socket != nil else { return fail(.connectFailed) }
    if !shard.linkConnected(id) { abort() }
  }

  func received(_ bytes: UnsafeRawBufferPointer) { shard.linkReceived(id, bytes) }

  func writable(_ isWritable: Bool) { shard.linkWritable(id, isWritable) }

  func ended(isOver: Bool) { fail(.closed) }

  /// It is of no use any more, for this reason.
  func fail(_ event: LinkEvent) {
    guard !isGivenUp else { return }
    release(isAborted: false)
    shard.linkClosed(id, event)
  }

  func write(_ bytes: UnsafeRawBufferPointer) { socket?.write(bytes) }

  /// Closes with linger 0: what is not sent yet never will be, and the other end learns it at once. Nobody is told.
  func abort() { release(isAborted: true) }

  private func release(isAborted: Bool) {
    isGivenUp = true
    if let (descriptor, place) = connecting {
      poller.remove(place, descriptor)
      Glibc.close(descriptor)
      connecting = nil
    }
    socket?.close(isAborted: isAborted)
    socket = nil
  }
}
