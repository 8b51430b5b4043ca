// SPDX-License-Identifier: Apache-2.0
import RESP

/// What a client is subscribed to, as far as Redis has confirmed it.
struct Subscriptions {
  /// More names, or bytes of names, are not remembered: a client with more is closed with its connection.
  static let countMax = 10_000
  static let bytesMax = 1 << 20

  private var channels: Set<[UInt8]> = []
  private var patterns: Set<[UInt8]> = []
  private var shardChannels: Set<[UInt8]> = []
  private var byteCount = 0
  /// Channels and patterns, as Redis counts them; shard channels apart.
  private(set) var count = 0
  private(set) var shardCount = 0
  /// Whether all names are remembered.
  private(set) var isComplete = true

  var isEmpty: Bool { count + shardCount == 0 }

  /// Whether it wants to hear of messages that may have been missed.
  var wantsGaps: Bool { channels.contains(Self.gapChannel) }

  /// Where the daemon says that messages may have been missed.
  static let gapChannel = Array("__holdfast__:gap".utf8)

  /// One of Redis' confirmations, such as `subscribe`, the name, and how many are left.
  struct Confirmation {
    let kind: String
    let name: [UInt8]?
    let count: Int

    /// Nil for everything else. Messages are told by their first bytes, and not parsed.
    init?(_ reply: UnsafeRawBufferPointer, limits: ScanLimits) {
      // "*3\r\n$9\r\nsubscribe": the kind is short and near the start.
      let head = String(decoding: reply.prefix(28), as: UTF8.self)
      guard head.contains("subscribe\r\n"),
        let value = try? RESPValue.parse(reply, from: 0, limits: limits)?.value,
        let elements = value.elements, elements.count == 3, let kind = elements[0].text,
        kind.hasSuffix("subscribe"), let count = elements[2].integerValue
      else { return nil }
      self.kind = kind
      if case .bulk(let name) = elements[1] { self.name = name } else { name = nil }
      self.count = Int(count)
    }
  }

  mutating func note(_ confirmation: Confirmation) {
    switch confirmation.kind {
    case "subscribe": add(confirmation.name, to: \.channels)
    case "psubscribe": add(confirmation.name, to: \.patterns)
    case "ssubscribe": add(confirmation.name, to: \.shardChannels)
    case "unsubscribe": remove(confirmation.name, from: \.channels)
    case "punsubscribe": remove(confirmation.name, from: \.patterns)
    case "sunsubscribe": remove(confirmation.name, from: \.shardChannels)
    default: return
    }
    if confirmation.kind == "ssubscribe" || confirmation.kind == "sunsubscribe" {
      shardCount = confirmation.count
    } else {
      count = confirmation.count
    }
    if isEmpty { self = Subscriptions() }
  }

  private mutating func add(_ name: [UInt8]?, to names: WritableKeyPath<Self, Set<[UInt8]>>) {
    guard let name, !self[keyPath: names].contains(name) else { return }
    guard channels.count + patterns.count + shardChannels.count < Self.countMax,
      byteCount + name.count <= Self.bytesMax
    else {
      isComplete = false
      return
    }
    self[keyPath: names].insert(name)
    byteCount += name.count
  }

  private mutating func remove(_ name: [UInt8]?, from names: WritableKeyPath<Self, Set<[UInt8]>>) {
    guard let name, self[keyPath: names].remove(name) != nil else { return }
    byteCount -= name.count
  }

  /// What asks for all of it anew.
  var commands: [UInt8] {
    var bytes: [UInt8] = []
    for (command, names) in [
      ("SUBSCRIBE", channels), ("PSUBSCRIBE", patterns), ("SSUBSCRIBE", shardChannels),
    ] where !names.isEmpty {
      // In order: two runs with the same events give the same bytes.
      bytes.writeCommand(
        [Array(command.utf8)] + names.sorted { $0.lexicographicallyPrecedes($1) })
    }
    return bytes
  }
}
