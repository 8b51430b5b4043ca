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

  /// Makes a view.
  public init(generation: UInt64, address: NodeAddress?, runID: String?, state: State) {
    self.generation = generation
    self.address = address
    self.runID = runID
    self.state = state
  }

  /// What holds until the first master is verified.
  public static let initial = MasterView(
    generation: 0, address: nil, runID: nil,
    state: .waiting(reason: "no master is verified yet"))

  /// Whether requests may be sent to the node of this generation.
  public var isServing: Bool {
    switch state {
    case .serving: true
    case .waiting, .hopeless: false
    }
  }
}
