// SPDX-License-Identifier: Apache-2.0
import RESP

// Rules about clients (``AccessPolicy``), and what is told of those who were refused.
extension Shard {
  private static let noteEveryMilliseconds: Int64 = 10_000

  /// Finds a new client's rule. A text: it may not connect.
  func admit(_ client: Client) -> String? {
    bind(client, groups: client.peer?.groups ?? [])
    guard let rule = client.rule, let most = rule.connectionsMax else { return nil }
    let count = clients.all.reduce(0) { $0 + ($1.rule == rule && !$1.isClosed ? 1 : 0) }
    return count > most ? refuse(client, rule, "more than \(most) connections") : nil
  }

  /// Binds a client by the rule that names it, if any does.
  func bind(_ client: Client, groups: [UInt32]) {
    let policy = configuration.access
    let index = policy?.rule(for: client.peer, groups: groups)
    client.rule = index.flatMap { policy?.rules[$0] }
    client.requestsMax = min(configuration.inFlightPerClientMax, client.rule?.requestsMax ?? .max)
    client.bytesMax = min(configuration.inFlightBytesPerClientMax, client.rule?.bytesMax ?? .max)
  }

  /// Why a client may not run a command; nil: it may.
  func accessRefusal(
    _ client: Client, _ rule: AccessPolicy.Rule, _ index: CommandIndex?,
    _ arguments: RequestArguments
  ) -> String? {
    let name = index.map { table[$0].name } ?? "an unknown command"
    let isNamed = index != nil && rule.commands.contains(name)
    guard let kind = accessKind(index, arguments) else {
      return selectRefusal(client, rule, index, arguments)
    }
    guard isNamed || rule.kinds.contains(kind) else { return refuse(client, rule, name) }
    switch kind {
    case .session, .admin: return nil
    case .read, .write: break
    }
    guard rule.databases.isEmpty || rule.databases.contains(client.database) else {
      return refuse(client, rule, "\(name) in database \(client.database)")
    }
    guard !rule.keyPrefixes.isEmpty, !isNamed, let index else { return nil }
    return areKeysAllowed(rule, index, arguments)
      ? nil : refuse(client, rule, "\(name) of that key")
  }

  /// Nil for what is about the connection alone.
  private func accessKind(
    _ index: CommandIndex?, _ arguments: RequestArguments
  ) -> AccessPolicy.Kind? {
    guard let index else { return .write }
    let facts = table.facts(index)
    switch route(of: index, facts, arguments) {
    case .local(let command):
      switch command {
      case .session, .lock: return .session
      case .console, .holdfastFailovers, .holdfastLocks: return .admin
      case .keys: return .read
      case .ping, .echo, .quit, .hello, .auth, .select, .reset, .time, .role, .info, .command,
        .commandCount, .commandInfo, .commandList, .clientID,
        .clientInfo, .clientGetName, .clientSetName, .clientSetInfo, .clientReply, .clientNoEvict,
        .clientNoTouch, .clientUnpause, .clientList, .configGet, .noCluster, .unknownSubcommand,
        .wait, .waitAOF, .holdfastPing, .holdfastDurability:
        return nil
      }
    case .pinned(.transaction), .pinnedOnly: return nil
    case .pass, .pinned, .refused, .forbidden:
      // What the settings have opened is dangerous, whether it writes keys or not.
      if case .refused = facts.route { return .write }
      return facts.isWrite ? .write : .read
    }
  }

  /// The kernel is asked for groups only where that decides.
  func isAdministrator(_ client: Client, _ policy: AccessPolicy) -> Bool {
    policy.isAdministrator(client.peer, groups: [])
      || policy.isAdministrator(client.peer, groups: groupsOf(client.id))
  }

  /// Whether a client may administer; if not, it is told so.
  func mayAdminister(_ client: Client, _ arguments: RequestArguments) -> Bool {
    guard let policy = configuration.access else { return true }
    if isAdministrator(client, policy) { return true }
    counters.denied += 1
    note(
      .accessRefused(
        rule: "access.adminGroup", uid: client.peer?.uid ?? .max, pid: client.peer?.pid ?? 0,
        what: "administration"), about: "access.adminGroup")
    reply(client) {
      $0.writeError(
        "DENIED this is for root, the daemon's own user and the group of access.adminGroup")
    }
    return false
  }

  /// Whether a client may run a native command. A sweep may change keys that are nobody's session.
  func mayRun(_ client: Client, _ arguments: RequestArguments) -> Bool {
    guard arguments.matches(0, "SESSION.SWEEP") else { return true }
    var index = 1
    while index < arguments.count {
      if arguments.matches(index, "DRYRUN") { return true }
      index += arguments.matches(index, "PATTERN") || arguments.matches(index, "RATE") ? 2 : 1
    }
    return mayAdminister(client, arguments)
  }

  private func selectRefusal(
    _ client: Client, _ rule: AccessPolicy.Rule, _ index: CommandIndex?,
    _ arguments: RequestArguments
  ) -> String? {
    guard !rule.databases.isEmpty, let index, table[index].name == "SELECT",
      let database = arguments.argument(1) == nil ? nil : arguments.integer(1),
      !rule.databases.contains(Int(clamping: database))
    else { return nil }
    return refuse(client, rule, "database \(database)")
  }

  private func areKeysAllowed(
    _ rule: AccessPolicy.Rule, _ index: CommandIndex, _ arguments: RequestArguments
  ) -> Bool {
    var count = 0
    var areAllowed = true
    table.forEachKey(of: index, arguments: arguments) { key in
      count += 1
      areAllowed = areAllowed && rule.keyPrefixes.contains { key.starts(with: $0) }
    }
    return count > 0 && areAllowed
  }

  private func refuse(_ client: Client, _ rule: AccessPolicy.Rule, _ what: String) -> String {
    counters.denied += 1
    note(
      .accessRefused(
        rule: rule.text, uid: client.peer?.uid ?? .max, pid: client.peer?.pid ?? 0, what: what),
      about: rule.text)
    return "DENIED \(what): the rule \"\(rule.text)\" of access.rules does not allow it"
  }

  /// Tells the log, at most once in ten seconds about one thing.
  func note(_ note: ShardNote, about what: String) {
    if let last = notedMilliseconds[what], now - last < Self.noteEveryMilliseconds { return }
    notedMilliseconds[what] = now
    actions.append(.note(note))
  }

  func refuseByLimit(_ client: Client, _ limit: String) {
    counters.refusedClients += 1
    note(.clientRefused(limit: limit, pid: client.peer?.pid ?? 0), about: limit)
  }
}
