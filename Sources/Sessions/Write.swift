// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func set(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    let data = reader.next()
    if let tooBig = tooBig(data) { throw tooBig }
    var version: [UInt8] = []
    var token: [UInt8] = []
    var keepsTTL = false
    while let option = try reader.option() {
      switch option {
      case "VERSION":
        // Beyond 2^53 Lua's numbers skip some.
        version = bytes(try reader.number(of: option, in: 1...(1 << 53), unit: "a version"))
      case "TOKEN":
        token = try reader.value(of: option)
        guard (1...256).contains(token.count) else {
          throw reader.failure("TOKEN takes what SESSION.LOCK answered")
        }
      case "KEEPTTL": keepsTTL = true
      default: throw reader.unknown("VERSION, TOKEN, KEEPTTL")
      }
    }
    guard let target else { return Settled(reply: .noSession) }
    let stored = StoredData(packing: data, from: configuration.compressionBytesMin)
    return SessionChange(
      target, self, script: SessionScript.set, usesLock: true,
      arguments: [
        nonce(&random), stored.bytes, stored.expandedBytes.map { bytes($0) } ?? [], version, token,
        bytes(keepsTTL ? 1 : 0),
      ])
  }

  func bind(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    let isNone = reader.keyword(["NONE"]) != nil
    let binding = isNone ? nil : try reader.binding()
    if !isNone { try reader.finish() }
    if isNone, try reader.option() != nil { throw reader.failure("NONE takes no mode") }
    guard let target else { return Settled(reply: .noSession) }
    return SessionChange(
      target, self, script: SessionScript.bind, usesLock: false,
      arguments: Binding.scriptArguments(binding))
  }
}

/// `SESSION.SET` and `SESSION.BIND`: a change of one session, or of its successor within the grace.
struct SessionChange: SessionWork {
  private var followed: SessionTarget
  private let context: SessionContext
  private let script: Script
  private let usesLock: Bool
  private let arguments: [[UInt8]]

  init(
    _ target: SessionTarget, _ context: SessionContext, script: Script, usesLock: Bool,
    arguments: [[UInt8]]
  ) {
    followed = target
    self.context = context
    self.script = script
    self.usesLock = usesLock
    self.arguments = arguments
  }

  var target: SessionTarget? { followed }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep { call() }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    guard let answer = ScriptAnswer(answer) else { return .unexpected }
    switch answer.word {
    case .ok: return .reply(.value(answer[0] == .null ? .simple("OK") : answer[0]))
    case .none: return .reply(.noSession)
    case .moved: return followed.follow(answer.bytes(0) ?? []) ? call() : .reply(.noSession)
    case .conflict:
      return .reply(
        .error("CONFLICT \(answer.integer(0) ?? 0) is the version now; read it and try again"))
    case .lockLost:
      return .reply(.error("LOCKLOST the lock is no longer held; nothing was written"))
    case .mismatch, .limit: return .unexpected
    }
  }

  private func call() -> SessionStep {
    var names = [context.keys.session(followed.stored)]
    if usesLock { names.append(context.keys.lock(followed.stored)) }
    return .call(script, keys: names, [context.prefix, followed.stored] + arguments)
  }
}
