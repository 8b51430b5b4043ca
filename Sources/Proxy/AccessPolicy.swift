// SPDX-License-Identifier: Apache-2.0

/// Who may do what, by the user and groups of a client's process.
public struct AccessPolicy: Sendable, Equatable {
  /// Kinds of commands.
  public enum Kind: Sendable, CaseIterable {
    /// Changes nothing.
    case read
    /// Changes data, or is not known.
    case write
    /// `SESSION.*`.
    case session
    /// `HOLDFAST.*`, but for what everybody may ask.
    case admin
  }

  /// What the clients of some users or groups may do.
  public struct Rule: Sendable, Equatable {
    /// As it was written, for refusals.
    public var text: String
    /// Users it is about.
    public var uids: Set<UInt32> = []
    /// Groups it is about.
    public var gids: Set<UInt32> = []
    /// What is allowed.
    public var kinds: Set<Kind> = []
    /// Commands that are allowed besides, in upper case, subcommands with a bar.
    public var commands: Set<String> = []
    /// What keys must begin with; empty: anything.
    public var keyPrefixes: [[UInt8]] = []
    /// Databases; empty: all.
    public var databases: Set<Int> = []
    /// Connections at one time, of this shard; nil: no limit of its own.
    public var connectionsMax: Int?
    /// Unanswered requests of one connection; nil: no limit of its own.
    public var requestsMax: Int?
    /// Bytes of one connection's unanswered requests; nil: no limit of its own.
    public var bytesMax: Int?

    /// A rule that allows nothing yet.
    public init(text: String) { self.text = text }
  }

  /// The first that names a client counts.
  public var rules: [Rule] = []
  /// Users who may administer.
  public var adminUIDs: Set<UInt32> = []
  /// Groups whose members may.
  public var adminGIDs: Set<UInt32> = []

  /// Without rules, and without administrators.
  public init() {}

  /// Whether a rule names a group, so that a client's groups must be known when it connects.
  public var needsGroups: Bool { rules.contains { !$0.gids.isEmpty } }

  /// The rule for a client; nil where none names it.
  public func rule(for peer: Peer?, groups: [UInt32]) -> Int? {
    guard let peer else { return nil }
    return rules.firstIndex { rule in
      rule.uids.contains(peer.uid) || rule.gids.contains(peer.gid)
        || groups.contains(where: rule.gids.contains)
    }
  }

  /// Whether a client may administer.
  public func isAdministrator(_ peer: Peer?, groups: [UInt32]) -> Bool {
    guard let peer else { return false }
    if adminUIDs.contains(peer.uid) || adminGIDs.contains(peer.gid) { return true }
    if groups.contains(where: adminGIDs.contains) { return true }
    return rule(for: peer, groups: groups).map { rules[$0].kinds.contains(.admin) } ?? false
  }
}

/// What a shard has to say to the log.
public enum ShardNote: Sendable, Equatable {
  /// A rule has refused a client's command or connection; told at most once in ten seconds a rule.
  case accessRefused(rule: String, uid: UInt32, pid: Int32, what: String)
  /// A client was refused or cut off by a limit; told at most once in ten seconds a limit.
  case clientRefused(limit: String, pid: Int32)
  /// All connections that can be leased are.
  case poolExhausted(leased: Int)
  /// Connections can be leased again.
  case poolRecovered
  /// Subscribers whose connection was lost are subscribed again; they may have missed messages.
  case subscribersMoved(count: Int)
}
