// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Takes connections from a listening socket that several threads may share.
final class Acceptor: Watcher {
  /// Taken at one time, so that a storm of new clients does not starve those that are there.
  private static let turnMax = 32

  private let descriptor: CInt
  private let poller: Poller
  private let accepted: (CInt) -> Void
  private var place: Poller.Place?
  /// No descriptor is left: it tries again after a pause.
  private(set) var isPaused = false

  init(_ descriptor: CInt, poller: Poller, _ accepted: @escaping (CInt) -> Void) {
    self.descriptor = descriptor
    self.poller = poller
    self.accepted = accepted
    resume()
  }

  func ready(_ events: Readiness) {
    for _ in 0..<Self.turnMax {
      let client = holdfast_accept4(
        descriptor, nil, nil, CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
      guard client < 0 else {
        accepted(client)
        continue
      }
      switch errno {
      // One that was gone again before it was taken.
      case EINTR, ECONNABORTED: continue
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return pause()
      default: return
      }
    }
  }

  private func pause() {
    isPaused = true
    if let place { poller.remove(place, descriptor) }
    place = nil
  }

  /// Listens again.
  func resume() {
    guard place == nil else { return }
    place = poller.add(descriptor, self, .readable, isShared: true)
    // Tried again at the next tick.
    isPaused = place == nil
  }

  /// Takes no more; the descriptor is its owner's.
  func stop() {
    if let place { poller.remove(place, descriptor) }
    place = nil
    isPaused = false
  }
}
