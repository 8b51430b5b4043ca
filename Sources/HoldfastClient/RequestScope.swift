// SPDX-License-Identifier: Apache-2.0

/// A session for the length of one request of the app: read at its first use and not before, kept, and written once,
/// at the end, if it changed. An empty session is never created.
public actor RequestScope {
  /// Resolves a conflict: what was read, what somebody else has written since, and what is to be written instead.
  public typealias Merge = @Sendable (_ mine: [UInt8], _ theirs: [UInt8]) throws -> [UInt8]

  private enum Loaded {
    case not
    case none
    case session(Session)
  }

  private let client: HoldfastClient
  private let address: String?
  private let merge: Merge?
  private var loaded = Loaded.not
  private var loading: Task<Session?, any Error>?
  private var change: [UInt8]?
  private var token: LockToken?
  /// The id that the cookie should carry; nil: there is no session.
  public private(set) var id: SessionID?
  /// The id that the request came with.
  public nonisolated let givenID: SessionID?

  /// How often a conflict is merged before it is given up.
  static let mergesMax = 5

  /// A request that came with this id. `address` is the app user's, where sessions are bound to addresses.
  public init(
    _ client: HoldfastClient, id: SessionID?, address: String? = nil, merge: Merge? = nil
  ) {
    self.client = client
    self.id = id
    self.address = address
    self.merge = merge
    givenID = id
  }

  /// The data; nil where there is no session. The first call reads them, later ones and parallel ones do not.
  public func data() async throws -> [UInt8]? {
    if let change { return change }
    return try await session()?.data
  }

  /// The session as it was read.
  public func session() async throws -> Session? {
    switch loaded {
    case .session(let session): return session
    case .none: return nil
    case .not: break
    }
    guard let id else {
      loaded = .none
      return nil
    }
    let task = loading ?? Task { [client, address] in try await client.get(id, address: address) }
    loading = task
    let session: Session?
    do {
      session = try await task.value
    } catch {
      loading = nil
      throw error
    }
    guard case .not = loaded else { return try await self.session() }
    loading = nil
    if let session {
      loaded = .session(session)
      if let newID = session.newID { self.id = newID }
    } else {
      loaded = .none
      self.id = nil
    }
    return session
  }

  /// What is to be in the session from now on. Written by ``finish()``.
  public func set(_ data: [UInt8]) { change = data }

  /// Gives the session another id: at each login, with `user`.
  public func regenerate(user: String? = nil) async throws {
    if id == nil { try await write(isForced: true, user: user) }
    guard let current = id else { return }
    let result = try await client.regenerate(current, user: user)
    id = result.id
    loaded = .not
    loading = nil
  }

  /// Ends the session.
  public func destroy() async throws {
    if let id { try await client.destroy(id) }
    id = nil
    change = nil
    loaded = .none
  }

  /// Runs a body under the session's lock; what is set in it is written in it.
  public func withLock<Value: Sendable>(
    waitMilliseconds: Int = 10_000, _ body: @Sendable (RequestScope) async throws -> Value
  ) async throws -> Value {
    guard let id else { throw HoldfastError.noSession }
    return try await client.withLock(id, waitMilliseconds: waitMilliseconds) { lock in
      // What was read before may be old.
      await self.begin(lock.token)
      let result = await self.outcome(of: body)
      await self.begin(nil)
      return try result.get()
    }
  }

  private func outcome<Value: Sendable>(
    of body: @Sendable (RequestScope) async throws -> Value
  ) async -> Result<Value, any Error> {
    do {
      let value = try await body(self)
      try await finish()
      return .success(value)
    } catch {
      return .failure(error)
    }
  }

  private func begin(_ token: LockToken?) {
    self.token = token
    if token != nil {
      loaded = .not
      loading = nil
    }
  }

  /// Writes what changed; answers the id for the cookie, nil where there is no session.
  @discardableResult public func finish() async throws -> SessionID? {
    try await write(isForced: false, user: nil)
    return id
  }

  private func write(isForced: Bool, user: String?) async throws {
    guard var data = change ?? (isForced ? [] : nil) else { return }
    for _ in 0..<Self.mergesMax {
      guard let id, case .session(let known)? = Optional(loaded) else { break }
      guard data != known.data else {
        change = nil
        return
      }
      do {
        let version = try await client.set(id, data, version: known.version, token: token)
        return keep(data, version, known)
      } catch HoldfastError.conflict where merge != nil {
        guard let theirs = try await client.get(id, address: address), let merge else { break }
        data = try merge(data, theirs.data)
        loaded = .session(theirs)
      }
    }
    if case .session = loaded, id != nil { throw HoldfastError.conflict(version: nil) }
    try await writeUnread(data, isForced: isForced, user: user)
  }

  /// It was never read, or there is none.
  private func writeUnread(_ data: [UInt8], isForced: Bool, user: String?) async throws {
    if let id {
      do {
        let version = try await client.set(id, data, token: token)
        return keep(data, version, nil)
      } catch HoldfastError.noSession {
        // An unknown id is never adopted.
        self.id = nil
      }
    }
    guard !data.isEmpty || isForced else {
      change = nil
      return
    }
    id = try await client.create(data, user: user, address: address)
    keep(data, 1, nil)
  }

  private func keep(_ data: [UInt8], _ version: Int64, _ known: Session?) {
    change = nil
    loaded = .session(
      Session(
        data: data, version: version, user: known?.user,
        ttlMilliseconds: known?.ttlMilliseconds ?? 0, newID: nil))
  }
}
