// SPDX-License-Identifier: Apache-2.0
import RESP

/// A command's place in a ``CommandTable``.
public struct CommandIndex: Hashable, Sendable {
  /// From 0 to the table's count; fit for an array of counters.
  public let rawValue: UInt16

  @inlinable
  init(rawValue: UInt16) {
    self.rawValue = rawValue
  }
}

/// What the data path asks about a command: no reference inside, so that a copy costs no counting.
public struct CommandFacts: Sendable {
  /// Where it goes where arguments say nothing else.
  public let route: Route
  /// Where its keys are.
  public let keys: KeyPositions
  /// As in Redis: exact where positive, at least its absolute value where negative, names included.
  public let arity: Int16
  /// The class where arguments say nothing else.
  public let replay: ReplayClass
  /// Whether Redis marks it write or may-replicate.
  public let isWrite: Bool
  /// Whether ``replay`` depends on the arguments.
  public let isClassedByArguments: Bool
  /// Whether ``route`` depends on the arguments.
  public let isRoutedByArguments: Bool
  /// Whether its arguments name every key that it touches. Not so for scripts, for `SORT` with its
  /// patterns, and for what looks at the whole database, such as `SCAN`.
  public let namesItsKeys: Bool
  /// Whether it is the first word of others, as `CLIENT` is.
  let isContainer: Bool
  let rule: ArgumentRule
}

/// Every command of Redis 7: what may be done with it.
public struct CommandTable: Sendable {
  /// The commands of Redis 7.0, with what 7.2 and 7.4 added.
  public static let standard = CommandTable(
    rows: stringRows + bitmapRows + hyperLogLogRows + keyRows + listRows + setRows + hashRows
      + sortedSetRows + geoRows + streamRows + scriptingRows + publishingRows + transactionRows
      + connectionRows + serverRows + replicationRows + clusterRows)

  /// All commands; subcommands follow their container.
  public let specs: [CommandSpec]
  private let allFacts: [CommandFacts]
  private let slots: [Slot]

  /// Builds a table of rows. Their names must differ and have at most ``NameWords/lengthMax`` bytes.
  init(rows: [CommandRow]) {
    var builder = Builder()
    for row in rows { builder.add(row) }
    specs = builder.specs
    allFacts = builder.facts
    slots = builder.slots
  }

  /// Number of commands, subcommands included.
  public var count: Int { specs.count }

  /// Looks a command up by its name as sent, in any case. `subcommand` is the next argument, where
  /// there is one; it counts only behind a container (`CLIENT`, `CONFIG`, `OBJECT`, `XGROUP`…). A
  /// container's own entry stands for all its subcommands that are not known. Nil: unknown command.
  public func find(
    name: UnsafeRawBufferPointer, subcommand: UnsafeRawBufferPointer?
  ) -> CommandIndex? {
    guard let index = find(name, parent: Slot.noParent) else { return nil }
    guard allFacts[Int(index)].isContainer, let subcommand else {
      return CommandIndex(rawValue: index)
    }
    return CommandIndex(rawValue: find(subcommand, parent: index) ?? index)
  }

  /// Looks a request's command up; nil: unknown command, or no arguments at all.
  public func find(_ arguments: RequestArguments) -> CommandIndex? {
    guard let name = arguments.argument(0) else { return nil }
    return find(name: name, subcommand: arguments.argument(1))
  }

  /// Looks a command up by its name in the table's own spelling.
  public func find(named name: String, _ subcommand: String? = nil) -> CommandIndex? {
    let wanted = subcommand.map { "\(name)|\($0)" } ?? name
    return specs.firstIndex { $0.name == wanted }.map { CommandIndex(rawValue: UInt16($0)) }
  }

  /// What is known of a command.
  public subscript(_ index: CommandIndex) -> CommandSpec { specs[Int(index.rawValue)] }

  /// What the data path asks about a command.
  public func facts(_ index: CommandIndex) -> CommandFacts { allFacts[Int(index.rawValue)] }

