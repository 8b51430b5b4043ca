// SPDX-License-Identifier: Apache-2.0

/// What happens to a tracker.
public enum TrackerEvent: Sendable, Equatable {
  /// A sentinel answered.
  case sentinelPolled(SentinelPoll)
  /// A sentinel did not answer.
  case sentinelFailed(NodeAddress, ProbeFailure)
  /// The subscription to a sentinel stands: what it says from now on is heard.
  case subscribed(NodeAddress)
  /// A sentinel published an event.
  case announced(sentinel: NodeAddress, name: String, payload: String)
  /// A node answered a probe.
  case nodeProbed(NodeAddress, NodeIdentity)
  /// A node did not answer a probe.
  case nodeFailed(NodeAddress, ProbeFailure)
  /// A shard saw something on a link.
  case linkReported(LinkReport)
  /// Time has passed. Due every 5 ms in a failover, every 20 ms while urgent, else every 1.8 seconds at least.
  case tick
}

/// How often sentinels are polled and the master is probed.
public enum PollPace: Sendable, Equatable {
  /// All is well: about once in 1.7 seconds.
  case stable
  /// Something is going on: about ten times a second.
  case urgent
  /// A failover of the master goes on: its nodes are asked every few milliseconds.
  case failover
}

/// What a tracker wants done.
public enum TrackerAction: Sendable, Equatable {
  /// Ask this node for `INFO server`, `INFO replication` and `ROLE`. Exactly one `nodeProbed` or
  /// `nodeFailed` must follow, bounded by the probe timeout.
  case probe(NodeAddress)
  /// Poll every watched sentinel now.
  case pollSentinels
  /// Poll this one now, its list of replicas included.
  case pollSentinel(NodeAddress)
  /// From now on poll at this pace.
  case setPace(PollPace)
  /// Tell the shards.
  case publish(MasterView)
  /// Tell people.
  case note(TrackerNote)
  /// The record of a failover was begun, went on or ended. A few for each failover.
  case timeline(FailoverTimeline)
  /// The whole set of sentinels to poll and subscribe to.
  case watchSentinels([NodeAddress])
}

/// Decides which node is the master. Pure: reads no clock, does no I/O.
public protocol Tracker: Sendable {
  /// What the shards were last told.
  var view: MasterView { get }
  /// Everything known, for people.
  var status: TrackerStatus { get }
  /// Takes an event; `nowMilliseconds` is monotonic. Returns what is to be done, in order.
  mutating func handle(_ event: TrackerEvent, nowMilliseconds: Int64) -> [TrackerAction]
}

/// A snapshot of what a tracker knows.
public struct TrackerStatus: Sendable, Equatable {
  /// One watched sentinel.
  public struct Sentinel: Sendable, Equatable {
    /// Where it is watched.
    public var address: NodeAddress
    /// Its MYID, once known.
    public var id: String?
    /// Whether it answered the last poll.
    public var isReachable: Bool
    /// The master it names.
    public var master: NodeAddress?
    /// By which epoch.
    public var configEpoch: UInt64?

    /// Makes an entry.
    public init(
      address: NodeAddress, id: String?, isReachable: Bool, master: NodeAddress?,
      configEpoch: UInt64?
    ) {
      self.address = address
      self.id = id
      self.isReachable = isReachable
      self.master = master
      self.configEpoch = configEpoch
    }
  }

  /// What the shards were last told.
  public var view: MasterView
  /// The epoch by which the generation's node is master; 0 without sentinels.
  public var configEpoch: UInt64
  /// All watched sentinels; empty for a fixed node.
  public var sentinels: [Sentinel]
  /// Different sentinels (by MYID) that answered their last poll.
  public var sentinelsReachable: Int
  /// Different sentinels known, seeds that never answered included.
  public var sentinelsKnown: Int
  /// Replicas of the master as last reported.
  public var replicas: [ReplicaRecord]

  /// Makes a snapshot.
  public init(
    view: MasterView = .initial, configEpoch: UInt64 = 0, sentinels: [Sentinel] = [],
    sentinelsReachable: Int = 0, sentinelsKnown: Int = 0, replicas: [ReplicaRecord] = []
  ) {
    self.view = view
    self.configEpoch = configEpoch
    self.sentinels = sentinels
    self.sentinelsReachable = sentinelsReachable
    self.sentinelsKnown = sentinelsKnown
    self.replicas = replicas
  }
}
