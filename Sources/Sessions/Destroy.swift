// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func destroy(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) -> any SessionWork {
    guard let target = target(&reader) else {
      return Settled(reply: Confirmation.reply(count: 0, isConfirmed: true))
    }
    return SessionDestroy(target, self, nonce: nonce(&random))
  }
}

/// The end of commands whose effect must survive a failover.
enum Confirmation {
  static func value(_ isConfirmed: Bool) -> RESPValue {
    .text(isConfirmed ? "confirmed" : "pending")
  }

  static func reply(count: Int64, isConfirmed: Bool) -> SessionReply {
    .fields([.init("count", .integer(count)), .init("state", value(isConfirmed))])
  }
}

extension SessionContext {
  var confirm: SessionStep {
    .confirm(timeoutMilliseconds: configuration.confirmationMilliseconds)
  }
}

/// `SESSION.DESTROY`. Within a grace period the successor is what the caller means.
struct SessionDestroy: SessionWork {
  private var followed: SessionTarget
  private let context: SessionContext
  private let nonce: [UInt8]
  private var count: Int64 = 0
  private(set) var pendingDenials: [PendingDenial] = []

  init(_ target: SessionTarget, _ context: SessionContext, nonce: [UInt8]) {
    followed = target
    self.context = context
    self.nonce = nonce
  }

  var target: SessionTarget? { followed }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep { call() }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    guard let answer = ScriptAnswer(answer) else { return .unexpected }
    switch answer.word {
    case .ok:
      count = answer.integer(0) ?? 0
      // Also for none: an earlier try may have ended it, and was told `pending`.
      return context.confirm
    case .moved: return followed.follow(answer.bytes(0) ?? []) ? call() : context.confirm
    case .none, .mismatch, .conflict, .lockLost, .limit: return .unexpected
    }
  }

  mutating func confirmed(_ isConfirmed: Bool) -> SessionStep {
    if !isConfirmed { pendingDenials = [PendingDenial(members: [followed.member])] }
    return .reply(Confirmation.reply(count: count, isConfirmed: isConfirmed))
  }

  private func call() -> SessionStep {
    .call(
      SessionScript.destroy, keys: [context.keys.session(followed.stored)],
      [context.prefix, followed.stored, nonce, context.tombstone])
  }
}

/// What ``SessionOperation/retry(_:_:)`` runs.
struct DenialRetry: SessionWork {
  private let denial: PendingDenial
  private let context: SessionContext

  init(_ denial: PendingDenial, _ context: SessionContext) {
    self.denial = denial
    self.context = context
  }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep {
    let epoch = denial.epoch
    return .call(
      UserScript.retry, keys: [],
      [
        context.prefix, context.tombstone, bytes(context.configuration.database),
        epoch?.user ?? [], epoch?.former ?? [], epoch?.current ?? [],
      ] + denial.members)
  }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    ScriptAnswer(answer)?.word == .ok ? context.confirm : .unexpected
  }

  mutating func confirmed(_ isConfirmed: Bool) -> SessionStep {
    .reply(Confirmation.reply(count: Int64(denial.members.count), isConfirmed: isConfirmed))
  }
}
