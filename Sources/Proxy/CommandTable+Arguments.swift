// SPDX-License-Identifier: Apache-2.0
import RESP

/// How a command's arguments change its class, its route or its keys. A rule that cannot make sense
/// of the arguments answers on the safe side: class once, or a connection of its own.
enum ArgumentRule: UInt8, Sendable, CaseIterable {
  case none
  /// `SET key value [options]`
  case set
  /// `EXPIRE key time [condition]`
  case expire
  /// `HEXPIRE key time [condition] FIELDS number field...`
  case expireFields
  /// The first key is written from the others: `SINTERSTORE`, `BITOP`.
  case destination
  /// `SORT key [options]`
  case sort
  /// `ZADD key [flags] score member...`
  case sortedSetAdd
  /// `GEOADD key [flags] longitude latitude member...`
  case geoAdd
  /// `GEORADIUS key longitude latitude radius unit [options]`
  case geoRadius
  /// `GEORADIUSBYMEMBER key member radius unit [options]`
  case geoRadiusByMember
  /// `BITFIELD key [operations]`
  case bitField
  /// `RESTORE key ttl value [options]`
  case restore
  /// `FUNCTION LOAD [REPLACE] code`
  case functionLoad
  /// `XREAD`, `XREADGROUP`: `[options] STREAMS key... id...`
  case streams
  /// `MIGRATE host port key|"" database timeout [options] [KEYS key...]`
  case migrate
  /// `PUBLISH channel message`
  case publish
  /// `CLIENT TRACKING ON|OFF [options]`
  case tracking
  /// `CONFIG GET`: some settings are answered here, one is Redis' own to tell.
  case configGet
  /// `CONFIG SET`: one setting may be opened alone.
  case configSet
  /// `COMMAND LIST` without a filter is answered here.
  case plainList
  /// `MONITOR`: once opened, it needs a connection of its own.
  case monitor
  /// `COMMAND`: answered here alone; an unknown subcommand is Redis' to complain about.
  case alone
  /// `EVAL` and its kin: may touch keys that they do not name.
  case script

  /// Whether the class depends on the arguments.
  var givesClass: Bool {
    switch self {
    case .set, .expire, .expireFields, .destination, .sort, .sortedSetAdd, .geoAdd, .geoRadius,
      .geoRadiusByMember, .bitField, .restore, .functionLoad:
      true
    case .none, .streams, .migrate, .publish, .tracking, .configGet, .configSet, .plainList,
      .monitor,
      .alone, .script:
      false
    }
  }

  /// Whether the route depends on the arguments.
  var givesRoute: Bool {
    switch self {
    case .streams, .publish, .tracking, .configGet, .plainList, .alone: true
    case .none, .set, .expire, .expireFields, .destination, .sort, .sortedSetAdd, .geoAdd,
      .geoRadius, .geoRadiusByMember, .bitField, .restore, .functionLoad, .migrate, .configSet,
      .monitor, .script:
      false
    }
  }
}

extension CommandTable {
  /// The class a command has with these arguments.
  public func replayClass(
    of index: CommandIndex, arguments: RequestArguments
  ) -> ReplayClass {
    let facts = facts(index)
    guard facts.isClassedByArguments else { return facts.replay }
    switch facts.rule {
    case .set: return arguments.setClass
    // A condition (NX, XX, GT, LT) makes the reply an answer that a second run could turn round.
    case .expire: return arguments.count <= 3 ? .settling : .once
    case .expireFields: return arguments.matches(3, "FIELDS") ? .settling : .once
    case .destination: return arguments.destinationClass(facts.keys)
    case .sort: return facts.isWrite ? arguments.sortClass : .read
    case .sortedSetAdd, .geoAdd: return arguments.addClass
    case .geoRadius: return arguments.geoRadiusClass(optionsAt: 6)
    case .geoRadiusByMember: return arguments.geoRadiusClass(optionsAt: 5)
    case .bitField: return arguments.bitFieldClass
    case .restore: return arguments.restoreClass
    // Without REPLACE the second run fails: the library is there.
    case .functionLoad: return arguments.matches(2, "REPLACE") ? .settling : .once
    case .none, .streams, .migrate, .publish, .tracking, .configGet, .configSet, .plainList,
      .monitor, .alone, .script:
      return facts.replay
    }
  }

