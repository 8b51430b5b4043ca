// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func regenerate(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    var grace: Int64?
    var user: [UInt8] = []
    var binding: Binding?
    while let option = try reader.option() {
      switch option {
      case "GRACE": grace = try reader.number(of: option, in: 0...3_600_000, unit: "milliseconds")
      case "USER": user = try reader.user(configuration)
      case "BIND": binding = try reader.binding()
      default: throw reader.unknown("GRACE, USER, BIND")
      }
    }
    guard let target else { return Settled(reply: .noSession) }
    return SessionRegenerate(
      target, self, new: SessionID(random: &random),
      // One for each id that may have to be sealed under: with a login the chain is followed.
      sealNonces: (0...SessionTarget.hopsMax).map { _ in
        (0..<12).map { _ in UInt8.random(in: 0...255, using: &random) }
      },
      nonce: nonce(&random), epoch: nonce(&random),
      graceMilliseconds: grace ?? (user.isEmpty ? configuration.graceMilliseconds : 0),
      user: user, binding: binding)
  }
}

/// `SESSION.REGENERATE`.
struct SessionRegenerate: SessionWork {
  private var followed: SessionTarget
  private let context: SessionContext
  private var new: SessionID
  private let sealNonces: [[UInt8]]
  private let nonce: [UInt8]
  private let epoch: [UInt8]
  /// As asked for; once it has won, as granted: none where the user changed.
  private var graceMilliseconds: Int64
  private let user: [UInt8]
  private let binding: Binding?
  private var hasWon = false
  private(set) var pendingDenials: [PendingDenial] = []

  init(
    _ target: SessionTarget, _ context: SessionContext, new: SessionID, sealNonces: [[UInt8]],
    nonce: [UInt8], epoch: [UInt8], graceMilliseconds: Int64, user: [UInt8], binding: Binding?
  ) {
    followed = target
    self.context = context
    self.new = new
    self.sealNonces = sealNonces
    self.nonce = nonce
    self.epoch = epoch
    self.graceMilliseconds = graceMilliseconds
    self.user = user
    self.binding = binding
  }

  var target: SessionTarget? { followed }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep { call() }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    guard let answer = ScriptAnswer(answer) else { return .unexpected }
    switch answer.word {
    case .ok:
      hasWon = true
      graceMilliseconds = answer.integer(0) ?? 0
      return context.confirm
    case .none: return .reply(.noSession)
    case .moved:
      var successor = followed
      guard successor.follow(answer.bytes(0) ?? []) else { return .reply(.noSession) }
      if user.isEmpty {
        new = successor.id
        return context.confirm
      }
      // A login is more than a new id: it happens to the successor, and ends its id at once.
      followed = successor
      return call()
    case .mismatch, .conflict, .lockLost, .limit: return .unexpected
    }
  }

  mutating func confirmed(_ isConfirmed: Bool) -> SessionStep {
    if !isConfirmed && hasWon {
      pendingDenials = [
        PendingDenial(members: [followed.member], delayMilliseconds: graceMilliseconds)
      ]
    }
    return .reply(
      .fields([
        .init("id", .bulk(new.text)), .init("won", .integer(hasWon ? 1 : 0)),
        .init("state", Confirmation.value(isConfirmed)),
      ]))
  }

  private func call() -> SessionStep {
    guard let sealed = Seal.seal(new, under: followed.id, nonce: sealNonces[followed.hops]) else {
      return .unexpected
    }
    let stored = new.stored(as: context.configuration.idStorage)
    return .call(
      SessionScript.regenerate,
      keys: [context.keys.session(followed.stored), context.keys.session(stored)],
      [
        context.prefix, followed.stored, nonce, stored, sealed, bytes(graceMilliseconds), user,
        epoch, context.tombstone,
      ] + Binding.scriptArguments(binding))
  }
}
