// SPDX-License-Identifier: Apache-2.0
import RESP

/// One request.
struct Request: Sendable, Equatable {
  var arguments: [[UInt8]]
  /// Sent as a line of words instead of an array.
  var isInline = false

  init(_ arguments: [[UInt8]], isInline: Bool = false) {
    self.arguments = arguments
    self.isInline = isInline
  }

  init(_ words: String...) { arguments = words.map { Array($0.utf8) } }

  var bytes: [UInt8] {
    if isInline { return Array(arguments.joined(separator: [0x20])) + [0x0D, 0x0A] }
    var bytes: [UInt8] = []
    bytes.writeCommand(arguments)
    return bytes
  }

  /// An argument in capitals; empty where there is none.
  func word(_ index: Int) -> String {
    guard index < arguments.count, arguments[index].count <= 32 else { return "" }
    return String(decoding: arguments[index], as: UTF8.self).uppercased()
  }

  /// The command's name, as `GET` or `CLIENT|SETNAME`.
  var name: String {
    let isContainer = Self.containers.contains(word(0))
    return isContainer ? "\(word(0))|\(word(1))" : word(0)
  }

  private static let containers: Set = [
    "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "FUNCTION", "LATENCY", "MEMORY", "MODULE",
    "OBJECT", "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO",
  ]
}

/// Requests that are sent together, then those of another connection, one by one.
struct Round: Sendable {
  var requests: [Request]
  var others: [Request] = []
}

/// What one client does, by a seed.
struct TestSequence: Sendable {
  let seed: UInt64
  let rounds: [Round]
}

/// What a sequence is about.
enum SequenceKind: String, Sendable, CaseIterable {
  case data, transactions, connection, subscribers

  func sequence(seed: UInt64) -> TestSequence {
    // Equal seeds of two kinds are not to make equal choices.
    var random = SeededGenerator(seed: seed ^ UInt64(rawValue.utf8.count) << 56)
    let rounds: [Round]
    switch self {
    case .data: rounds = DataSequences.rounds(&random)
    case .transactions: rounds = TransactionSequences.rounds(&random)
    case .connection: rounds = ConnectionSequences.rounds(&random)
    case .subscribers: rounds = SubscriberSequences.rounds(seed, &random)
    }
    return TestSequence(seed: seed, rounds: rounds)
  }
}
