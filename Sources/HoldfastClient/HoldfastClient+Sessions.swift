// SPDX-License-Identifier: Apache-2.0
import RESP

/// Words of a command.
struct Words {
  var all: [[UInt8]]

  init(_ words: String...) { all = words.map { Array($0.utf8) } }

  mutating func add(_ name: String, _ value: String?) {
    guard let value else { return }
    all += [Array(name.utf8), Array(value.utf8)]
  }

  mutating func add(_ bytes: [UInt8]) { all.append(bytes) }
  mutating func add(_ flag: String, if isSet: Bool) { if isSet { all.append(Array(flag.utf8)) } }
}

extension HoldfastClient {
  /// What happens to a user's other sessions when there are too many.
  public enum LimitPolicy: String, Sendable {
    /// The oldest end.
    case evict = "EVICT"
    /// The new one is refused: ``HoldfastError/sessionLimit``.
    case reject = "REJECT"
  }

  /// Makes a session; times in seconds, nil: as the daemon's settings say.
  public func create(
    _ data: [UInt8], user: String? = nil, idleSeconds: Int? = nil, absoluteSeconds: Int? = nil,
    address: String? = nil, bindTo network: String? = nil, meta: String? = nil,
    limit: (count: Int, policy: LimitPolicy)? = nil
  ) async throws -> SessionID {
    var words = Words("SESSION.CREATE")
    words.add(data)
    words.add("USER", user)
    words.add("IDLE", idleSeconds.map(String.init))
    words.add("ABSOLUTE", absoluteSeconds.map(String.init))
    words.add("IP", address)
    words.add("BIND", network)
    words.add("META", meta)
    if let limit {
      words.add("LIMIT", "\(limit.count)")
      words.add(limit.policy.rawValue, if: true)
    }
    return try Self.id(try await command(words.all), "id")
  }

  /// Reads a session, and slides its expiry unless `isTouching` is false. Nil if there is none.
  public func get(
    _ id: SessionID, address: String? = nil, isTouching: Bool = true
  ) async throws -> Session? {
    var words = Words("SESSION.GET", id.text)
    words.add("IP", address)
    words.add("NOTOUCH", if: !isTouching)
    let reply = try await command(words.all, isRepeatable: true)
    guard reply != .null else { return nil }
    guard let fields = reply.dictionary, case .bulk(let data)? = fields["data"],
      let version = fields["version"]?.integerValue, let ttl = fields["ttl"]?.integerValue
    else { throw HoldfastError.unexpectedAnswer }
    return Session(
      data: data, version: version, user: fields["user"]?.text, ttlMilliseconds: ttl,
      newID: fields["id"]?.text.flatMap { SessionID($0) })
  }

  /// Writes a session that lives: if it still has this version, if this lock is still held.
  @discardableResult
  public func set(
    _ id: SessionID, _ data: [UInt8], version: Int64? = nil, token: LockToken? = nil,
    keepingTTL: Bool = false
  ) async throws -> Int64 {
    var words = Words("SESSION.SET", id.text)
    words.add(data)
    words.add("VERSION", version.map { "\($0)" })
    words.add("TOKEN", token?.text)
    words.add("KEEPTTL", if: keepingTTL)
    guard let version = try await command(words.all).integerValue else {
      throw HoldfastError.unexpectedAnswer
    }
    return version
  }

  /// Slides its expiry; answers the time to live in milliseconds, nil if there is no such session.
  @discardableResult
  public func touch(_ id: SessionID, address: String? = nil) async throws -> Int64? {
    var words = Words("SESSION.TOUCH", id.text)
    words.add("IP", address)
    return try await command(words.all, isRepeatable: true).integerValue
  }

