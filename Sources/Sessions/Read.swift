// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func get(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    var address: Address?
    var slides = true
    while let option = try reader.option() {
      switch option {
      case "IP": address = try reader.address()
      case "NOTOUCH": slides = false
      default: throw reader.unknown("IP, NOTOUCH")
      }
    }
    guard let target else { return Settled(reply: .value(.null)) }
    return SessionRead(target, self, address, slides: slides, isTouch: false)
  }

  func touch(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let target = target(&reader)
    var address: Address?
    while let option = try reader.option() {
      guard option == "IP" else { throw reader.unknown("IP") }
      address = try reader.address()
    }
    guard let target else { return Settled(reply: .value(.null)) }
    return SessionRead(target, self, address, slides: true, isTouch: true)
  }
}

/// `SESSION.GET` and `SESSION.TOUCH`.
struct SessionRead: SessionWork {
  private var followed: SessionTarget
  private(set) var notes: [SessionNote] = []
  private let context: SessionContext
  private let address: Address?
  private let slides: Bool
  private let isTouch: Bool
  private var isFenced = false

  init(
    _ target: SessionTarget, _ context: SessionContext, _ address: Address?, slides: Bool,
    isTouch: Bool
  ) {
    followed = target
    self.context = context
    self.address = address
    self.slides = slides
    self.isTouch = isTouch
  }

  var target: SessionTarget? { followed }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep {
    self.isFenced = isFenced
    return call()
  }

  /// Data, version, user, ttl and no id: the script's answer is the client's where nothing is compressed, followed or
  /// to be noted. It is the usual one, and need not be taken apart.
  func passes(_ reply: UnsafeRawBufferPointer) -> Bool {
    !isTouch && followed.hops == 0 && reply.starts(with: "*5\r\n".utf8)
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
      let isOpen = followed.follow(answer.bytes(0) ?? [])
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

  /// All arguments but key, prefix and stored id: an address twice, flags, a percentage.
  private static let shortBytesMax = 128

  private func call() -> SessionStep {
    // A read must not wait while writes are fenced; the next one slides. TOUCH is there to slide.
    let writes = slides && (isTouch || !isFenced)
    let key = context.keys.session(followed.stored)
    // Written where it is sent from: this is the command that all others wait for.
    return .call(
      RedisCall(
        SessionScript.get, keyCount: 1, argumentCount: 7,
        byteCount: 2 * key.count + Self.shortBytesMax,
        replay: writes ? .guarded : .read, isWrite: writes
      ) { writer in
        writer.write(key)
        writer.write(context.prefix)
        writer.write(followed.stored)
        writer.write(address?.hexadecimal ?? [])
        writer.write(writes ? Self.yes : Self.no)
        writer.write(context.slidingPercent)
        writer.write(address.map { bytes($0.text) } ?? [])
        writer.write(isTouch ? Self.no : Self.yes)
      })
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
    let isFollowed = followed.hops > 0
    return .fields([
      .init("data", data), .init("version", version), .init("user", user), .init("ttl", ttl),
      .init("id", isFollowed ? .bulk(followed.id.text) : .null),
    ])
  }

  private mutating func note(isEnforced: Bool) {
    notes.append(
      .bindingMismatch(
        handle: IndexMember.handle(of: followed.member), address: address?.text,
        isEnforced: isEnforced))
  }
}
