// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// The write fence: while a failover may be replacing the master, writes wait and reads go on.
extension Shard {
  /// A command that writes waits; all later ones of its client wait behind it.
  func awaitFence(_ client: Client) -> Bool {
    guard view.isServing, let fence = view.fence else { return awaitMaster(client) }
    guard !client.isFailingFast else {
      failNoMaster(
        client, "writes wait, for \(configuration.waitMilliseconds) ms now: \(fence.reason)")
      return true
    }
    startWaiting(client, .fence)
    masterWaiters.append(client.id)
    return false
  }

  /// A fence was raised. What is sent already is answered when the coming master has it; a pop that waits for data
  /// would take it from the old one.
  func beginFence() {
    for case let link? in links {
      guard case .leased(let id) = link.purpose, clients[id]?.isBlockingWrite == true else {
        continue
      }
      lose(link, event: nil)
    }
  }

  /// The view of the same generation has changed: more may be certain now.
  func followFence(was wasFenced: Bool) {
    isFenced = view.fence != nil
    if isFenced && !wasFenced { beginFence() }
    releaseHeld()
  }

  /// Remembers a write that a generation acknowledged which no sentinel has named yet.
  func noteProvisional(_ command: [UInt8]) {
    provisional.add(
      withArguments(command) { arguments in
        ProvisionalWrites.describe(
          name: table.find(arguments).map { displayName($0) } ?? "an unknown command",
          key: table.find(arguments).flatMap { firstKey(of: $0, arguments) })
      })
  }

  private func firstKey(of index: CommandIndex, _ arguments: RequestArguments) -> [UInt8]? {
    var first: [UInt8]?
    table.forEachKey(of: index, arguments: arguments) { if first == nil { first = Array($0) } }
    return first
  }

  /// The provisional generation is over: confirmed, or given up with what it had acknowledged.
  func endProvisional(isAbandoned: Bool) {
    if isAbandoned { figures.add(provisional) }
    provisional = ProvisionalWrites()
  }
}

/// Writes that a provisional generation acknowledged: possibly lost if it is given up.
public struct ProvisionalWrites: Sendable, Equatable {
  static let listMax = 100
  /// How many.
  public private(set) var count = 0
  /// The first hundred: command and key, the key's last part masked.
  public private(set) var list: [String] = []

  mutating func add(_ text: @autoclosure () -> String) {
    count += 1
    if list.count < Self.listMax { list.append(text()) }
  }

  mutating func add(_ other: ProvisionalWrites) {
    count += other.count
    list += other.list.prefix(Self.listMax - list.count)
  }

  /// A key names whose data it is; its last part is often a session's id, which never reaches a log.
  static func describe(name: String, key: [UInt8]?) -> String {
    guard let key else { return name }
    guard let colon = key.lastIndex(of: UInt8(ascii: ":")), colon < 64 else { return "\(name) *" }
    let prefix = key[...colon].allSatisfy { $0 > 32 && $0 < 127 } ? key[...colon] : []
    return "\(name) \(String(decoding: prefix, as: UTF8.self))*"
  }
}
