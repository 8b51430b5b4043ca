// SPDX-License-Identifier: Apache-2.0

/// Scripts that apps loaded, so that a new master can be given them. The oldest make room for new ones.
struct ScriptMemory {
  var countMax = 256
  var bytesMax = 4 << 20
  private var bodies: [String: [UInt8]] = [:]
  private var order: [String] = []
  private var bytes = 0

  /// The `SCRIPT LOAD` command of a script, by the digest that Redis gave it.
  subscript(_ digest: String) -> [UInt8]? { bodies[digest.lowercased()] }

  /// The `SCRIPT LOAD` commands of all scripts, the oldest first.
  var commands: [[UInt8]] { order.compactMap { bodies[$0] } }

  /// Remembers the command that loaded a script.
  mutating func remember(_ digest: String, command: [UInt8]) {
    let digest = digest.lowercased()
    guard bodies[digest] == nil, command.count <= bytesMax else { return }
    bodies[digest] = command
    order.append(digest)
    bytes += command.count
    while order.count > countMax || bytes > bytesMax {
      bytes -= bodies.removeValue(forKey: order.removeFirst())?.count ?? 0
    }
  }
}
