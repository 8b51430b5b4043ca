// SPDX-License-Identifier: Apache-2.0
import RESP
import RedisLab

/// A plain Redis, and another one behind the daemon: the same is sent to both.
final class ServerPair {
  /// A blocking command's time is up when Redis looks next: by default ten times a second.
  static let configuration = ["hz 500"]

  private let plain: Endpoint
  private let holdfast: Endpoint
  /// Straight to both Redis processes.
  private let direct: [BlockingClient]

  init(plain: Node, behind: Node, daemon: Endpoint) throws {
    self.plain = plain.endpoint
    holdfast = daemon
    direct = try [plain.connectBlocking(), behind.connectBlocking()]
    for script in Script.all {
      for client in direct { _ = try client.command(["SCRIPT", "LOAD", script.text]) }
    }
  }

  /// The first reply that differs and may not; nil where all are alike.
  func firstDifference(of kind: SequenceKind, seed: UInt64) throws -> ReplyDifference? {
    for client in direct { _ = try client.command(["FLUSHALL"]) }
    let sequence = kind.sequence(seed: seed)
    var comparison = try SequenceComparison(plain, holdfast, seed: seed)
    for (index, round) in sequence.rounds.enumerated() {
      let isLast = index == sequence.rounds.count - 1
      if let difference = try comparison.run(round, isLast: isLast) {
        comparison.abandon()
        return difference.at("\(kind.rawValue), round \(index)")
      }
    }
    return nil
  }
}

/// One sequence on its way through both.
private struct SequenceComparison {
  private let plain: ReplyStream
  private let holdfast: ReplyStream
  /// Other connections, which change keys and publish.
  private let others: (plain: ReplyStream, holdfast: ReplyStream)
  private var count = ReplyCount()
  /// The last requests, for whoever looks for the cause.
  private var history: [Request] = []
  private var random: SeededGenerator

  init(_ plain: Endpoint, _ holdfast: Endpoint, seed: UInt64) throws {
    self.plain = try ReplyStream(plain)
    self.holdfast = try ReplyStream(holdfast)
    others = (try ReplyStream(plain), try ReplyStream(holdfast))
    random = SeededGenerator(seed: ~seed)
  }

  mutating func run(_ round: Round, isLast: Bool) throws -> ReplyDifference? {
    // Its answer is the last thing that a connection says, whatever state it is in.
    let requests = round.requests + (isLast ? [Request("QUIT")] : [])
    let bytes = requests.flatMap(\.bytes)
    try plain.write(bytes)
    try holdfast.write(bytes, cuts: cuts(of: bytes.count))
    for (index, request) in requests.enumerated() {
      let isLastReply = isLast && index == requests.count - 1
      if let difference = try compare(request, isLast: isLastReply) {
        return difference.at("request \(index)").after(history)
      }
      history = history.suffix(15) + [request]
    }
    if isLast { return compareInvalidations() }
    for other in round.others {
      if let difference = try compareOther(other) { return difference.at("other connection") }
    }
    return nil
  }

  /// Lets both come to the end of what they were sent: nothing of it may run in the next sequence.
  func abandon() {
    for stream in [plain, holdfast, others.plain, others.holdfast] {
      try? stream.write(Request("QUIT").bytes)
      _ = try? stream.rest(timeoutMilliseconds: 500)
    }
  }

  private mutating func cuts(of count: Int) -> [Int] {
    (0..<random.number(in: 0..<5)).map { _ in random.number(in: 0..<count) }
  }

  /// Takes as many frames from the daemon as the plain Redis gave.
  private mutating func compare(_ request: Request, isLast: Bool) throws -> ReplyDifference? {
    let expected = try count.take(for: request) { try plain.next() } + (isLast ? plain.rest() : [])
    var exchange = Exchange(request: request, plain: expected, holdfast: [])
    do {
      if isLast {
        exchange.holdfast = try holdfast.rest()
      } else {
        while exchange.holdfast.count < expected.count, let frame = try holdfast.next() {
          exchange.holdfast.append(frame)
        }
      }
    } catch {
      return ReplyDifference(exchange, "\(error)")
    }
    return Differences.allow(exchange) ? nil : ReplyDifference(exchange)
  }

  /// A request of the other connection, and the messages that it sends to subscribers.
  private func compareOther(_ request: Request) throws -> ReplyDifference? {
    for stream in [others.plain, others.holdfast] { try stream.write(request.bytes) }
    var exchange = Exchange(request: request, plain: [], holdfast: [])
    do {
      if let reply = try others.plain.next() { exchange.plain.append(reply) }
      if let reply = try others.holdfast.next() { exchange.holdfast.append(reply) }
      guard exchange.plain == exchange.holdfast else { return ReplyDifference(exchange) }
      for _ in 0..<receiverCount(request, exchange.plain) {
        if let message = try plain.next() { exchange.plain.append(message) }
        if let message = try holdfast.next() { exchange.holdfast.append(message) }
      }
    } catch {
      return ReplyDifference(exchange, "\(error)")
    }
    return Differences.allow(exchange) ? nil : ReplyDifference(exchange)
  }

  private func receiverCount(_ request: Request, _ reply: [[UInt8]]) -> Int {
    guard request.word(0).hasSuffix("PUBLISH"), let line = reply.first?.dropFirst().dropLast(2)
    else { return 0 }
    return Int(String(decoding: line, as: UTF8.self)) ?? 0
  }

  private func compareInvalidations() -> ReplyDifference? {
    let exchange = Exchange(
      request: Request("CLIENT", "TRACKING"), plain: plain.invalidations,
      holdfast: holdfast.invalidations)
    guard exchange.plain != exchange.holdfast else { return nil }
    return ReplyDifference(exchange, "what was said of tracked keys")
  }
}

/// A request and what both said to it.
struct Exchange {
  let request: Request
  var plain: [[UInt8]]
  var holdfast: [[UInt8]]
}

/// Replies that differ, for people.
struct ReplyDifference: CustomStringConvertible {
  let exchange: Exchange
  private let reason: String
  private var place: [String] = []
  private var history: [Request] = []

  init(_ exchange: Exchange, _ reason: String = "") {
    self.exchange = exchange
    self.reason = reason
  }

  func at(_ place: String) -> ReplyDifference {
    var copy = self
    copy.place.insert(place, at: 0)
    return copy
  }

  func after(_ history: [Request]) -> ReplyDifference {
    var copy = self
    copy.history = history
    return copy
  }

  var description: String {
    """
    \(place.joined(separator: ", ")): \(reason)
      request:  \(exchange.request.arguments.map(Self.escape).joined(separator: " "))
      Redis:    \(exchange.plain.map(Self.escape).joined(separator: " "))
      Holdfast: \(exchange.holdfast.map(Self.escape).joined(separator: " "))
      after:    \(history.map { $0.arguments.map(Self.escape).joined(separator: " ") })
    """
  }

  /// Bytes in ASCII, the middle of what is long left out.
  static func escape(_ bytes: [UInt8]) -> String {
    guard bytes.count <= 600 else {
      return escape(Array(bytes.prefix(300))) + "…(\(bytes.count) bytes)…"
        + escape(Array(bytes.suffix(200)))
    }
    return bytes.map { byte in
      switch byte {
      case 0x0D: "\\r"
      case 0x0A: "\\n"
      case 0x20...0x7E: String(UnicodeScalar(byte))
      default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }.joined()
  }
}
