// SPDX-License-Identifier: Apache-2.0
import RESP

extension ParseContext {
  func get(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    var read = SessionRead(target, self, isTouch: false)
    while let option = try reader.option() {
      switch option {
      case "IP": read.address = try reader.address()
      case "NOTOUCH": read.slides = false
      default: throw reader.unknown("IP, NOTOUCH")
      }
    }
    return target == nil ? Settled(reply: .value(.null)) : read
  }

  func touch(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    var read = SessionRead(target, self, isTouch: true)
    while let option = try reader.option() {
      guard option == "IP" else { throw reader.unknown("IP") }
      read.address = try reader.address()
    }
    return target == nil ? Settled(reply: .value(.null)) : read
  }
}

/// `SESSION.GET` and `SESSION.TOUCH`.
struct SessionRead: SessionWork {
  var address: Address?
  var slides = true
  private(set) var target: SessionTarget?
  private(set) var notes: [SessionNote] = []
  private let context: ParseContext
  private let isTouch: Bool
  private var isFenced = false

  init(_ target: SessionTarget?, _ context: ParseContext, isTouch: Bool) {
    self.target = target
    self.context = context
    self.isTouch = isTouch
  }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep {
    self.isFenced = isFenced
    return call()
  }

  /// Data, version, user, ttl and no id: the script's answer is the client's where nothing is compressed, followed or
  /// to be noted. It is the usual one, and need not be taken apart.
  func passes(_ reply: UnsafeRawBufferPointer) -> Bool {
    !isTouch && target?.hops == 0 && reply.starts(with: "*5\r\n".utf8)
  }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    if case .array(let values) = answer, values.count == 5 {
      return .reply(fields(data: values[0], version: values[1], user: values[2], ttl: values[3]))
    }
    guard let answer = ScriptAnswer(answer) else { return .unexpected }
    switch answer.word {
    case .ok: return .reply(found(answer))
    case .none: return .reply(.value(.null))
    case .moved:
      // The grace may end, or the chain be too long: then there is no session.
      let isOpen = target?.follow(answer.bytes(0) ?? []) ?? false
      return isOpen ? call() : .reply(.value(.null))
    case .mismatch:
      note(isEnforced: true)
      let text =
        address == nil
        ? "the session is bound to addresses: give IP" : "the session is bound to other addresses"
      return .reply(.error("BINDMISMATCH \(text)"))
    case .conflict, .lockLost, .limit: return .unexpected
    }
  }

  private static let yes = [UInt8(ascii: "1")]
  private static let no = [UInt8(ascii: "0")]

  private func call() -> SessionStep {
    guard let target else { return .reply(.value(.null)) }
    // A read must not wait while writes are fenced; the next one slides. TOUCH is there to slide.
    let writes = slides && (isTouch || !isFenced)
    let arguments = [
      context.prefix, target.stored, address?.hexadecimal ?? [], writes ? Self.yes : Self.no,
      bytes(context.configuration.slidingPercent), address.map { bytes($0.text) } ?? [],
      isTouch ? Self.no : Self.yes,
    ]
    return .call(
      SessionScript.get, keys: [context.keys.session(target.stored)], arguments, isWrite: writes)
  }

  private mutating func found(_ answer: ScriptAnswer) -> SessionReply {
    if answer.integer(1) == 0 { note(isEnforced: false) }
    if isTouch { return .value(answer[0]) }
    let stored = StoredData(
      bytes: answer.bytes(2) ?? [], expandedBytes: answer.integer(3).map { Int($0) })
    let data: [UInt8]
    do {
      data = try stored.unpacked(atMost: context.configuration.dataBytesMax)
    } catch .tooBig {
      return .error(
        "TOOBIG the session's data are larger than the \(context.configuration.dataBytesMax) bytes "
          + "that are allowed")
    } catch {
      return .error("ERR the session's data in Redis are damaged; destroy the session")
    }
    return fields(data: .bulk(data), version: answer[4], user: answer[5], ttl: answer[0])
  }

  private func fields(
    data: RESPValue, version: RESPValue, user: RESPValue, ttl: RESPValue
  ) -> SessionReply {
    let isFollowed = (target?.hops ?? 0) > 0
    return .fields([
      .init("data", data), .init("version", version), .init("user", user), .init("ttl", ttl),
      .init("id", isFollowed ? target.map { .bulk($0.id.text) } ?? .null : .null),
    ])
  }

  private mutating func note(isEnforced: Bool) {
    guard let target else { return }
    notes.append(
      .bindingMismatch(
        handle: IndexMember.handle(of: target.member), address: address?.text,
        isEnforced: isEnforced))
  }
}
