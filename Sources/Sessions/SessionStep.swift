// SPDX-License-Identifier: Apache-2.0
import RESP

/// One command for Redis, on the database of sessions, as it is sent.
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

  /// The whole request; empty once it was forgotten.
  public private(set) var frame: [UInt8]
  /// The script that it runs.
  public let script: Script?
  /// How many keys are named: from the fourth argument on.
  public let keyCount: Int
  /// See ``Replay``.
  public let replay: Replay
  /// Whether it writes: such a call waits while writes are fenced.
  public let isWrite: Bool

  /// A call of these.
  public init(_ body: Body, replay: Replay, isWrite: Bool) {
    switch body {
    case .command(let arguments):
      var frame: [UInt8] = []
      frame.writeCommand(arguments)
      self.init(frame, nil, keyCount: 0, replay, isWrite)
    case .script(let script, let keys, let arguments):
      let words = keys + arguments
      self.init(
        script, keyCount: keys.count, argumentCount: arguments.count,
        byteCount: words.reduce(0) { $0 + $1.count }, replay: replay, isWrite: isWrite
      ) { writer in
        for word in words { writer.write(word) }
      }
    }
  }

  /// A call of a script whose keys and arguments, of at most `byteCount` together, are written.
  init(
    _ script: Script, keyCount: Int, argumentCount: Int, byteCount: Int, replay: Replay,
    isWrite: Bool, _ write: (inout RequestWriter) -> Void
  ) {
    let keys = keyCount < Self.digits.count ? Self.digits[keyCount] : bytes(keyCount)
    let frame = RequestWriter.request(
      argumentCount: 3 + keyCount + argumentCount,
      byteCount: script.call.count + keys.count + byteCount
    ) { writer in
      writer.write(encoded: script.call, count: 2)
      writer.write(keys)
      write(&writer)
    }
    self.init(frame, script, keyCount: keyCount, replay, isWrite)
  }

  private init(
    _ frame: [UInt8], _ script: Script?, keyCount: Int, _ replay: Replay, _ isWrite: Bool
  ) {
    self.frame = frame
    self.script = script
    self.keyCount = keyCount
    self.replay = replay
    self.isWrite = isWrite
  }

  private static let digits = (0...9).map { bytes($0) }

  /// It is sent, and whoever sends it again keeps it: data need not be in memory once more.
  public mutating func forgetFrame() { frame = [] }
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
