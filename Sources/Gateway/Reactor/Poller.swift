// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// What happened to a descriptor, as epoll(7) tells it.
struct Readiness: OptionSet {
  let rawValue: UInt32

  /// There is something to read, or the end of it.
  static let readable = Readiness(rawValue: EPOLLIN.rawValue)
  /// It takes bytes.
  static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
  /// Both directions are over, or it has failed.
  static let over = Readiness(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
}

/// Who is told of a descriptor.
protocol Watcher: AnyObject {
  /// Reads or writes what can be without waiting. Level-triggered: what is left is told of again.
  func ready(_ events: Readiness)
}

/// The descriptors of one thread, and who is told of them.
final class Poller {
  /// Names a descriptor's place; a place that was given up is never told of what was meant for its former owner.
  struct Place {
    fileprivate let index: Int
  }

  private struct Slot {
    var watcher: (any Watcher)?
    var serial: UInt32 = 0
  }

  private static let eventsMax = 256

  private let epoll: CInt
  private var slots: [Slot] = []
  private var free: [Int] = []
  private var events = [epoll_event](repeating: epoll_event(), count: Poller.eventsMax)

  init() {
    epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
    precondition(epoll >= 0, "no descriptor is left for epoll")
  }

  deinit { close(epoll) }

  /// Watches a descriptor. Nil where the system does not allow it (no memory, or too many watches).
  func add(
    _ descriptor: CInt, _ watcher: any Watcher, _ wanted: Readiness, isShared: Bool = false
  ) -> Place? {
    let index = free.popLast() ?? slots.count
    if index == slots.count { slots.append(Slot()) }
    slots[index].watcher = watcher
    slots[index].serial &+= 1
    // Of several threads that wait for the same listening socket one is woken.
    let exclusive = isShared ? EPOLLEXCLUSIVE.rawValue : 0
    guard control(EPOLL_CTL_ADD, descriptor, index, wanted.rawValue | exclusive) else {
      slots[index].watcher = nil
      free.append(index)
      return nil
    }
    return Place(index: index)
  }

  func change(_ place: Place, _ descriptor: CInt, _ wanted: Readiness) {
    _ = control(EPOLL_CTL_MOD, descriptor, place.index, wanted.rawValue)
  }

  /// Ends a watch. Nothing is told of it any more.
  func remove(_ place: Place, _ descriptor: CInt) {
    _ = control(EPOLL_CTL_DEL, descriptor, place.index, 0)
    forget(place)
  }

  /// Ends the watch of a descriptor that is closed next: with its only descriptor the system forgets a socket by itself.
  func forget(_ place: Place) {
    slots[place.index].watcher = nil
    free.append(place.index)
  }

  private func control(
    _ operation: CInt, _ descriptor: CInt, _ index: Int, _ wanted: UInt32
  ) -> Bool {
    var event = epoll_event()
    event.events = wanted
    event.data.u64 = UInt64(slots[index].serial) << 32 | UInt64(index)
    return epoll_ctl(epoll, operation, descriptor, &event) == 0
  }

  /// Waits for events and tells of them; `woken` is called first, once the wait is over, with how many there are.
  func wait(milliseconds: Int, _ woken: (Int) -> Void) {
    let count = events.withUnsafeMutableBufferPointer {
      epoll_wait(epoll, $0.baseAddress, CInt($0.count), CInt(clamping: milliseconds))
    }
    woken(Int(count))
    guard count > 0 else { return }
    for number in 0..<Int(count) {
      let event = events[number]
      let index = Int(event.data.u64 & 0xffff_ffff)
      let slot = slots[index]
      guard slot.serial == UInt32(event.data.u64 >> 32) else { continue }
      slot.watcher?.ready(Readiness(rawValue: event.events))
    }
  }
}
