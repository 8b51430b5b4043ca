// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import RedisLab
import Synchronization
import Testing

@testable import Sessions

/// One Redis for all tests of this process; each test has a prefix of its own.
enum SharedRedis {
  private static let topology = Task { try await Topology.single() }
  private static let next = Atomic<Int>(0)

  static func node() async throws -> Node { try await topology.value.initialMaster }
  static func prefix() -> String {
    "t\(next.wrappingAdd(1, ordering: .relaxed).newValue)[*:"
  }
}

/// Where a test's sessions live.
struct Rig: Sendable {
  let node: Node
  var configuration: SessionConfiguration
  /// Each guarded call is run twice, as after a lost reply, and must answer the same.
  let isReplaying: Bool

  func connect() throws -> Runner {
    let client = try node.connectBlocking()
    _ = try client.command(["SELECT", "\(configuration.database)"])
    return Runner(client, configuration, isReplaying: isReplaying)
  }

  /// Runs a body on so many threads with a connection each.
  func parallel<T: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int, Runner) throws -> T
  ) async throws -> [T] {
    try await withThrowingTaskGroup(of: T.self) { group in
      for index in 0..<count {
        group.addTask {
          try await LabThread.run {
            let runner = try connect()
            runner.isAlone = false
            return try body(index, runner)
          }
        }
      }
      var results: [T] = []
      for try await result in group { results.append(result) }
      return results
    }
  }
}

/// Gives the body a rig, and asserts afterwards that no key without TTL is left.
func withSessions(
  replaying isReplaying: Bool = false,
  _ change: (inout SessionConfiguration) -> Void = { _ in },
  _ body: @Sendable (Rig, Runner) async throws -> Void
) async throws {
  var configuration = SessionConfiguration()
  configuration.prefix = SharedRedis.prefix()
  change(&configuration)
  let rig = Rig(
    node: try await SharedRedis.node(), configuration: configuration, isReplaying: isReplaying)
  let runner = try rig.connect()
  try await body(rig, runner)
  #expect(try runner.keysWithoutTTL() == [])
}

/// Carries out an operation's steps on a connection.
final class Runner {
  let client: BlockingClient
  var configuration: SessionConfiguration
  let isReplaying: Bool
  var isConfirming = true
  var isFenced = false
  /// Nobody else writes: a read run twice finds the same.
  var isAlone = true
  var random = SystemRandomNumberGenerator()
  private(set) var last: SessionOperation?
  private(set) var calls: [RedisCall] = []
  private(set) var confirmations = 0
  /// Replies that could be passed on as they came.
  private(set) var passedCount = 0
  /// What is done before each call.
  var beforeCall: ((RedisCall) throws -> Void)?

  init(_ client: BlockingClient, _ configuration: SessionConfiguration, isReplaying: Bool) {
    self.client = client
    self.configuration = configuration
    self.isReplaying = isReplaying
  }

  @discardableResult
  func run(_ arguments: String...) throws -> SessionReply { try run(arguments.map { bytes($0) }) }

  @discardableResult
  func run(_ arguments: [[UInt8]]) throws -> SessionReply {
    let parsed = SessionOperation.parse(
      [bytes("session.") + arguments[0]] + arguments.dropFirst(), SessionContext(configuration),
      random: &random)
    switch parsed {
    case .refused(let reply): return reply
    case .operation(let operation): return try run(operation)
    }
  }

  @discardableResult
  func run(_ operation: SessionOperation) throws -> SessionReply {
    var operation = operation
    calls = []
    confirmations = 0
    defer { last = operation }
    var step = operation.start(nowMilliseconds: now(), isFenced: isFenced)
    for _ in 0..<100_000 {
      switch step {
      case .call(let call):
        calls.append(call)
        try beforeCall?(call)
        let reply = try send(call)
        var asItCame: [UInt8] = []
        asItCame.write(reply, .two)
        let isPassed = asItCame.withUnsafeBytes { operation.passes($0) }
        step = operation.received(reply, nowMilliseconds: now())
        if isPassed { expectAnswer(step, asItCame) }
      case .confirm:
        confirmations += 1
        step = operation.confirmed(isConfirming, nowMilliseconds: now())
      case .pause(let milliseconds):
        usleep(UInt32(min(milliseconds, 50) * 1000))
        step = operation.resumed(nowMilliseconds: now())
      case .reply(let reply): return reply
      }
    }
    throw LabError.failed("an operation without an end")
  }

  /// A reply that may be passed on is what the client would be answered anyway.
  private func expectAnswer(_ step: SessionStep, _ expected: [UInt8]) {
    passedCount += 1
    guard case .reply(let answer) = step else {
      Issue.record("a reply was to be passed on, and the operation is not over")
      return
    }
    var written: [UInt8] = []
    answer.write(into: &written, .two)
    #expect(written == expected)
  }

