// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Proxy

/// A generator with a seed, so that a failure can be had again.
struct SimulationRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  mutating func chance(_ percent: Double) -> Bool {
    Double.random(in: 0..<100, using: &self) < percent
  }
}

/// An app in the simulation: it knows what each of its replies may be. Its keys are its own.
final class SimulatedClient {
  enum Command: Equatable {
    case echo(String)
    case set(Int)
    case get
    case append(Int)
    case increment
    case multi, exec, watch, pop
  }

  private enum Outcome {
    case done, unknown, notExecuted
  }

  let number: Int
  let connection: FakeClient
  let usesLeases: Bool
  /// Bytes it has yet to send.
  var unsent: [UInt8] = []
  private(set) var awaited: [Command] = []
  private(set) var problems: [String] = []
  private var sequence = 0
  private var isInTransaction = false
  /// What `EXEC` decides about.
  private var queued: [Command] = []
  /// What the last `GET` may say: writes that may have been the last one.
  private var possibleValues: Set<String> = ["nil"]
  /// What its log must, and must not hold.
  private var appended: [Int: Outcome] = [:]
  private var counter: Int64 = 0
  private var countedMin: Int64 = 0
  private var countedMax: Int64 = 0

  init(_ number: Int, _ connection: FakeClient, usesLeases: Bool) {
    self.number = number
    self.connection = connection
    self.usesLeases = usesLeases
  }

  private var register: String { "reg:\(number)" }
  var log: String { "log:\(number)" }
  var count: String { "count:\(number)" }
  var isOwedNothing: Bool { awaited.isEmpty && unsent.isEmpty }

  // MARK: Sending

  func ask(_ random: inout SimulationRandom) {
    sequence += 1
    let choice = Int.random(in: 0..<(usesLeases ? 13 : 10), using: &random)
    switch choice {
    case 0, 1: ask(.echo("e\(number).\(sequence)"))
    case 2, 3: ask(.set(sequence))
    case 4, 5: ask(.get)
    case 6, 7, 8: ask(.append(sequence))
    case 9: ask(.increment)
    case 10: ask(isInTransaction ? .exec : .multi)
    case 11: ask(isInTransaction ? .exec : .watch)
    default: ask(isInTransaction ? .exec : .pop)
    }
  }

  /// Ends a transaction it may be in.
  func conclude() {
    if isInTransaction { ask(.exec) }
  }

  private func ask(_ command: Command) {
    let line: String
    switch command {
    case .echo(let text): line = "ECHO \(text)"
    case .set(let value): line = "SET \(register) \(number).\(value)"
    case .get: line = "GET \(register)"
    case .append(let value): line = "APPEND \(log) \(value),"
    case .increment: line = "INCR \(count)"
    case .multi: line = "MULTI"
    case .exec: line = "EXEC"
    case .watch: line = "WATCH w\(number)"
    case .pop: line = "BLPOP q\(number) 1"
    }
    // `ECHO` in a transaction is queued by the fake as an unknown command: not worth its own rules.
    if isInTransaction, case .echo = command { return }
    if command == .multi { isInTransaction = true }
    if command == .exec { isInTransaction = false }
    awaited.append(command)
    unsent += Rig.bytes([line])
  }

  // MARK: Receiving

  func receive() {
    for reply in connection.replies() {
      guard !awaited.isEmpty else {
        problems.append("\(reply) answers nothing")
        continue
      }
      judge(awaited.removeFirst(), reply)
    }
  }

  private func judge(_ command: Command, _ reply: String) {
    if reply == "+QUEUED" {
      if !usesLeases { problems.append("queued outside of a transaction") }
      return queued.append(command)
    }
    let outcome: Outcome
    switch reply.split(separator: " ").first ?? "" {
    case "-UNCERTAIN": outcome = .unknown
    case "-NOMASTER", "-OVERLOADED": outcome = .notExecuted
    // On a connection of its own these may pass through.
    case "-BUSY" where usesLeases, "-READONLY" where usesLeases, "-EXECABORT" where usesLeases:
      outcome = .notExecuted
    case "-ERR" where command == .exec && reply.contains("without MULTI"): outcome = .notExecuted
    default: outcome = .done
    }
    if command == .exec { return conclude(outcome, reply) }
    settle(command, outcome, outcome == .done ? reply : nil)
  }

  private func conclude(_ outcome: Outcome, _ reply: String) {
    let outcome = reply == "nil" ? .notExecuted : outcome
    if outcome == .done, !reply.hasPrefix("[") { problems.append("EXEC: \(reply)") }
    for command in queued { settle(command, outcome, nil) }
    queued = []
  }

  /// `reply`: nil where it says nothing, or is part of another.
  private func settle(_ command: Command, _ outcome: Outcome, _ reply: String?) {
    switch (command, outcome) {
    case (.echo(let text), _): if reply != text { problems.append("\(reply ?? "") for \(text)") }
    case (.set(let value), .done):
      expect(reply, ["+OK"], command)
      possibleValues = ["\(number).\(value)"]
    case (.set(let value), .unknown): possibleValues.insert("\(number).\(value)")
    case (.get, .done):
      expect(reply, possibleValues, command)
      if let reply { possibleValues = [reply] }
    case (.append(let value), _):
      appended[value] = outcome
      if let reply, !reply.hasPrefix(":") { problems.append("\(command): \(reply)") }
    case (.increment, .done):
      countedMin += 1
      countedMax += 1
      guard let reply else { return }
      let value = Int64(reply.dropFirst()) ?? -1
      if value <= counter || value < countedMin || value > countedMax {
        problems.append("INCR gave \(value) after \(counter), \(countedMin) to \(countedMax)")
      }
      counter = value
    case (.increment, .unknown): countedMax += 1
    case (.multi, .done), (.watch, .done): expect(reply, ["+OK"], command)
    case (.pop, .done): expect(reply, ["nil"], command)
    case (.set, .notExecuted), (.get, _), (.increment, .notExecuted), (.multi, _), (.watch, _),
      (.pop, _), (.exec, _):
      break
    }
  }

  private func expect(_ reply: String?, _ allowed: Set<String>, _ command: Command) {
    guard let reply, !allowed.contains(reply) else { return }
    problems.append("\(command): \(reply), not one of \(allowed.sorted())")
  }

  // MARK: The end

  /// Compares what it was told with what the master holds.
  func checkStore(log: String, count: String) {
    let values = log.split(separator: ",").compactMap { Int($0) }
    if values != Array(Set(values)).sorted() { problems.append("twice or out of order: \(log)") }
    let held = Set(values)
    for (value, outcome) in appended {
      switch outcome {
      case .done: if !held.contains(value) { problems.append("APPEND \(value) was lost") }
      case .notExecuted: if held.contains(value) { problems.append("APPEND \(value) was executed") }
      case .unknown: break
      }
    }
    let counted = Int64(count) ?? 0
    if counted < countedMin || counted > countedMax {
      problems.append("count \(counted), not \(countedMin) to \(countedMax)")
    }
  }
}