  /// Where a command goes with these arguments.
  public func route(of index: CommandIndex, arguments: RequestArguments) -> Route {
    let facts = facts(index)
    switch facts.rule {
    case .streams:
      return arguments.mayBlock ? .pinned(.blocking) : facts.route
    case .publish where arguments.argument(1)?.isExactly("__sentinel__:hello") == true:
      return .forbidden(reason: "this channel is the sentinels' own; publish on another one")
    case .publish where arguments.argument(1)?.isExactly("__holdfast__:gap") == true:
      return .forbidden(reason: "this channel is the daemon's own; publish on another one")
    case .tracking where arguments.matches(2, "OFF") && arguments.count == 3:
      return .pinnedOnly
    case .tracking where arguments.redirects:
      return .forbidden(
        reason: "connections to Redis are not the client's; HELLO 3 gets invalidations in place")
    case .alone where arguments.count > 1, .plainList where arguments.count > 2:
      return .pass
    // The one setting that an app's own start depends on.
    case .configGet where arguments.count == 3 && arguments.matches(2, "NOTIFY-KEYSPACE-EVENTS"):
      return .pass
    case .none, .set, .expire, .expireFields, .destination, .sort, .sortedSetAdd, .geoAdd,
      .geoRadius, .geoRadiusByMember, .bitField, .restore, .functionLoad, .migrate, .publish,
      .tracking, .configGet, .configSet, .plainList, .monitor, .alone, .script:
      return facts.route
    }
  }

  /// Where a refused command goes once the settings open it; any other goes where it always goes.
  public func openedRoute(of index: CommandIndex, arguments: RequestArguments) -> Route {
    let route = route(of: index, arguments: arguments)
    guard case .refused = route else { return route }
    return facts(index).rule == .monitor ? .pinned(.subscription) : .pass
  }

  /// Calls `body` with every key that the arguments name, those behind options included. It may
  /// touch others where ``CommandFacts/namesItsKeys`` is false.
  public func forEachKey(
    of index: CommandIndex, arguments: RequestArguments, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    let facts = facts(index)
    arguments.forEachKey(facts.keys, body)
    switch facts.rule {
    case .streams: arguments.forEachStream(body)
    case .sort:
      if let place = arguments.sortStore.place { body(arguments[place]) }
    case .geoRadius: arguments.forEachGeoDestination(optionsAt: 6, body)
    case .geoRadiusByMember: arguments.forEachGeoDestination(optionsAt: 5, body)
    case .migrate: arguments.forEachMigratedKey(body)
    case .none, .set, .expire, .expireFields, .destination, .sortedSetAdd, .geoAdd, .bitField,
      .restore, .functionLoad, .publish, .tracking, .configGet, .configSet, .plainList, .monitor,
      .alone, .script:
      break
    }
  }
}

/// Where an option that names a destination is.
private struct StoreOption {
  /// Index of the destination, the last one where there are several; nil: none.
  var place: Int?
  /// Whether all options were understood.
  var isClear = true
}

extension RequestArguments {
  /// EX and its kin are absolute times or start again; KEEPTTL keeps what was there; NX, XX and GET
  /// answer by what was there.
  fileprivate var setClass: ReplayClass {
    var replay = ReplayClass.absolute
    var index = 3
    while index < count {
      let option = self[index]
      if option.isKeyword("EX") || option.isKeyword("PX") || option.isKeyword("EXAT")
        || option.isKeyword("PXAT")
      {
        index += 2
      } else if option.isKeyword("KEEPTTL") {
        replay = .settling
        index += 1
      } else {
        // NX, XX, GET, and whatever another server has invented.
        return .once
      }
    }
    return replay
  }

  /// A destination among its own sources is fed back: `BITOP XOR a a b`, `ZUNIONSTORE a 2 a b`.
  fileprivate func destinationClass(_ keys: KeyPositions) -> ReplayClass {
    var destination: UnsafeRawBufferPointer?
    var isAmongSources = false
    forEachKey(keys) { key in
      guard let first = destination else {
        destination = key
        return
      }
      if key.hasSameBytes(as: first) { isAmongSources = true }
    }
    return isAmongSources ? .once : .settling
  }

  /// `SORT` options, from index 2. Parsed one by one: a pattern may be the word `STORE`.
  fileprivate var sortStore: StoreOption {
    var store = StoreOption()
    var index = 2
    while index < count {
      let option = self[index]
      if option.isKeyword("ASC") || option.isKeyword("DESC") || option.isKeyword("ALPHA") {
        index += 1
      } else if option.isKeyword("LIMIT") {
        index += 3
      } else if option.isKeyword("BY") || option.isKeyword("GET") {
        index += 2
      } else if option.isKeyword("STORE"), index + 1 < count {
        store.place = index + 1
        index += 2
      } else {
        store.isClear = false
        return store
      }
    }
    return store
  }