  /// Gives it another id: at each login, with `user`.
  public func regenerate(
    _ id: SessionID, user: String? = nil, graceMilliseconds: Int? = nil,
    bindTo network: String? = nil
  ) async throws -> (id: SessionID, hasWon: Bool, confirmation: Confirmation) {
    var words = Words("SESSION.REGENERATE", id.text)
    words.add("GRACE", graceMilliseconds.map(String.init))
    words.add("USER", user)
    words.add("BIND", network)
    let reply = try await command(words.all)
    let fields = reply.dictionary?.values.compactMap(\.text) ?? []
    let confirmation = fields.lazy.compactMap { Confirmation(rawValue: $0) }.first
    return (
      try Self.id(reply, "id"), reply.dictionary?["won"]?.integerValue == 1,
      confirmation ?? .pending
    )
  }

  /// Ends a session.
  @discardableResult public func destroy(_ id: SessionID) async throws -> Ended {
    try Self.ended(try await command(Words("SESSION.DESTROY", id.text).all, isRepeatable: true))
  }

  /// Ends one session of a user by its handle.
  @discardableResult public func kill(_ handle: String, of user: String) async throws -> Ended {
    try Self.ended(
      try await command(Words("SESSION.KILL", user, handle).all, isRepeatable: true))
  }

  /// Ends all sessions of a user, but for one.
  @discardableResult
  public func logoutAll(_ user: String, except id: SessionID? = nil) async throws -> Ended {
    var words = Words("SESSION.LOGOUTALL", user)
    words.add("EXCEPT", id?.text)
    return try Self.ended(try await command(words.all, isRepeatable: true))
  }

  /// Binds it to an address or network, or to none.
  public func bind(_ id: SessionID, to network: String?) async throws {
    try await command(Words("SESSION.BIND", id.text, network ?? "NONE").all)
  }

  /// A user's sessions, some at a time; begin with cursor `0`, go on until it is `0` again.
  public func list(
    _ user: String, cursor: String = "0", count: Int = 100
  ) async throws -> (cursor: String, rows: [SessionRow]) {
    let words = Words("SESSION.LIST", user, "CURSOR", cursor, "COUNT", "\(count)")
    let fields = try await command(words.all, isRepeatable: true).dictionary
    guard let next = fields?["cursor"]?.text, let rows = fields?["rows"]?.elements else {
      throw HoldfastError.unexpectedAnswer
    }
    return (next, try rows.map(Self.row))
  }

  /// Counts a framework's own session key among a user's sessions.
  public func attach(_ key: String, to user: String) async throws {
    try await command(Words("SESSION.ATTACH", user, key).all)
  }

  /// Counts a login.
  public func login(_ user: String, isGood: Bool) async throws {
    try await command(Words("SESSION.LOGIN", user, isGood ? "OK" : "FAIL").all)
  }

  /// How many sessions live.
  public func activeCount() async throws -> Int {
    let reply = try await command(Words("SESSION.STATS", "ACTIVE").all, isRepeatable: true)
    guard let count = reply.dictionary?["active"]?.integerValue else {
      throw HoldfastError.unexpectedAnswer
    }
    return Int(count)
  }

  // MARK: Replies

  static func id(_ reply: RESPValue, _ name: String) throws -> SessionID {
    guard let id = reply.dictionary?[name]?.text.flatMap({ SessionID($0) }) else {
      throw HoldfastError.unexpectedAnswer
    }
    return id
  }

  static func ended(_ reply: RESPValue) throws -> Ended {
    guard let fields = reply.dictionary, let count = fields["count"]?.integerValue,
      let state = fields["state"]?.text.flatMap({ Confirmation(rawValue: $0) })
    else { throw HoldfastError.unexpectedAnswer }
    return Ended(count: Int(count), confirmation: state)
  }

  private static func row(_ value: RESPValue) throws -> SessionRow {
    guard let fields = value.dictionary, let handle = fields["handle"]?.text else {
      throw HoldfastError.unexpectedAnswer
    }
    return SessionRow(
      handle: handle, createdMilliseconds: fields["created"]?.integerValue ?? 0,
      seenMilliseconds: fields["seen"]?.integerValue ?? 0,
      ttlMilliseconds: fields["ttl"]?.integerValue ?? 0, address: fields["ip"]?.text,
      meta: fields["meta"]?.text)
  }
}