  func send(_ call: RedisCall) throws -> RESPValue {
    let first = try sendOnce(call)
    guard isReplaying, call.replay == .guarded else { return first }
    let second = try sendOnce(call)
    if case .script(let script, _, _) = call.body, script == SessionScript.get {
      // Its ttl passes, and a grace may end between the two.
      let ttlPlace = first.elements?.count == 5 ? 3 : 1
      let words = [first, second].map { $0.elements?.first?.text }
      let hasGraceEnded = words[0] == "MOVED" && words[1] != "MOVED"
      if isAlone, !hasGraceEnded {
        #expect(
          first.elements?.enumerated().filter { $0.offset != ttlPlace }.map(\.element)
            == second.elements?.enumerated().filter { $0.offset != ttlPlace }.map(\.element))
      }
      return second
    }
    // A call that found nothing to do may find it now.
    if isAlone || first.elements?.first?.text == "OK" { #expect(first == second) }
    return first
  }

  private func sendOnce(_ call: RedisCall) throws -> RESPValue {
    switch call.body {
    case .command(let arguments): return try client.command(arguments)
    case .script(let script, let keys, let arguments):
      let rest = [bytes(keys.count)] + keys + arguments
      let reply = try client.command([bytes("EVALSHA"), bytes(script.digest)] + rest)
      if case .error(let text) = reply, text.hasPrefix("NOSCRIPT") {
        return try client.command([bytes("EVAL"), bytes(script.source)] + rest)
      }
      return reply
    }
  }

  func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension Runner {
  var keys: SessionKeys { SessionKeys(prefix: configuration.prefix) }

  func stored(_ id: [UInt8]) throws -> [UInt8] {
    try #require(SessionID(id)).stored(as: configuration.idStorage)
  }

  func sessionKey(_ id: [UInt8]) throws -> [UInt8] { keys.session(try stored(id)) }

  func redis(_ arguments: [UInt8]...) throws -> RESPValue { try client.command(arguments) }

  /// A new session's id.
  func create(_ arguments: String...) throws -> [UInt8] {
    try run([bytes("CREATE")] + arguments.map { bytes($0) }).id
  }

  /// All of the test's keys.
  func allKeys() throws -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var cursor = bytes("0")
    repeat {
      let reply = try client.command([
        bytes("SCAN"), cursor, bytes("MATCH"),
        Scan.sessions(self.keys).dropLast(9) + bytes("*"), bytes("COUNT"), bytes("1000"),
      ])
      guard let parts = reply.elements, parts.count == 2, case .bulk(let next) = parts[0],
        let found = parts[1].elements
      else { throw LabError.failed("SCAN: \(reply)") }
      cursor = next
      for case .bulk(let key) in found where !keys.contains(key) { keys.append(key) }
    } while cursor != bytes("0")
    return keys
  }

  func keysWithoutTTL() throws -> [String] {
    try allKeys().filter { try redis(bytes("PTTL"), $0) == .integer(-1) }
      .map { String(decoding: $0, as: UTF8.self) }
  }

  /// Waits until a condition holds, with a generous deadline.
  func eventually(_ what: String, _ condition: () throws -> Bool) throws {
    let end = now() + 10_000
    while try !condition() {
      guard now() < end else { throw LabError.failed("never: \(what)") }
      usleep(5000)
    }
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

extension SessionReply {
  subscript(_ name: String) -> RESPValue {
    switch self {
    case .fields(let fields): return fields.first { $0.name == name }?.value ?? .null
    case .value(.map(let pairs)):
      return pairs.first { $0.key.text == name }?.value ?? .null
    case .value, .rows, .error: return .null
    }
  }

  var id: [UInt8] {
    get throws {
      guard case .bulk(let id) = self["id"] else { throw LabError.failed("no id: \(self.word)") }
      return id
    }
  }

  /// The first word of an error; or what else it is.
  var word: String {
    switch self {
    case .error(let text): return String(text.prefix { $0 != " " })
    case .value(.null): return "nil"
    case .value, .fields, .rows: return "answer"
    }
  }

  var rows: [[String: RESPValue]] {
    guard case .rows(_, let rows) = self else { return [] }
    return rows.map { row in
      Dictionary(row.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
  }
}

/// A generator that a seed repeats (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

extension SessionOperation {
  /// Reads a command, `arguments[0]` its name.
  static func parse(
    _ arguments: [[UInt8]], _ context: SessionContext, clientDatabase: Int64? = nil,
    random: inout some RandomNumberGenerator
  ) -> Parsed {
    RequestArguments.withView(of: arguments) {
      parse($0, context, clientDatabase: clientDatabase, random: &random)
    }
  }
}

extension RedisCall {
  /// What its frame says.
  var body: Body {
    let value = try? frame.withUnsafeBytes { frame throws(ProtocolError) in
      try RESPValue.parse(frame, from: 0, limits: ScanLimits())?.value
    }
    let words = (value?.elements ?? []).compactMap { word -> [UInt8]? in
      guard case .bulk(let bytes) = word else { return nil }
      return bytes
    }
    guard let script else { return .command(words) }
    return .script(
      script, keys: Array(words[3..<3 + keyCount]), arguments: Array(words[(3 + keyCount)...]))
  }
}
