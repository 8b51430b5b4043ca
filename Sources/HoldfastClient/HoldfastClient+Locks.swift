// SPDX-License-Identifier: Apache-2.0
import RESP

extension HoldfastClient {
  /// Takes a session's lock, which belongs to this process; waits for it up to so many milliseconds.
  ///
  /// Throws `CancellationError` at once when its task is cancelled; a lock that is granted after that is freed.
  public func lock(
    _ id: SessionID, ttlMilliseconds: Int = 10_000, waitMilliseconds: Int = 0
  ) async throws -> SessionLock {
    let (answers, answer) = AsyncThrowingStream.makeStream(of: SessionLock.self)
    Task {
      do {
        let lock = try await askForLock(id, ttlMilliseconds, waitMilliseconds)
        if case .terminated = answer.yield(lock) { try await unlock(id, lock.token) }
        answer.finish()
      } catch {
        answer.finish(throwing: error)
      }
    }
    for try await lock in answers { return lock }
    throw CancellationError()
  }

  private func askForLock(
    _ id: SessionID, _ ttlMilliseconds: Int, _ waitMilliseconds: Int
  ) async throws -> SessionLock {
    let words = Words(
      "SESSION.LOCK", id.text, "TTL", "\(ttlMilliseconds)", "WAIT", "\(waitMilliseconds)")
    let reply: RESPValue
    if waitMilliseconds > 0 {
      reply = try Self.value(try await lockConnections.send(words.all))
    } else {
      reply = try await command(words.all)
    }
    guard let fields = reply.dictionary, let token = fields["token"]?.text,
      let fencing = fields["fencing"]?.integerValue
    else { throw HoldfastError.unexpectedAnswer }
    return SessionLock(token: LockToken(text: token), fencing: fencing)
  }

  /// Holds a lock for so long from now on. False: it is no longer held.
  public func extend(
    _ id: SessionID, _ token: LockToken, milliseconds: Int
  ) async throws -> Bool {
    let words = Words("SESSION.EXTEND", id.text, token.text, "\(milliseconds)")
    return try await command(words.all, isRepeatable: true).integerValue == 1
  }

  /// Frees a lock. False: it was no longer held.
  @discardableResult
  public func unlock(_ id: SessionID, _ token: LockToken) async throws -> Bool {
    let words = Words("SESSION.UNLOCK", id.text, token.text)
    return try await command(words.all, isRepeatable: true).integerValue == 1
  }

  /// Runs a body under the lock, which is held for as long as it runs, and freed whatever happens.
  public func withLock<Result: Sendable>(
    _ id: SessionID, ttlMilliseconds: Int = 10_000, waitMilliseconds: Int = 10_000,
    _ body: @Sendable (SessionLock) async throws -> Result
  ) async throws -> Result {
    let lock = try await lock(
      id, ttlMilliseconds: ttlMilliseconds, waitMilliseconds: waitMilliseconds)
    let keeper = Task { [self] in
      while !Task.isCancelled {
        try await Task.sleep(for: .milliseconds(max(1, ttlMilliseconds / 3)))
        guard try await extend(id, lock.token, milliseconds: ttlMilliseconds) else { return }
      }
    }
    defer { keeper.cancel() }
    do {
      let result = try await body(lock)
      _ = try? await unlock(id, lock.token)
      return result
    } catch {
      _ = try? await unlock(id, lock.token)
      throw error
    }
  }
}
