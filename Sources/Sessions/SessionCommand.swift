// SPDX-License-Identifier: Apache-2.0
import RESP

/// What is known of a native command without running it.
public final class SessionCommand: Sendable {
  /// Its name in upper case.
  public let name: String
  /// Its arguments, as `SESSION.HELP` shows them.
  public let usage: String
  /// What it does and answers.
  public let summary: String
  /// The least and the most arguments, its name counted.
  public let arity: ClosedRange<Int>
  /// Whether it may write.
  public let isWrite: Bool

  /// As `COMMAND` says it: the exact count, or the least one negated.
  public var commandArity: Int64 {
    Int64(arity.lowerBound == arity.upperBound ? arity.lowerBound : -arity.lowerBound)
  }

  /// The command of this name, in any case; nil for an unknown one.
  public static func named(_ name: UnsafeRawBufferPointer) -> SessionCommand? {
    all.first { $0.nameBytes.withUnsafeBytes { name.isKeyword($0) } }
  }

  /// The command of this name, in any case; nil for an unknown one.
  public static func named(_ name: [UInt8]) -> SessionCommand? {
    name.withUnsafeBytes { named($0) }
  }

  private let nameBytes: [UInt8]

  private init(
    _ name: String, _ usage: String, _ arity: ClosedRange<Int>, writes isWrite: Bool,
    _ summary: String
  ) {
    self.name = "SESSION." + name
    nameBytes = Array(self.name.utf8)
    self.usage = usage
    self.summary = summary
    self.arity = arity
    self.isWrite = isWrite
  }

  /// All native commands, in the order of the help.
  public static let all = [
    SessionCommand(
      "CREATE",
      "data [USER uid] [IDLE s] [ABSOLUTE s] [IP addr] [BIND ip|cidr [ENFORCE|REPORT]] "
        + "[META json] [LIMIT n EVICT|REJECT]",
      2...17, writes: true,
      "Makes a session. Answers id, version, handles of the sessions evicted for it. LIMIT is how "
        + "many sessions the user may have. Errors: SESSIONLIMIT, TOOBIG."),
    SessionCommand(
      "GET", "id [IP addr] [NOTOUCH]", 2...5, writes: true,
      "Answers data, version, user, ttl in ms, and the new id where the session was regenerated; "
        + "nil if there is none. Slides the idle time unless NOTOUCH. Errors: BINDMISMATCH."),
    SessionCommand(
      "SET", "id data [VERSION v] [TOKEN t] [KEEPTTL]", 3...8, writes: true,
      "Writes the data of a session that lives and answers their version: if it still has VERSION, "
        + "and if TOKEN still holds its lock. Data that did not change only touch. Errors: "
        + "NOSESSION, CONFLICT, LOCKLOST, TOOBIG."),
    SessionCommand(
      "TOUCH", "id [IP addr]", 2...4, writes: true,
      "Slides the idle time. Answers the ttl in ms; nil if there is no session. Errors: "
        + "BINDMISMATCH."),
    SessionCommand(
      "REGENERATE", "id [GRACE ms] [USER uid] [BIND ip|cidr [ENFORCE|REPORT]]", 2...9, writes: true,
      "Gives the session a new id. Answers it, whether this call won (1/0), confirmed or pending. "
        + "The old id leads to the new one for GRACE, never where USER changes. Errors: NOSESSION."),
    SessionCommand(
      "DESTROY", "id", 2...2, writes: true,
      "Ends a session. Answers how many it ended, confirmed or pending."),
    SessionCommand(
      "BIND", "id ip|cidr|NONE [ENFORCE|REPORT]", 3...4, writes: true,
      "Binds a session to addresses, or unbinds it. Errors: NOSESSION."),
    SessionCommand(
      "LIST", "uid [CURSOR c] [COUNT n]", 2...6, writes: false,
      "Answers a cursor (0 at the end) and the user's sessions: handle, created, seen, ttl, ip, "
        + "meta; times in ms."),
    SessionCommand(
      "KILL", "uid handle", 3...3, writes: true,
      "Ends one session of a user by its handle. Answers count, confirmed or pending."),
    SessionCommand(
      "LOGOUTALL", "uid [EXCEPT id]", 2...4, writes: true,
      "Ends all sessions of a user, but for one. Answers count, confirmed or pending."),
    SessionCommand(
      "ATTACH", "uid key", 3...3, writes: true,
      "Counts a framework's own session key among the user's sessions, for LIST, KILL and LOGOUTALL. "
        + "Errors: NOKEY."),
    SessionCommand(
      "LOGIN", "uid OK|FAIL", 3...3, writes: true,
      "Counts a login. Answers the user's logins of the day: ok, fail."),
    SessionCommand(
      "STATS", "LOGINS from to | ACTIVE | DURATION | USER uid", 2...4, writes: false,
      "Answers statistics. LOGINS takes days as YYYY-MM-DD, in UTC; DURATION is a sample."),
    SessionCommand(
      "SWEEP", "[DRYRUN|REMOVE] [PATTERN p] [RATE keys/s]", 1...6, writes: true,
      "Looks for session keys without TTL; gives them the idle time, or removes or only counts them. "
        + "PATTERN replaces the sessions' own. Answers scanned, without TTL, changed, examples."),
    SessionCommand(
      "LOCK", "id [TTL ms] [WAIT ms] [RETRIES n] [SCOPE PROCESS|CONNECTION]", 2...10, writes: true,
      "Locks a session. Answers token and fencing number. Errors: LOCKBUSY, NOMASTER."),
    SessionCommand(
      "EXTEND", "id token ms", 4...4, writes: true, "Holds a lock for longer. Answers 1 or 0."),
    SessionCommand(
      "UNLOCK", "id token", 3...3, writes: true, "Frees a lock. Answers 1 or 0."),
    SessionCommand(
      "HELP", "[command]", 1...2, writes: false, "Shows this text, or one command's part of it."),
  ]

  /// Usage and summary.
  var help: String { "\(name)\(usage.isEmpty ? "" : " ")\(usage)\n    \(summary)\n" }
}