  fileprivate var sortClass: ReplayClass {
    let store = sortStore
    guard store.isClear else { return .once }
    guard let place = store.place else { return .read }
    // LIMIT cuts what the first run has cut already.
    return areEqual(1, place) ? .once : .settling
  }

  /// `ZADD` and `GEOADD`: CH changes the reply only. A condition or INCR makes a second run another
  /// command than the first.
  fileprivate var addClass: ReplayClass {
    var index = 2
    while matches(index, "CH") { index += 1 }
    let isConditional =
      matches(index, "NX") || matches(index, "XX") || matches(index, "GT")
      || matches(index, "LT") || matches(index, "INCR")
    return isConditional ? .once : .settling
  }

  fileprivate func geoRadiusStore(optionsAt start: Int) -> StoreOption {
    var store = StoreOption()
    var index = start
    while index < count {
      let option = self[index]
      if option.isKeyword("STORE") || option.isKeyword("STOREDIST"), index + 1 < count {
        store.place = index + 1
        index += 2
      } else if option.isKeyword("COUNT") {
        index += 2
      } else if option.isKeyword("ANY") || option.isKeyword("ASC") || option.isKeyword("DESC")
        || option.isKeyword("WITHCOORD") || option.isKeyword("WITHDIST")
        || option.isKeyword("WITHHASH")
      {
        index += 1
      } else {
        store.isClear = false
        return store
      }
    }
    return store
  }

  fileprivate func geoRadiusClass(optionsAt start: Int) -> ReplayClass {
    let store = geoRadiusStore(optionsAt: start)
    guard store.isClear else { return .once }
    guard let place = store.place else { return .read }
    return areEqual(1, place) ? .once : .settling
  }

  fileprivate func forEachGeoDestination(
    optionsAt start: Int, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    if let place = geoRadiusStore(optionsAt: start).place { body(self[place]) }
  }

  /// Only GET operations: a read. SET answers the old value, INCRBY adds.
  fileprivate var bitFieldClass: ReplayClass {
    var index = 2
    while index < count {
      guard matches(index, "GET") else { return .once }
      index += 3
    }
    return .read
  }

  /// Without REPLACE the second run fails: the key is there.
  fileprivate var restoreClass: ReplayClass {
    var replay = ReplayClass.once
    var index = 4
    while index < count {
      let option = self[index]
      if option.isKeyword("REPLACE") {
        replay = .settling
        index += 1
      } else if option.isKeyword("ABSTTL") {
        index += 1
      } else if option.isKeyword("IDLETIME") || option.isKeyword("FREQ") {
        index += 2
      } else {
        return .once
      }
    }
    return replay
  }

  /// Index of the word STREAMS, and whether BLOCK or an unknown option comes before it. Parsed one
  /// by one: a group may be called `BLOCK`.
  private var streamOptions: (streams: Int?, mayBlock: Bool) {
    var mayBlock = false
    var index = 1
    while index < count {
      let option = self[index]
      if option.isKeyword("STREAMS") { return (index, mayBlock) }
      if option.isKeyword("COUNT") {
        index += 2
      } else if option.isKeyword("GROUP") {
        index += 3
      } else if option.isKeyword("NOACK") {
        index += 1
      } else if option.isKeyword("BLOCK") {
        mayBlock = true
        index += 2
      } else {
        return (nil, true)
      }
    }
    return (nil, mayBlock)
  }

  fileprivate var mayBlock: Bool { streamOptions.mayBlock }

  /// `CLIENT TRACKING ON ... REDIRECT id`. A prefix may be that word.
  fileprivate var redirects: Bool {
    var index = 3
    while index < count {
      if matches(index, "REDIRECT") { return true }
      index += matches(index, "PREFIX") ? 2 : 1
    }
    return false
  }

  /// Half of what follows STREAMS is keys, the other half ids.
  fileprivate func forEachStream(_ body: (UnsafeRawBufferPointer) -> Void) {
    guard let streams = streamOptions.streams else { return }
    let start = streams + 1
    for index in start..<start + (count - start) / 2 { body(self[index]) }
  }

  /// `KEYS` is the last option; before it only words that cannot be taken for it, but credentials.
  fileprivate func forEachMigratedKey(_ body: (UnsafeRawBufferPointer) -> Void) {
    var index = 6
    while index < count {
      if matches(index, "KEYS") {
        for key in index + 1..<count { body(self[key]) }
        return
      }
      index += matches(index, "AUTH") ? 2 : matches(index, "AUTH2") ? 3 : 1
    }
  }
}
