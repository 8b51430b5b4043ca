// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Whose bytes a ``StreamSocket`` carries.
protocol StreamOwner: AnyObject {
  /// Bytes have come; valid during the call.
  func received(_ bytes: UnsafeRawBufferPointer)
  /// It takes more bytes, or does not for now.
  func writable(_ isWritable: Bool)
  /// The other end sends nothing more; `isOver`: nor does it read, and the owner closes. Told once.
  func ended(isOver: Bool)
}

/// A connected stream socket that never waits: what it does not take at once is kept and sent later.
final class StreamSocket: Watcher {
  /// Above the first it asks not to be given more, below the second it takes more again; bytes.
  struct Marks {
    let high: Int
    let low: Int
  }

  /// How much is read at once; all sockets of a thread share one buffer.
  static let readBytesMax = 64 << 10

  /// How much is sent at once, so that a large reply does not hold up the thread's other sockets.
  private static let writeBytesMax = 128 << 10

  let descriptor: CInt
  private let poller: Poller
  private let buffer: UnsafeMutableRawBufferPointer
  private let marks: Marks
  /// Until it is closed.
  private var owner: (any StreamOwner)?
  private var place: Poller.Place?
  private var pending: [UInt8] = []
  private var pendingOffset = 0
  private var isReading = true
  private var isAboveMark = false
  private var hasEnded = false

  /// Takes a connected, non-blocking descriptor over. Nil where it cannot be watched; it is closed then.
  init?(
    _ descriptor: CInt, poller: Poller, buffer: UnsafeMutableRawBufferPointer, marks: Marks,
    owner: any StreamOwner
  ) {
    self.descriptor = descriptor
    self.poller = poller
    self.buffer = buffer
    self.marks = marks
    self.owner = owner
    place = poller.add(descriptor, self, .readable)
    guard place != nil else {
      Glibc.close(descriptor)
      return nil
    }
  }

  var isOpen: Bool { place != nil }
  var isSettled: Bool { pending.isEmpty }

  func ready(_ events: Readiness) {
    if events.contains(.writable) { flush() }
    guard !events.isDisjoint(with: [.readable, .over]) else { return }
    let isOver = !events.isDisjoint(with: .over)
    if isReading {
      read(isOver: isOver)
    } else if isOver {
      // Nobody is there to be answered: what it has sent and was not read yet is of no use.
      end(isOver: true)
    }
  }

  private func read(isOver: Bool) {
    guard isOpen else { return }
    let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
    if count > 0 {
      owner?.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    } else if count == 0 {
      end(isOver: isOver)
    } else if errno != EAGAIN && errno != EINTR {
      end(isOver: true)
    }
  }

  /// Tells the owner; nothing is read any more.
  private func end(isOver: Bool) {
    guard isOpen, isOver || !hasEnded else { return }
    hasEnded = true
    isReading = false
    owner?.ended(isOver: isOver)
    wish()
  }

  /// Sends what it takes at once and keeps the rest.
  func write(_ bytes: UnsafeRawBufferPointer) {
    let sent = send(bytes)
    guard isOpen, sent < bytes.count else { return }
    let wasEmpty = pending.isEmpty
    pending.append(contentsOf: bytes[sent...])
    noteKept(isFirst: wasEmpty)
  }

  /// The same with a buffer that it may keep: what is left of a large reply is not copied.
  func write(taking bytes: inout [UInt8]) {
    let sent = bytes.withUnsafeBytes { send($0) }
    guard isOpen, sent < bytes.count else { return }
    guard pending.isEmpty else { return bytes.withUnsafeBytes { write($0) } }
    swap(&pending, &bytes)
    pendingOffset = sent
    noteKept(isFirst: true)
  }

  /// How much of it is dealt with; behind what is kept nothing can be sent.
  private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard isOpen, !bytes.isEmpty else { return bytes.count }
    guard pending.isEmpty else { return 0 }
    guard let sent = sendNow(bytes) else {
      fail()
      return bytes.count
    }
    return sent
  }

  /// How much the system has taken; nil where it never will take any.
  private func sendNow(_ bytes: UnsafeRawBufferPointer) -> Int? {
    let count = min(bytes.count, Self.writeBytesMax)
    let sent = Glibc.send(descriptor, bytes.baseAddress, count, Int32(MSG_NOSIGNAL))
    if sent >= 0 { return sent }
    return errno == EAGAIN || errno == EINTR ? 0 : nil
  }

  private func noteKept(isFirst: Bool) {
    if isFirst { wish() }
    if !isAboveMark, pending.count - pendingOffset > marks.high {
      isAboveMark = true
      owner?.writable(false)
    }
  }

  /// What cannot be written shows as the end of reading too: epoll tells of both.
  private func fail() {
    pending = []
    pendingOffset = 0
    shutdown(descriptor, CInt(SHUT_RDWR))
    isReading = true
    wish()
  }

  private func flush() {
    guard isOpen, !pending.isEmpty else { return }
    let sent = pending.withUnsafeBytes {
      sendNow(UnsafeRawBufferPointer(rebasing: $0[pendingOffset...]))
    }
    guard let sent else { return fail() }
    pendingOffset += sent
    if pendingOffset == pending.count {
      // An idle connection holds no buffer.
      pending = []
      pendingOffset = 0
      wish()
    } else if pendingOffset > 1 << 20 {
      pending.removeFirst(pendingOffset)
      pendingOffset = 0
    }
    if isAboveMark, pending.count - pendingOffset < marks.low {
      isAboveMark = false
      owner?.writable(true)
    }
  }

  func setReading(_ isReading: Bool) {
    guard isOpen, !hasEnded, self.isReading != isReading else { return }
    self.isReading = isReading
    wish()
  }

  private func wish() {
    guard let place else { return }
    // Its end is told whether it is read or not.
    var wanted: Readiness = isReading ? .readable : []
    if !pending.isEmpty { wanted.insert(.writable) }
    poller.change(place, descriptor, wanted)
  }

  /// Closes at once. `isAborted`: with linger 0, so that what is not sent never will be.
  func close(isAborted: Bool = false) {
    guard let place else { return }
    self.place = nil
    owner = nil
    pending = []
    poller.forget(place)
    if isAborted {
      var option = linger(l_onoff: 1, l_linger: 0)
      setsockopt(
        descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
    Glibc.close(descriptor)
  }
}
