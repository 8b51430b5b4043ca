// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func list(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let user = try reader.user(configuration)
    var from: [UInt8] = Array("-inf".utf8)
    var skip: [UInt8] = bytes(0)
    var count: Int64 = 100
    while let option = try reader.option() {
      switch option {
      case "CURSOR":
        let cursor = try reader.value(of: option)
        if cursor == bytes(0) { continue }
        let parts = cursor.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 2,
          parts.allSatisfy({
            (1...16).contains($0.count) && $0.allSatisfy { (0x30...0x39).contains($0) }
          })
        else { throw reader.failure("CURSOR takes 0 or what the last SESSION.LIST answered") }
        from = Array(parts[0])
        skip = Array(parts[1])
      case "COUNT": count = try reader.number(of: option, in: 1...1000, unit: "sessions")
      default: throw reader.unknown("CURSOR, COUNT")
      }
    }
    return SingleCall(
      UserScript.list, keys: [keys.index(ofUser: user)],
      [prefix, user, from, skip, bytes(count), bytes(configuration.database)], isWrite: false
    ) { answer in
      guard let cursor = answer[0].text, let rows = answer[1].elements else { return nil }
      let names = ["handle", "created", "seen", "ttl", "ip", "meta"]
      return .rows(
        cursor: cursor,
        rows.map { row in
          zip(names, row.elements ?? []).map { SessionReply.Field($0, $1) }
        })
    }
  }

  func kill(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    let user = try reader.user(configuration)
    let handle = reader.next()
    guard handle.count == 24, handle.allSatisfy(Hexadecimal.isDigit) else {
      return Settled(reply: Confirmation.reply(count: 0, isConfirmed: true))
    }
    return UserLogout(self, user: user, nonce: nonce(&random), handle: handle, except: nil)
  }

  func logoutAll(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    let user = try reader.user(configuration)
    var except: SessionTarget?
    while let option = try reader.option() {
      guard option == "EXCEPT" else { throw reader.unknown("EXCEPT") }
      // An id that can be none excepts nothing.
      except = SessionID(try reader.value(of: option)).map {
        SessionTarget($0, configuration.idStorage)
      }
    }
    return UserLogout(self, user: user, nonce: nonce(&random), handle: nil, except: except)
  }

  func attach(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let user = try reader.user(configuration)
    let key = reader.next()
    guard (1...1024).contains(key.count) else { throw reader.failure("a key has 1 to 1024 bytes") }
    // A logout deletes what is attached: not what Holdfast itself lives on.
    let database = reader.clientDatabase ?? configuration.database
    if database == configuration.database && keys.isOwn(key) {
      throw reader.failure("this is a key of Holdfast's own; its sessions are indexed by USER")
    }
    return SingleCall(
      UserScript.attach, keys: [keys.index(ofUser: user)],
      [
        prefix, user, bytes("k\(database):") + key,
        bytes(configuration.absoluteSeconds * 1000), bytes(configuration.database),
      ]
    ) {
      $0.word == .ok
        ? .value(.simple("OK")) : .error("NOKEY there is no such key in the selected database")
    }
  }
}

/// `SESSION.KILL` and `SESSION.LOGOUTALL`.
struct UserLogout: SessionWork {
  private let context: SessionContext
  private let user: [UInt8]
  private let nonce: [UInt8]
  private let handle: [UInt8]?
  private var except: SessionTarget?
  private var count: Int64 = 0
  private var denial = PendingDenial(members: [])
  private(set) var pendingDenials: [PendingDenial] = []

  init(
    _ context: SessionContext, user: [UInt8], nonce: [UInt8], handle: [UInt8]?,
    except: SessionTarget?
  ) {
    self.context = context
    self.user = user
    self.nonce = nonce
    self.handle = handle
    self.except = except
  }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep { call() }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    guard let answer = ScriptAnswer(answer) else { return .unexpected }
    switch answer.word {
    case .ok:
      count = answer.integer(0) ?? 0
      keepDenial(answer)
      return context.confirm
    case .moved:
      if except?.follow(answer.bytes(0) ?? []) != true { except = nil }
      return call()
    case .none, .mismatch, .conflict, .lockLost, .limit: return .unexpected
    }
  }

  mutating func confirmed(_ isConfirmed: Bool) -> SessionStep {
    if !isConfirmed && (denial.epoch != nil || !denial.members.isEmpty) {
      pendingDenials = [denial]
    }
    return .reply(Confirmation.reply(count: count, isConfirmed: isConfirmed))
  }

  private mutating func keepDenial(_ answer: ScriptAnswer) {
    var members = answer.rest.dropFirst().compactMap { value -> [UInt8]? in
      guard case .bulk(let member) = value else { return nil }
      return member
    }
    if handle == nil && !members.isEmpty {
      let former = members.removeFirst()
      if !former.isEmpty {
        denial.epoch = PendingDenial.Epoch(user: user, former: former, current: nonce)
      }
    }
    denial.members = members
  }

  private func call() -> SessionStep {
    let database = bytes(context.configuration.database)
    let index = context.keys.index(ofUser: user)
    if let handle {
      return .call(
        UserScript.kill, keys: [index],
        [context.prefix, user, handle, nonce, context.tombstone, database])
    }
    return .call(
      UserScript.logoutAll, keys: [index],
      [context.prefix, user, nonce, context.tombstone, database, except?.stored ?? []])
  }
}
