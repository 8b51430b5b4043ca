// SPDX-License-Identifier: Apache-2.0
import RESP

/// One native command under way: a pure state machine between a client's arguments and its answer.
///
/// The caller carries out each ``SessionStep`` and hands its outcome back, which gives the next step,
/// until a step is a reply. A command that was called again because its outcome was unknown gets the
/// second run's reply: its calls are made so that this is the first one's.
///
/// It prints nothing of its arguments: they hold ids, tokens and data.
public struct SessionOperation: Sendable, CustomStringConvertible, CustomReflectable {
  /// What arguments became.
  public enum Parsed: Sendable {
    /// To be started.
    case operation(SessionOperation)
    /// To be answered at once: an error.
    case refused(SessionReply)
  }

  /// What it runs.
  public let command: SessionCommand
  private var work: any SessionWork

  init(_ command: SessionCommand, _ work: any SessionWork) {
    self.command = command
    self.work = work
  }

  /// The command's name.
  public var description: String { command.name }
  /// No children: `dump` shows nothing.
  public var customMirror: Mirror { Mirror(self, children: [:]) }

  /// Reads a command; `arguments[0]` is its name, in any case. Nothing of the view is kept.
  ///
  /// The commands of locks are not read here.
  /// - Parameters:
  ///   - random: Where ids and nonces come from: `SystemRandomNumberGenerator`, but in tests.
  ///   - clientDatabase: The database that the client selected: `SESSION.ATTACH` looks for its key
  ///     there. Sessions themselves are on that of the configuration.
  public static func parse(
    _ arguments: RequestArguments, _ context: SessionContext,
    clientDatabase: Int64? = nil, random: inout some RandomNumberGenerator
  ) -> Parsed {
    guard let name = arguments.argument(0), let command = SessionCommand.named(name) else {
      return .refused(.error("ERR unknown SESSION command; SESSION.HELP lists them"))
    }
    do throws(Refusal) {
      var reader = try ArgumentReader(command, arguments, clientDatabase: clientDatabase)
      let work = try context.work(for: command, &reader, &random)
      try reader.finish()
      return .operation(SessionOperation(command, work))
    } catch {
      return .refused(.error(error.text))
    }
  }

  /// The first step; also the first step anew, before a reply came.
  ///
  /// - Parameter isFenced: A write fence stands: `SESSION.GET` then reads without sliding the expiry
  ///   instead of waiting. Other commands that write do so, and their calls say it.
  public mutating func start(nowMilliseconds: Int64, isFenced: Bool = false) -> SessionStep {
    work.start(isFenced: isFenced, nowMilliseconds: nowMilliseconds)
  }

  /// The reply to the last call. An error that says that the command was not executed is the caller's
  /// to handle first; any error that comes here is the answer.
  public mutating func received(_ reply: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    if case .error(let text) = reply { return .reply(.error(Self.withoutScript(text))) }
    return work.answered(reply, nowMilliseconds: nowMilliseconds)
  }

  /// Whether the reply to the last call is, byte by byte, what a client of RESP2 is answered: then it may be passed on,
  /// and the operation is over.
  public func passes(_ reply: UnsafeRawBufferPointer) -> Bool { work.passes(reply) }

  /// Whether a replica has all that was written before the last step, ``SessionStep/confirm(timeoutMilliseconds:)``.
  public mutating func confirmed(_ isConfirmed: Bool, nowMilliseconds: Int64) -> SessionStep {
    work.confirmed(isConfirmed)
  }

  /// The pause of the last step is over.
  public mutating func resumed(nowMilliseconds: Int64) -> SessionStep {
    work.resumed(nowMilliseconds: nowMilliseconds)
  }

  /// The master's generation changed: a scan begins again at its next step, and counts each key once.
  /// For other commands nothing changes. The step under way goes on: its call is to be sent (again).
  public mutating func restarted() { work.restarted() }

  /// The handle of the session that the command is about now (after a grace period's successor it is
  /// that one's): to be compared with handles denied on this host, before the first and each later
  /// call. Nil for commands that name no session.
  public var sessionHandle: String? { work.target.map { IndexMember.handle(of: $0.member) } }

  /// The answer where ``sessionHandle`` is denied on this host: as if there were no such session.
  public var denial: SessionReply { SessionOperation.denial(of: command) }

  /// What is to be logged, once the command was answered.
  public var notes: [SessionNote] { work.notes }

  /// What the answer `pending` stands for; empty unless it was given. To be denied on this host at
  /// once, and made so by ``retry(_:_:)`` until that answers `confirmed`.
  public var pendingDenials: [PendingDenial] { work.pendingDenials }

  /// Makes sure that what was ended stays so, though the master that heard of it may be lost.
  public static func retry(
    _ denial: PendingDenial, _ context: SessionContext
  ) -> SessionOperation? {
    guard let command = SessionCommand.named(Array("SESSION.LOGOUTALL".utf8)) else { return nil }
    return SessionOperation(command, DenialRetry(denial, context))
  }

  /// Whether the answer of ``retry(_:_:)`` says that a replica has it.
  public static func isConfirmed(_ reply: SessionReply) -> Bool {
    guard case .fields(let fields) = reply else { return false }
    return fields.contains { $0.name == "state" && $0.value == Confirmation.value(true) }
  }

  static func denial(of command: SessionCommand) -> SessionReply {
    switch command.name {
    case "SESSION.GET", "SESSION.TOUCH": return .value(.null)
    case "SESSION.DESTROY": return Confirmation.reply(count: 0, isConfirmed: false)
    default: return .noSession
    }
  }

  /// Redis' own words without the place in the script, which says nothing to a client.
  private static func withoutScript(_ text: String) -> String {
    for mark in [" script: ", ", on @user_script"] {
      if let end = text.firstRange(of: mark) { return String(text[..<end.lowerBound]) }
    }
    return text
  }
}

/// Something that happened in a command and belongs into a log. It names sessions by handle.
public enum SessionNote: Sendable, Equatable {
  /// A session was used from where it is not bound to, or without `IP`; refused if enforced.
  case bindingMismatch(handle: String, address: String?, isEnforced: Bool)
}

/// Sessions that were ended, where no replica has confirmed it yet: a failover could bring them back.
public struct PendingDenial: Sendable, Equatable {
  /// A user's epoch, as it was and as it is now.
  public struct Epoch: Sendable, Equatable {
    /// The user.
    public var user: [UInt8]
    /// What it was; sessions of this one must not live.
    public var former: [UInt8]
    /// What it is now.
    public var current: [UInt8]

    /// An epoch of these.
    public init(user: [UInt8], former: [UInt8], current: [UInt8]) {
      self.user = user
      self.former = former
      self.current = current
    }
  }

  /// What ended: entries of users' indexes (see ``IndexMember``). They contain stored ids: where ids
  /// are stored `plain` these are credentials and must stay in memory.
  public var members: [[UInt8]]
  /// The user whose epoch was replaced, for a logout everywhere.
  public var epoch: Epoch?
  /// The denial begins so much later: the old id of a regenerated session is still good that long.
  public var delayMilliseconds: Int64

  /// A denial of these.
  public init(members: [[UInt8]], epoch: Epoch? = nil, delayMilliseconds: Int64 = 0) {
    self.members = members
    self.epoch = epoch
    self.delayMilliseconds = delayMilliseconds
  }

  /// The handles to be denied on this host.
  public var handles: [String] { members.map { IndexMember.handle(of: $0) } }
}

extension SessionReply {
  static let noSession = SessionReply.error("NOSESSION there is no such session; begin a new one")
}
