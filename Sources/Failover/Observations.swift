// SPDX-License-Identifier: Apache-2.0

/// The words of `SENTINEL`'s `flags` field that matter here.
public struct InstanceFlags: OptionSet, Hashable, Sendable {
  /// One bit per flag.
  public var rawValue: UInt8
  /// Makes a set from bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// This sentinel alone thinks the node is down.
  public static let subjectivelyDown = InstanceFlags(rawValue: 1)
  /// A quorum of sentinels thinks so.
  public static let objectivelyDown = InstanceFlags(rawValue: 2)
  /// The sentinel has no connection to the node.
  public static let disconnected = InstanceFlags(rawValue: 4)
  /// The sentinel leads (or tries to lead) a failover of this master.
  public static let failoverInProgress = InstanceFlags(rawValue: 8)
  /// The replica that the leader chose.
  public static let promoted = InstanceFlags(rawValue: 16)
  /// The failover was commanded (`SENTINEL FAILOVER`).
  public static let forcedFailover = InstanceFlags(rawValue: 32)

  /// Reads the comma-separated words; unknown ones are ignored.
  public static func parse(_ text: String) -> InstanceFlags {
    var flags: InstanceFlags = []
    for word in text.split(separator: ",") {
      switch word {
      case "s_down": flags.insert(.subjectivelyDown)
      case "o_down": flags.insert(.objectivelyDown)
      case "disconnected": flags.insert(.disconnected)
      case "failover_in_progress": flags.insert(.failoverInProgress)
      case "promoted": flags.insert(.promoted)
      case "force_failover": flags.insert(.forcedFailover)
      default: break
      }
    }
    return flags
  }

  /// Whether the sentinel that set these flags takes the node for dead.
  public var isDown: Bool {
    !isDisjoint(with: [.subjectivelyDown, .objectivelyDown, .disconnected])
  }
}

/// One answer to `SENTINEL MASTER`.
public struct MasterRecord: Hashable, Sendable {
  /// The epoch of the configuration this sentinel holds.
  public var configEpoch: UInt64
  /// The master's flags.
  public var flags: InstanceFlags
  /// `failover-state`, present while this sentinel leads a failover.
  public var failoverState: String?
  /// Sentinels that must agree on `o_down`.
  public var quorum: Int
  /// Other sentinels known to this one, dead ones included.
  public var otherSentinels: Int

  /// Makes a record.
  public init(
    configEpoch: UInt64, flags: InstanceFlags = [], failoverState: String? = nil, quorum: Int = 2,
    otherSentinels: Int = 2
  ) {
    self.configEpoch = configEpoch
    self.flags = flags
    self.failoverState = failoverState
    self.quorum = quorum
    self.otherSentinels = otherSentinels
  }
}

/// A sentinel as another one reports it (`SENTINEL SENTINELS`).
public struct PeerSentinel: Hashable, Sendable {
  /// Where it was last seen.
  public var address: NodeAddress
  /// Its MYID.
  public var id: String
  /// The reporter's opinion of it.
  public var flags: InstanceFlags

  /// Makes a peer.
  public init(address: NodeAddress, id: String, flags: InstanceFlags = []) {
    self.address = address
    self.id = id
    self.flags = flags
  }
}

/// A replica as a sentinel reports it (`SENTINEL REPLICAS`).
public struct ReplicaRecord: Hashable, Sendable {
  /// Where it listens.
  public var address: NodeAddress
  /// The reporter's opinion of it.
  public var flags: InstanceFlags
  /// `replica-priority`; 0 means that it is never promoted.
  public var priority: Int
  /// Whether its link to the master is up.
  public var isLinkedToMaster: Bool
  /// Its replication offset in bytes, as last told to the sentinel.
  public var offset: UInt64

  /// Makes a replica.
  public init(
    address: NodeAddress, flags: InstanceFlags = [], priority: Int = 100,
    isLinkedToMaster: Bool = true, offset: UInt64 = 0
  ) {
    self.address = address
    self.flags = flags
    self.priority = priority
    self.isLinkedToMaster = isLinkedToMaster
    self.offset = offset
  }

