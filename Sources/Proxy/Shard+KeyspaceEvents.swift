// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

/// `notify-keyspace-events` as an app has set it, so that each new master is told.
struct KeyspaceEvents {
  /// Nil where nobody has set it, as far as is known.
  var flags: [UInt8]?
  /// The generation whose process was told, or asked.
  var generation: UInt64 = 0
}

// Keyspace notifications are a setting of one process. Some frameworks turn them on when they start, and never again.
extension Shard {
  /// Whether a refused command is the one that the settings open.
  func isKeyspaceEvents(_ index: CommandIndex, _ arguments: RequestArguments) -> Bool {
    configuration.areKeyspaceEventsOpen && index == configSet && arguments.count == 4
      && arguments.matches(2, "NOTIFY-KEYSPACE-EVENTS")
  }

  /// A client has set them, if the reply says so.
  func rememberKeyspaceEvents(_ link: Link, _ reply: UnsafeRawBufferPointer) {
    guard reply.first == UInt8(ascii: "+"), let command = firstCommand(link) else { return }
    keyspaceEvents.flags = withArguments(command) { $0.argument(3).map { Array($0) } }
  }

  /// Tells a new master; one of whom nothing is known is asked, so that the next one can be told.
  func tellKeyspaceEvents(on link: Link) {
    guard configuration.areKeyspaceEventsOpen, keyspaceEvents.generation != view.generation else {
      return
    }
    keyspaceEvents.generation = view.generation
    let name = Array("notify-keyspace-events".utf8)
    var command: [UInt8] = []
    if let flags = keyspaceEvents.flags {
      command.writeCommand([Array("CONFIG".utf8), Array("SET".utf8), name, flags])
    } else {
      command.writeCommand([Array("CONFIG".utf8), Array("GET".utf8), name])
    }
    let kind = keyspaceEvents.flags == nil ? EntryKind.keyspaceEvents : .own
    command.withUnsafeBytes { enqueue($0, .nobody, 0, kind, on: link) }
  }

  /// What the master that was asked has said.
  func learnKeyspaceEvents(_ reply: UnsafeRawBufferPointer) {
    let value = try? RESPValue.parse(reply, from: 0, limits: configuration.replyLimits)?.value
    guard keyspaceEvents.flags == nil, case .bulk(let flags)? = value?.elements?.last,
      !flags.isEmpty
    else { return }
    keyspaceEvents.flags = flags
  }
}
