// SPDX-License-Identifier: Apache-2.0

/// What happened when in one failover. Times are in milliseconds of the monotonic clock; nil: it did
/// not happen, or was not seen.
public struct FailoverTimeline: Sendable, Equatable {
  /// What made the master change.
  public enum Kind: String, Sendable, Equatable {
    /// Commanded (`SENTINEL FAILOVER`).
    case planned
    /// A quorum took the master for down.
    case crash
    /// The master's process was restarted at the same address.
    case restart
    /// The switch was noticed, its cause was not.
    case unknown
  }

  /// How it ended.
  public enum Outcome: String, Sendable, Equatable {
    /// It has not ended.
    case underway
    /// Another node (or process) is master.
    case switched
    /// The old master stayed.
    case aborted
    /// A promotion that was followed early was not completed: its writes are lost.
    case abandoned
  }

  /// Rises with each failover of this daemon's life.
  public var number: UInt64
  /// What made the master change.
  public var kind: Kind
  /// The master before.
  public var oldAddress: NodeAddress
  /// The master after; nil until the switch.
  public var newAddress: NodeAddress?
  /// The generation before.
  public var oldGeneration: UInt64
  /// The generation after; nil until the switch.
  public var newGeneration: UInt64?
  /// The epoch by which the new master is named; nil until a sentinel named it.
  public var epoch: UInt64?

  /// The first failed link, `+sdown`, `+odown` or `+try-failover`, whichever came first.
  public var firstSignMilliseconds: Int64?
  /// The first `+odown`.
  public var objectivelyDownMilliseconds: Int64?
  /// Writes began to wait.
  public var fencedMilliseconds: Int64?
  /// The leader chose a replica.
  public var selectedMilliseconds: Int64?
  /// The chosen replica said that it is master.
  public var promotionSeenMilliseconds: Int64?
  /// The shards were told of the new master.
  public var cutOverMilliseconds: Int64?
  /// A sentinel named the new master.
  public var confirmedMilliseconds: Int64?
  /// It was over: a majority follows, or the old master stays.
  public var endedMilliseconds: Int64?

  /// How it ended.
  public var outcome: Outcome
  /// What made the switch, in plain words.
  public var evidence: String
  /// How far the old master's last known offset lies beyond what the new one has of its history;
  /// nil when that is not known. Writes after the last probe of the old master are not in it.
  public var possiblyLostBytes: Int64?

  /// A failover of which only the beginning is known.
  public init(number: UInt64, kind: Kind, oldAddress: NodeAddress, oldGeneration: UInt64) {
    self.number = number
    self.kind = kind
    self.oldAddress = oldAddress
    self.oldGeneration = oldGeneration
    outcome = .underway
    evidence = ""
  }
}
