// SPDX-License-Identifier: Apache-2.0

/// Whether a promoted replica is used before a sentinel names it.
///
/// It saves about a second of each failover. If the leading sentinel dies within that second, the
/// others may name the old master further on, and what was written meanwhile is lost.
public enum EarlyCutOver: String, Sendable, Equatable {
  /// A sentinel's word is always waited for.
  case never
  /// Only where a quorum took the old master for down.
  case crash
  /// Also in a failover that was commanded.
  case always
}

/// What a `MasterTracker` starts from. Times are in milliseconds.
public struct TrackerConfiguration: Sendable {
  /// The name under which the sentinels monitor the master.
  public var masterName: String
  /// The first sentinels to ask; never dropped.
  public var seeds: [NodeAddress]
  /// Sentinels watched at most, seeds included (seeds are always watched).
  public var sentinelsMax = 32
  /// Between probes of the master while all is well.
  public var probeMilliseconds: Int64 = 1500
  /// Between probes of a node that is awaited or suspect.
  public var urgentProbeMilliseconds: Int64 = 100
  /// How long polling stays urgent after an event.
  public var urgentMilliseconds: Int64 = 3000
  /// How long a majority must agree on a lower epoch, over two polls, before it is believed.
  public var resetMilliseconds: Int64 = 3000
  /// How long "no failover can come" must hold before it is said.
  public var hopelessAfterMilliseconds: Int64 = 1500
  /// At the start, how long to wait for other sentinels after the first answer.
  public var settleMilliseconds: Int64 = 200
  /// A silent sentinel may have moved after this: an address that others list for it is tried.
  public var movedMilliseconds: Int64 = 30_000
  /// A discovered sentinel that answers nobody and that nobody lists is forgotten after this.
  public var forgetMilliseconds: Int64 = 60_000
  /// Whether a promoted replica is used before a sentinel names it.
  public var earlyCutOver = EarlyCutOver.always
  /// How long such a replica takes writes without a sentinel's word.
  public var provisionalMilliseconds: Int64 = 3000
  /// How long a failover's leader that cannot be reached is waited for.
  public var waitMilliseconds: Int64 = 15_000

  /// The defaults, for this master and these seeds.
  public init(masterName: String, seeds: [NodeAddress]) {
    self.masterName = masterName
    self.seeds = seeds
  }
}
