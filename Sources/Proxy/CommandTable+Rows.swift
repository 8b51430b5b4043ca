// SPDX-License-Identifier: Apache-2.0

/// One command as the tables beside this file write it down.
struct CommandRow: Sendable {
  /// Upper case; a subcommand's without its container's.
  let name: String
  let arity: Int16
  let replay: ReplayClass
  let route: Route
  var isWrite = false
  var keys = KeyPositions.none
  var rule = ArgumentRule.none
  var subcommands: [CommandRow] = []

  /// Whether key positions and rule find every key that the command touches.
  var namesItsKeys: Bool {
    switch rule {
    case .script, .sort: false
    case .streams: true
    case .none, .set, .expire, .expireFields, .destination, .sortedSetAdd, .geoAdd, .geoRadius,
      .geoRadiusByMember, .bitField, .restore, .functionLoad, .migrate, .publish, .tracking,
      .configGet, .configSet, .plainList, .monitor, .alone:
      keys != .none
    }
  }

  /// A command that changes nothing and passes.
  static func read(
    _ name: String, _ arity: Int16, _ keys: KeyPositions = .none, by rule: ArgumentRule = .none
  ) -> CommandRow {
    CommandRow(name: name, arity: arity, replay: .read, route: .pass, keys: keys, rule: rule)
  }

  /// A command that Redis marks write or may-replicate, and that passes.
  static func write(
    _ name: String, _ arity: Int16, _ replay: ReplayClass, _ keys: KeyPositions = .none,
    by rule: ArgumentRule = .none
  ) -> CommandRow {
    CommandRow(
      name: name, arity: arity, replay: replay, route: .pass, isWrite: true, keys: keys, rule: rule)
  }

  /// A write that waits for data, alone on its connection. It takes what comes: never sent twice.
  static func blocking(_ name: String, _ arity: Int16, _ keys: KeyPositions) -> CommandRow {
    CommandRow(
      name: name, arity: arity, replay: .once, route: .pinned(.blocking), isWrite: true, keys: keys)
  }

  /// A command that the daemon answers; its class is never asked for.
  static func local(_ name: String, _ arity: Int16, _ command: LocalCommand) -> CommandRow {
    CommandRow(name: name, arity: arity, replay: .read, route: .local(command))
  }

  /// A command about a connection's own state. That state is gone with the connection, so the
  /// command is not sent again on another one; what to restore is decided elsewhere.
  static func state(
    _ name: String, _ arity: Int16, _ route: Route, _ keys: KeyPositions = .none,
    by rule: ArgumentRule = .none
  ) -> CommandRow {
    CommandRow(name: name, arity: arity, replay: .once, route: route, keys: keys, rule: rule)
  }

  /// A dangerous command, answered with `text` unless the settings open it.
  static func refused(
    _ name: String, _ arity: Int16, _ replay: ReplayClass = .once, isWrite: Bool = false,
    keys: KeyPositions = .none, by rule: ArgumentRule = .none, because text: StaticString
  ) -> CommandRow {
    CommandRow(
      name: name, arity: arity, replay: replay, route: .refused(alternative: text),
      isWrite: isWrite, keys: keys, rule: rule)
  }

  /// A command that no setting opens.
  static func forbidden(
    _ name: String, _ arity: Int16, isWrite: Bool = false, keys: KeyPositions = .none,
    because text: StaticString
  ) -> CommandRow {
    CommandRow(
      name: name, arity: arity, replay: .once, route: .forbidden(reason: text), isWrite: isWrite,
      keys: keys)
  }

  /// The first word of `subcommands`; `route` is for those that are not among them.
  static func container(
    _ name: String, _ arity: Int16, unknown route: Route = .pass, _ subcommands: [CommandRow]
  ) -> CommandRow {
    CommandRow(name: name, arity: arity, replay: .once, route: route, subcommands: subcommands)
  }
}

extension KeyPositions {
  /// No keys.
  static let none = KeyPositions()
  /// `GET key`.
  static let one = KeyPositions(first: 1, last: 1, step: 1)
  /// `OBJECT ENCODING key`.
  static let afterSubcommand = KeyPositions(first: 2, last: 2, step: 1)
  /// `RENAME key key`.
  static let two = KeyPositions(first: 1, last: 2, step: 1)
  /// `DEL key [key ...]`.
  static let all = KeyPositions(first: 1, last: -1, step: 1)
  /// `MSET key value [key value ...]`.
  static let pairs = KeyPositions(first: 1, last: -1, step: 2)
  /// `BLPOP key [key ...] timeout`.
  static let allButLast = KeyPositions(first: 1, last: -2, step: 1)
  /// `ZUNION numkeys key [key ...]`.
  static let counted = KeyPositions(countAt: 1)
  /// `EVAL script numkeys [key ...]`.
  static let countedAtTwo = KeyPositions(countAt: 2)
  /// `ZUNIONSTORE destination numkeys key [key ...]`.
  static let oneAndCounted = KeyPositions(first: 1, last: 1, step: 1, countAt: 2)
}
