// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Free ports on the loopback interface.
///
/// From below the range that the kernel takes for outgoing connections: a client that dials a dead
/// node's port inside that range can be connected to itself, or hold the port when the node returns.
enum Ports {
  private static let range = 12_000..<31_000
  private static let taken = Mutex<Set<Int>>([])

  /// Takes one port, not given out twice by this process until it is released.
  static func take() throws -> Int {
    for _ in 0..<1000 {
      let port = Int.random(in: range)
      guard taken.withLock({ $0.insert(port).inserted }) else { continue }
      // Bound, never listening: a process that is just being started holds a copy for a moment, and a
      // copy that listens would keep the port from its owner.
      if let probe = try? Sockets.bind(port: port) {
        close(probe)
        return port
      }
      release(port)
    }
    throw LabError.failed("no free port on 127.0.0.1 in \(range)")
  }

  static func release(_ port: Int) { taken.withLock { _ = $0.remove(port) } }
}
