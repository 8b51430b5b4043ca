// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import Sessions

/// What a Redis does with the scripts of locks, in memory.
struct LockModel {
  struct Value {
    var token: [UInt8]
    var expiryMilliseconds: Int64
  }

  var values: [[UInt8]: Value] = [:]
  var last: Int64 = 0
  /// Every number given, by lock, in order.
  var given: [[UInt8]: [Int64]] = [:]

  mutating func run(_ call: RedisCall, at now: Int64) -> RESPValue {
    guard case .script(let script, let keys, let arguments) = call.body else { return .null }
    let key = keys[0]
    if let value = values[key], value.expiryMilliseconds <= now { values[key] = nil }
    if script == LockScript.extend {
      guard values[key]?.token == arguments[0] else { return .array([.ok, .integer(0)]) }
      let expiry = now + number(arguments[1])
      values[key]?.expiryMilliseconds = expiry
      return .array([.ok, .integer(1)])
    }
    return change(key, arguments, now)
  }

  private mutating func change(_ key: [UInt8], _ arguments: [[UInt8]], _ now: Int64) -> RESPValue {
    var freed: Int64 = 0
    let mark = Array("freed:".utf8)
    var held = values[key]?.token
    if let token = held, token.starts(with: mark) {
      if token == mark + arguments[0] { freed = 1 }
      held = nil
    } else if !arguments[0].isEmpty, held == arguments[0] {
      freed = 1
      held = nil
      values[key] =
        arguments[4].isEmpty
        ? Value(token: mark + arguments[0], expiryMilliseconds: now + 20_000) : nil
    }
    guard !arguments[1].isEmpty else { return .array([.ok, .integer(freed)]) }
    let own = arguments[1] + [UInt8(ascii: ":")]
    if let token = held {
      let left = (values[key]?.expiryMilliseconds ?? now) - now
      guard token.starts(with: own) else {
        return .array([.bulk(Array("NONE".utf8)), .integer(freed), .integer(left)])
      }
      return .array([
        .ok, .integer(arguments[0].isEmpty ? freed : 1), .bulk(token),
        .integer(number(Array(token.dropFirst(own.count)))), .integer(left),
      ])
    }
    last = max(now * 1000, last + 1, number(arguments[3]))
    given[key, default: []].append(last)
    let token = own + bytes(last)
    let ttl = number(arguments[2])
    values[key] = Value(token: token, expiryMilliseconds: now + ttl)
    return .array([.ok, .integer(freed), .bulk(token), .integer(last), .integer(ttl)])
  }

  private func number(_ text: [UInt8]) -> Int64 {
    Int64(String(decoding: text, as: UTF8.self)) ?? 0
  }
}

extension RESPValue {
  fileprivate static let ok = RESPValue.bulk(Array("OK".utf8))
}

/// A table with its calls answered by a model, at once unless they are kept.
struct LockRig {
  var table: LockTable
  var model = LockModel()
  var now: Int64 = 1_000_000
  var random: SeededGenerator
  /// By connection, in order.
  var answers: [UInt64: [SessionReply]] = [:]
  var order: [UInt64] = []
  var freed: [LockName] = []
  var kept: [(UInt64, RedisCall)] = []
  var isKeeping = false

  static let id = String(repeating: "ab", count: 32)

  init(
    _ configuration: LockConfiguration = LockConfiguration(), isVerified: Bool = true,
    seed: UInt64 = 1
  ) {
    random = SeededGenerator(seed: seed)
    table = LockTable(configuration, sessions: SessionConfiguration())
    table.masterVerified(isVerified, nowMilliseconds: now, random: &random)
  }

  mutating func send(_ connection: UInt64, process: UInt64? = nil, _ line: String) {
    let words = line.split(separator: " ").map { Array($0.utf8) }
    let client = LockClient(
      connection: connection, position: 0, process: process ?? connection, pid: 7, uid: 8)
    table.take(words, of: client, nowMilliseconds: now, random: &random)
    settle()
  }

  mutating func settle() {
    while true {
      let actions = table.takeActions()
      if actions.isEmpty { return }
      for action in actions {
        switch action {
        case .answer(let connection, _, let reply):
          answers[connection, default: []].append(reply)
          order.append(connection)
        case .freed(let name): freed.append(name)
        case .call(let ticket, let call):
          if isKeeping { kept.append((ticket, call)) } else { answer(ticket, call) }
        }
      }
    }
  }

  mutating func answer(_ ticket: UInt64, _ call: RedisCall) {
    table.answered(ticket, model.run(call, at: now), nowMilliseconds: now, random: &random)
  }

  mutating func answerKept() {
    isKeeping = false
    let calls = kept
    kept = []
    for (ticket, call) in calls { answer(ticket, call) }
    settle()
  }

  mutating func fail(_ text: String) {
    let calls = kept
    kept = []
    for (ticket, _) in calls {
      table.answered(ticket, .error(text), nowMilliseconds: now, random: &random)
    }
    settle()
  }

  mutating func verified(_ isVerified: Bool) {
    table.masterVerified(isVerified, nowMilliseconds: now, random: &random)
    settle()
  }

  mutating func gone(_ owner: LockOwner) {
    table.ownerGone(owner, nowMilliseconds: now, random: &random)
    settle()
  }

  mutating func settled(_ owner: LockOwner) {
    table.ownerSettled(owner, nowMilliseconds: now, random: &random)
    settle()
  }

  mutating func advance(_ milliseconds: Int64) {
    let end = now + milliseconds
    while now < end {
      now = min(end, max(now + 1, table.nextDeadlineMilliseconds ?? end))
      table.expire(nowMilliseconds: now, random: &random)
      settle()
    }
  }

  /// The last answer to a connection: a token, a number, or an error's first word.
  func last(_ connection: UInt64) -> String? {
    switch answers[connection]?.last {
    case .fields(let fields)?:
      if case .bulk(let token)? = fields.first?.value {
        return String(decoding: token, as: UTF8.self)
      }
      return nil
    case .value(.integer(let number))?: return "\(number)"
    case .error(let text)?: return String(text.prefix { $0 != " " })
    case .value?, .rows?, nil: return nil
    }
  }

  func fencing(_ connection: UInt64) -> Int64? {
    guard case .fields(let fields)? = answers[connection]?.last else { return nil }
    return fields.last?.value.integerValue
  }

  func holds(_ connection: UInt64) -> Bool { fencing(connection) != nil }
}
