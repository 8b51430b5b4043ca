// SPDX-License-Identifier: Apache-2.0
import RESP

/// One command for Redis, on the database of sessions.
public struct RedisCall: Sendable, Equatable {
  /// What may be done when its outcome is unknown.
  public enum Replay: Sendable, Equatable {
    /// Changes nothing.
    case read
    /// Carries a token, version or nonce: a second run returns the first one's answer.
    case guarded
    /// Never sent twice.
    case once
  }

  /// A script with its keys and arguments, or a plain command.
  public enum Body: Sendable, Equatable {
    /// `EVALSHA`; the script is loaded first where Redis does not know it.
    case script(Script, keys: [[UInt8]], arguments: [[UInt8]])
    /// Any other command, its name first.
    case command([[UInt8]])
  }

  /// See ``Body``.
  public var body: Body
  /// See ``Replay``.
  public var replay: Replay
  /// Whether it writes: such a call waits while writes are fenced.
  public var isWrite: Bool

  /// A call of these.
  public init(_ body: Body, replay: Replay, isWrite: Bool) {
    self.body = body
    self.replay = replay
    self.isWrite = isWrite
  }
}

/// What a native command needs next.
public enum SessionStep: Sendable, Equatable {
  /// Send this to the master; its reply goes to ``SessionOperation/received(_:nowMilliseconds:)``.
  case call(RedisCall)
  /// Wait until a replica has all that was written so far, or the time is over; whether it has goes to
  /// ``SessionOperation/confirmed(_:nowMilliseconds:)``.
  case confirm(timeoutMilliseconds: Int64)
  /// Go on with ``SessionOperation/resumed(nowMilliseconds:)`` after this time.
  case pause(milliseconds: Int64)
  /// Answer the client with this: it is over.
  case reply(SessionReply)
}

/// What a client is answered.
public enum SessionReply: Sendable, Equatable {
  /// One value.
  case value(RESPValue)
  /// Several: an array in this order in RESP2, a map with these names in RESP3.
  case fields([Field])
  /// Rows of a list, each as ``fields(_:)``, behind the cursor to go on with; in RESP3 a map of
  /// `cursor` and `rows`.
  case rows(cursor: String, [[Field]])
  /// An error, beginning with its word.
  case error(String)

  /// A named value of an answer.
  public struct Field: Sendable, Equatable {
    /// Its name in RESP3.
    public var name: String
    /// Its value; null for what is absent.
    public var value: RESPValue

    /// A field of these.
    public init(_ name: String, _ value: RESPValue) {
      self.name = name
      self.value = value
    }
  }
}