  /// Whether Sentinel might promote it.
  public var isPromotable: Bool { priority > 0 && !flags.isDown }
}

/// What one poll of one sentinel brought: MASTER, GET-MASTER-ADDR-BY-NAME, MASTER in one pipeline.
///
/// After a promotion the leader's MASTER shows the old address with the new epoch for a while;
/// GET-MASTER-ADDR is right at once. So the address counts only between two equal epochs.
public struct SentinelPoll: Hashable, Sendable {
  /// The address asked (as watched, not as resolved).
  public var address: NodeAddress
  /// `SENTINEL MYID`: the sentinel's identity.
  public var id: String
  /// The first MASTER; nil when the sentinel does not know the master's name.
  public var before: MasterRecord?
  /// GET-MASTER-ADDR-BY-NAME; nil when the sentinel does not know the master's name.
  public var master: NodeAddress?
  /// The second MASTER.
  public var after: MasterRecord?
  /// `SENTINEL SENTINELS`; nil when not asked this time.
  public var peers: [PeerSentinel]?
  /// `SENTINEL REPLICAS`; nil when not asked this time.
  public var replicas: [ReplicaRecord]?

  /// Makes a poll.
  public init(
    address: NodeAddress, id: String, before: MasterRecord?, master: NodeAddress?,
    after: MasterRecord?, peers: [PeerSentinel]? = nil, replicas: [ReplicaRecord]? = nil
  ) {
    self.address = address
    self.id = id
    self.before = before
    self.master = master
    self.after = after
    self.peers = peers
    self.replicas = replicas
  }
}

/// Why a node or sentinel gave no answer.
public enum ProbeFailure: Hashable, Sendable {
  /// Refused, unreachable, closed, no such host.
  case unreachable(String)
  /// No answer within the timeout.
  case timedOut
  /// AUTH failed or is missing, or the user may not run the command; the peer's message.
  case authentication(String)
  /// The peer is there but cannot say now (BUSY, client limit); its message.
  case busy(String)
  /// An answer that makes no sense.
  case malformed(String)

  /// In plain words.
  public var reason: String {
    switch self {
    case .unreachable(let text): text
    case .timedOut: "no answer within the timeout"
    case .authentication(let text): "authentication failed: \(text)"
    case .busy(let text): "busy: \(text)"
    case .malformed(let text): "unexpected answer: \(text)"
    }
  }
}

/// What a node said about itself.
public struct NodeIdentity: Hashable, Sendable {
  /// The first word of `ROLE`: `master`, `slave` or `sentinel`.
  public var role: String
  /// `run_id` of `INFO server`.
  public var runID: String
  /// Replication offset in bytes.
  public var offset: UInt64
  /// `master_replid`: which history the offset counts; empty: not known.
  public var replicationID: String
  /// `master_replid2`: the history before the promotion; empty: not known.
  public var secondReplicationID: String
  /// `second_repl_offset`: the first byte that is not of that history; -1: there is none.
  public var secondOffset: Int64
  /// Of a replica: the master it is configured to follow.
  public var master: NodeAddress?
  /// Of a replica: whether its link to that master is up and in sync.
  public var isLinkedToMaster: Bool
  /// Of a master: replicas connected to it.
  public var replicaCount: Int

  /// Makes an identity.
  public init(
    role: String, runID: String, offset: UInt64 = 0, replicationID: String = "",
    secondReplicationID: String = "", secondOffset: Int64 = -1, master: NodeAddress? = nil,
    isLinkedToMaster: Bool = false, replicaCount: Int = 0
  ) {
    self.role = role
    self.runID = runID
    self.offset = offset
    self.replicationID = replicationID
    self.secondReplicationID = secondReplicationID
    self.secondOffset = secondOffset
    self.master = master
    self.isLinkedToMaster = isLinkedToMaster
    self.replicaCount = replicaCount
  }

  /// Whether `ROLE` said master.
  public var isMaster: Bool { role == "master" }
}