  private func find(_ name: UnsafeRawBufferPointer, parent: UInt16) -> UInt16? {
    guard let words = NameWords(name) else { return nil }
    var place = words.hash(parent: parent)
    // The table is at most half full, so an empty slot ends every search.
    while true {
      let slot = slots[place & (Slot.tableSize - 1)]
      if slot.index == Slot.empty { return nil }
      if slot.parent == parent, slot.words == words { return slot.index }
      place += 1
    }
  }
}

/// A name in upper case, in three machine words: hashed and compared without a loop over bytes.
struct NameWords: Equatable {
  /// The longest is `COUNT-FAILURE-REPORTS`.
  static let lengthMax = 24

  private let first: UInt64
  private let second: UInt64
  private let third: UInt64
  // A name that ends in zero bytes is not the name without them.
  private let length: UInt8

  /// Nil where the name is empty or longer than any command's.
  init?(_ name: UnsafeRawBufferPointer) {
    guard !name.isEmpty, name.count <= Self.lengthMax else { return nil }
    var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
    withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: name) }
    first = Self.upperCase(words.0)
    second = Self.upperCase(words.1)
    third = Self.upperCase(words.2)
    length = UInt8(name.count)
  }

  /// Takes 0x20 from each of the eight bytes that is in `a`...`z`, without a carry between them.
  private static func upperCase(_ word: UInt64) -> UInt64 {
    let each: UInt64 = 0x0101_0101_0101_0101
    let low7 = word & (each &* 0x7F)
    let aboveZ = low7 &+ (each &* (0x7F - 0x7A))
    let fromA = low7 &+ (each &* (0x80 - 0x61))
    let isLetter = (fromA ^ aboveZ) & ~word & (each &* 0x80)
    return word &- (isLetter >> 2)
  }

  /// A place in a table, to be masked with its size.
  func hash(parent: UInt16) -> Int {
    let mixed =
      (first ^ UInt64(parent)) &* 0x9E37_79B9_7F4A_7C15
      ^ second &* 0xC2B2_AE3D_27D4_EB4F ^ third &* 0x1656_67B1_9E37_79F9
    // The upper bits are the ones that a multiplication mixes.
    return Int(truncatingIfNeeded: (mixed ^ mixed >> 29) >> 33)
  }
}

/// A place of the open-addressing table.
private struct Slot {
  static let tableSize = 1024
  static let noParent = UInt16.max
  static let empty = UInt16.max

  var words: NameWords?
  /// The container that a subcommand belongs to.
  var parent = noParent
  var index = empty
}

/// Lays rows out flat.
private struct Builder {
  var specs: [CommandSpec] = []
  var facts: [CommandFacts] = []
  var slots = [Slot](repeating: Slot(), count: Slot.tableSize)

  mutating func add(_ row: CommandRow, in container: (name: String, index: UInt16)? = nil) {
    precondition(specs.count < Slot.tableSize / 2, "the lookup table is too small")
    let index = UInt16(specs.count)
    let name = container.map { "\($0.name)|\(row.name)" } ?? row.name
    specs.append(
      CommandSpec(
        name: name, arity: row.arity, replay: row.replay, route: row.route, isWrite: row.isWrite,
        keys: row.keys, isClassedByArguments: row.rule.givesClass))
    facts.append(
      CommandFacts(
        route: row.route, keys: row.keys, arity: row.arity, replay: row.replay,
        isWrite: row.isWrite, isClassedByArguments: row.rule.givesClass,
        isRoutedByArguments: row.rule.givesRoute, namesItsKeys: row.namesItsKeys,
        isContainer: !row.subcommands.isEmpty, rule: row.rule))
    insert(row.name, parent: container?.index ?? Slot.noParent, index: index)
    for subcommand in row.subcommands { add(subcommand, in: (name, index)) }
  }

  private mutating func insert(_ name: String, parent: UInt16, index: UInt16) {
    let words = Array(name.utf8).withUnsafeBytes { NameWords($0) }
    guard let words else { preconditionFailure("\(name) is longer than NameWords.lengthMax") }
    var place = words.hash(parent: parent) & (Slot.tableSize - 1)
    while slots[place].index != Slot.empty {
      precondition(
        slots[place].parent != parent || slots[place].words != words, "\(name) is there twice")
      place = (place + 1) & (Slot.tableSize - 1)
    }
    slots[place] = Slot(words: words, parent: parent, index: index)
  }
}
