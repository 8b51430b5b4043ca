// SPDX-License-Identifier: Apache-2.0

/// What shards are told about the master. Immutable; each change is a new value.
public struct MasterView: Sendable, Equatable {
  /// Whether the node of this generation may be used.
  public enum State: Sendable, Equatable {
    /// A verified master: use it. Provisional while a majority of sentinels still names another
    /// node that also says it is a master: no lock is granted then.
    case serving(isProvisional: Bool)
    /// No usable master now, but one can come: requests wait, bounded.
    case waiting(reason: String)
    /// No usable master, and no failover can come: requests fail fast with this reason.
    case hopeless(reason: String)
  }

  /// Rises with each new pair of address and run_id; 0 before the first.
  public var generation: UInt64
  /// The node of that generation; nil before the first.
  public var address: NodeAddress?
  /// The Redis process of that generation (`run_id` of `INFO server`).
  public var runID: String?
  /// Whether that node may be used.
  public var state: State
  /// While it stands, writes wait and reads go on; nil: none does.
  public var fence: Fence?
  /// Replicas that Sentinel may promote (priority above 0), those that are down included.
  public var replicaCount: Int
  /// Number of the failover under way, or of the last one (``FailoverTimeline/number``); 0: none yet.
  public var failoverNumber: UInt64

  /// Makes a view.
  public init(
    generation: UInt64, address: NodeAddress?, runID: String?, state: State, fence: Fence? = nil,
    replicaCount: Int = 0, failoverNumber: UInt64 = 0
  ) {
    self.generation = generation
    self.address = address
    self.runID = runID
    self.state = state
    self.fence = fence
    self.replicaCount = replicaCount
    self.failoverNumber = failoverNumber
  }

  /// What holds until the first master is verified.
  public static let initial = MasterView(
    generation: 0, address: nil, runID: nil,
    state: .waiting(reason: "no master is verified yet"))

  /// Whether no master can come, so that nobody should wait for one.
  public var isHopeless: Bool {
    switch state {
    case .hopeless: true
    case .serving, .waiting: false
    }
  }

  /// Whether requests may be sent to the node of this generation.
  public var isServing: Bool {
    switch state {
    case .serving: true
    case .waiting, .hopeless: false
    }
  }
}

/// Why writes wait although the master answers: what is written now might be lost in a switch.
public struct Fence: Sendable, Equatable {
  /// Rises with each fence of this daemon's life.
  public var number: UInt64
  /// In plain words, for the error of a request that waits too long.
  public var reason: String
  /// When it began, in milliseconds of the monotonic clock (``MasterTracker``'s `now`).
  public var sinceMilliseconds: Int64
  /// Writes whose replies came before this time (same clock) are on the replica that is to be
  /// promoted; `Int64.min` while nothing is known.
  public var coveredMilliseconds: Int64

  /// Makes a fence.
  public init(
    number: UInt64, reason: String, sinceMilliseconds: Int64, coveredMilliseconds: Int64 = .min
  ) {
    self.number = number
    self.reason = reason
    self.sinceMilliseconds = sinceMilliseconds
    self.coveredMilliseconds = coveredMilliseconds
  }
}
