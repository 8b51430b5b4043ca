// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import Synchronization
import Testing

@testable import Gateway

/// What a reactor's thread saw, readable from any.
private final class Seen: Sendable {
  private let state = Mutex((bytes: 0, ends: [Bool](), writable: [Bool](), isEnded: false))

  func received(_ count: Int) { state.withLock { $0.bytes += count } }
  func ended(_ isOver: Bool) { state.withLock { $0.ends.append(isOver) } }
  func writable(_ isWritable: Bool) { state.withLock { $0.writable.append(isWritable) } }
  func threadEnded() { state.withLock { $0.isEnded = true } }

  var bytes: Int { state.withLock { $0.bytes } }
  var ends: [Bool] { state.withLock { $0.ends } }
  var marks: [Bool] { state.withLock { $0.writable } }
  var isEnded: Bool { state.withLock { $0.isEnded } }
}

/// One end of a pair of sockets on a reactor.
private final class Rig: ReactorWork, StreamOwner {
  let seen: Seen
  private(set) var socket: StreamSocket?
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)

  init(_ poller: Poller, _ descriptor: CInt, _ seen: Seen) {
    self.seen = seen
    socket = StreamSocket(
      descriptor, poller: poller, buffer: buffer, marks: .init(high: 10_000, low: 1_000),
      owner: self)
  }

  deinit { buffer.deallocate() }

  func received(_ bytes: UnsafeRawBufferPointer) { seen.received(bytes.count) }
  func writable(_ isWritable: Bool) { seen.writable(isWritable) }

  func ended(isOver: Bool) {
    seen.ended(isOver)
    if isOver { socket?.close() }
  }

  func woken(eventCount: Int) {}
  func turn() -> Int64 { 1000 }
  var isGathering: Bool { false }

  func end() {
    socket?.close()
    seen.threadEnded()
  }
}

private struct Pair: Sendable {
  let reactor: Reactor
  let rig: NIOLoopBound<Rig>
  let seen = Seen()
  /// The other end.
  let other: CInt

  static func make() async throws -> Pair {
    var ends: [CInt] = [-1, -1]
    let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    try #require(socketpair(AF_UNIX, kind, 0, &ends) == 0)
    return await Pair(inner: ends[0], other: ends[1])
  }

  private init(inner: CInt, other: CInt) async {
    self.other = other
    let seen = seen
    let made = await withCheckedContinuation { continuation in
      _ = Reactor.start(named: "test") { reactor, poller in
        let rig = Rig(poller, inner, seen)
        continuation.resume(returning: (reactor, NIOLoopBound(rig, eventLoop: reactor)))
        return rig
      }
    }
    reactor = made.0
    rig = made.1
  }

  func on(_ body: @escaping @Sendable (Rig) -> Void) async throws {
    try await reactor.submit { [rig] in body(rig.value) }.get()
  }

  func send(_ count: Int) {
    let bytes = [UInt8](repeating: 120, count: count)
    #expect(Glibc.send(other, bytes, count, 0) == count)
  }

  /// All that is there now.
  func drain() -> Int {
    var total = 0
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while case let count = recv(other, &bytes, bytes.count, 0), count > 0 { total += count }
    return total
  }

  func until(_ condition: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while !condition() {
      try #require(ContinuousClock.now < deadline)
      try await Task.sleep(for: .milliseconds(2))
    }
  }
}

@Suite struct ReactorTests {
  @Test func tasksRunInOrderOnItsThread() async throws {
    let pair = try await Pair.make()
    let order = Mutex<[Int]>([])
    for number in 0..<100 {
      pair.reactor.execute { [reactor = pair.reactor] in
        if reactor.inEventLoop { order.withLock { $0.append(number) } }
      }
    }
    try await pair.on { _ in }
    #expect(order.withLock { $0 } == Array(0..<100))
    #expect(!pair.reactor.inEventLoop)
    pair.reactor.stop()
  }

  @Test func timersFireUnlessCancelled() async throws {
    let pair = try await Pair.make()
    let cancelled = pair.reactor.scheduleTask(in: .milliseconds(20)) { true }
    let later = pair.reactor.scheduleTask(in: .milliseconds(30)) { true }
    cancelled.cancel()
    #expect(try await later.futureResult.get())
    await #expect(throws: EventLoopError.cancelled) { try await cancelled.futureResult.get() }
    pair.reactor.stop()
  }

  @Test func whatWasAskedBeforeItsEndIsDone() async throws {
    let pair = try await Pair.make()
    let isDone = Mutex(false)
    pair.reactor.execute { isDone.withLock { $0 = true } }
    pair.reactor.stop()
    try await pair.until { pair.seen.isEnded }
    #expect(isDone.withLock { $0 })
    pair.reactor.execute { Issue.record("it has ended") }
  }

  @Test func whatIsNotTakenAtOnceIsSentLater() async throws {
    let pair = try await Pair.make()
    try await pair.on { rig in
      for _ in 0..<100 {
        [UInt8](repeating: 1, count: 10_000).withUnsafeBytes { rig.socket?.write($0) }
      }
    }
    #expect(pair.seen.marks == [false])
    var total = 0
    try await pair.until {
      total += pair.drain()
      return total == 1_000_000
    }
    try await pair.until { pair.seen.marks == [false, true] }
    try await pair.on { rig in #expect(rig.socket?.isSettled == true) }
    pair.reactor.stop()
  }

  /// It may hold something that others wait for.
  @Test func whoIsNotReadAndGoesIsNoticed() async throws {
    let pair = try await Pair.make()
    try await pair.on { $0.socket?.setReading(false) }
    pair.send(3_000)
    for _ in 0..<20 { try await pair.on { _ in } }
    #expect(pair.seen.bytes == 0 && pair.seen.ends == [])
    close(pair.other)
    try await pair.until { pair.seen.ends == [true] }
    pair.reactor.stop()
  }

  @Test func whatCameMeanwhileIsReadLater() async throws {
    let pair = try await Pair.make()
    try await pair.on { $0.socket?.setReading(false) }
    pair.send(3_000)
    try await pair.on { $0.socket?.setReading(true) }
    try await pair.until { pair.seen.bytes == 3_000 }
    pair.reactor.stop()
  }

  @Test func halfAnEndIsNotTheWhole() async throws {
    let pair = try await Pair.make()
    pair.send(10)
    shutdown(pair.other, CInt(SHUT_WR))
    try await pair.until { pair.seen.ends == [false] }
    try await pair.on { rig in Array("late".utf8).withUnsafeBytes { rig.socket?.write($0) } }
    #expect(pair.drain() == 4)
    close(pair.other)
    try await pair.until { pair.seen.ends == [false, true] }
    pair.reactor.stop()
  }

  @Test func aFailedWriteShowsAsTheEnd() async throws {
    let pair = try await Pair.make()
    try await pair.on { $0.socket?.setReading(false) }
    close(pair.other)
    try await pair.on { rig in Array("x".utf8).withUnsafeBytes { rig.socket?.write($0) } }
    try await pair.until { pair.seen.ends == [true] }
    pair.reactor.stop()
  }
}
