// SPDX-License-Identifier: Apache-2.0

/// Whether a command may be sent again when its first outcome is unknown.
public enum ReplayClass: UInt8, Sendable, CaseIterable {
  /// Changes nothing.
  case read
  /// Effect and reply do not depend on what was there before.
  case absolute
  /// The effect repeats, the reply may differ.
  case settling
  /// Carries a token, version or nonce: a second run returns the first one's answer.
  case guarded
  /// Adds up, or is not known: never sent twice.
  case once
}

/// What the daemon answers by itself, without asking Redis.
public enum LocalCommand: UInt8, Sendable, CaseIterable {
  case ping, echo, hello, auth, select, reset, quit, info, role, time
  case command, commandCount, commandInfo, commandList
  case clientID, clientInfo, clientGetName, clientSetName, clientSetInfo, clientReply
  case clientNoEvict, clientNoTouch, clientUnpause, clientList
  case configGet
  case noCluster, unknownSubcommand
  case keys
  case wait, waitAOF
  case holdfastPing, holdfastDurability, holdfastFailovers, holdfastLocks
  case session, lock, console
}

/// Why a command needs a connection of its own.
public enum PinReason: UInt8, Sendable, CaseIterable {
  /// `MULTI`: until `EXEC` or `DISCARD`.
  case transaction
  /// `WATCH`: until `EXEC`, `DISCARD` or `UNWATCH`.
  case watch
  /// One command that may block, such as `BLPOP`: until its reply.
  case blocking
  /// Until the last subscription is gone.
  case subscription
  /// `CLIENT TRACKING ON`: until `OFF`.
  case tracking
}

/// Where a command goes.
public enum Route: Equatable, Sendable {
  /// To the master, on the client's shared link.
  case pass
  /// Answered by the daemon.
  case local(LocalCommand)
  /// To the master, on a connection of the client's own.
  case pinned(PinReason)
  /// Ends or continues state that only a pinned connection has (`EXEC`, `DISCARD`, `UNWATCH`, `UNSUBSCRIBE`…).
  case pinnedOnly
  /// Answered with `DENIED` unless the settings open it; the text names what to use instead.
  case refused(alternative: StaticString)
  /// Refused whatever the settings say.
  case forbidden(reason: StaticString)

  /// Whether both are the same kind; texts are not compared.
  public static func == (left: Route, right: Route) -> Bool {
    switch (left, right) {
    case (.pass, .pass), (.pinnedOnly, .pinnedOnly): true
    case (.local(let a), .local(let b)): a == b
    case (.pinned(let a), .pinned(let b)): a == b
    case (.refused, .refused), (.forbidden, .forbidden): true
    case (.pass, _), (.pinnedOnly, _), (.local, _), (.pinned, _), (.refused, _), (.forbidden, _):
      false
    }
  }
}

/// Where a command's keys are, as in Redis' `COMMAND INFO`: first and last index (negative counts from the end), step.
public struct KeyPositions: Equatable, Sendable {
  /// Index of the first key; 0: none.
  public var first: Int16
  /// Index of the last key; negative counts from the end.
  public var last: Int16
  /// Distance between keys; 0: none.
  public var step: Int16
  /// Index of an argument that counts the keys which follow it (`EVAL`, `ZUNION`); 0: none.
  public var countAt: Int16

  /// Key positions; no argument: no keys.
  public init(first: Int16 = 0, last: Int16 = 0, step: Int16 = 0, countAt: Int16 = 0) {
    self.first = first
    self.last = last
    self.step = step
    self.countAt = countAt
  }
}

/// What is known of one command.
public struct CommandSpec: Sendable {
  /// Upper case; subcommands as `CLIENT|SETNAME`.
  public let name: String
  /// As in Redis: exact where positive, at least its absolute value where negative, the name included.
  public let arity: Int16
  /// The class where arguments say nothing else; see ``CommandTable/replayClass(of:arguments:)``.
  public let replay: ReplayClass
  /// Where it goes.
  public let route: Route
  /// Whether Redis marks it write or may-replicate.
  public let isWrite: Bool
  /// Where its keys are.
  public let keys: KeyPositions
  /// Whether ``replay`` depends on the arguments.
  public let isClassedByArguments: Bool

  /// A command's description.
  public init(
    name: String, arity: Int16, replay: ReplayClass, route: Route, isWrite: Bool,
    keys: KeyPositions, isClassedByArguments: Bool
  ) {
    self.name = name
    self.arity = arity
    self.replay = replay
    self.route = route
    self.isWrite = isWrite
    self.keys = keys
    self.isClassedByArguments = isClassedByArguments
  }
}
