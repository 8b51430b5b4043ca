// SPDX-License-Identifier: Apache-2.0

/// When a write is acknowledged.
public enum Durability: Sendable, Equatable {
  /// Replicas that must have a write.
  public enum Replicas: Sendable, Equatable {
    /// Every one that Sentinel may promote. With fewer, it may promote one that lacks the write.
    case all
    /// So many, whichever.
    case count(Int)
  }

  /// As soon as the master has executed it.
  case async
  /// When so many replicas have it; `UNREPLICATED` if they do not within the timeout.
  case replicated(Replicas, timeoutMilliseconds: Int64)

  /// Whether acknowledgements wait for replicas.
  var isReplicated: Bool {
    switch self {
    case .async: false
    case .replicated: true
    }
  }

  /// As `HOLDFAST.DURABILITY` takes and gives it.
  var text: String {
    switch self {
    case .async: "ASYNC"
    case .replicated(.all, let timeout): "REPLICATED REPLICAS ALL TIMEOUT \(timeout)"
    case .replicated(.count(let count), let timeout):
      "REPLICATED REPLICAS \(count) TIMEOUT \(timeout)"
    }
  }
}

/// A reply that has come and is not given to its client yet: what it acknowledges might still be lost.
struct HeldReply {
  /// What its client is waiting for.
  enum Purpose: Equatable {
    /// The acknowledgement of a write.
    case write
    /// `WAIT`: the answer is how many replicas there are.
    case wait
    /// A native command that asks whether any replica has what it wrote.
    case confirmation
  }

  let due: DueReply
  let purpose: Purpose
  /// The command, in case it must be sent again.
  let command: [UInt8]
  let reply: [UInt8]
  let generation: UInt64
  let arrivedMilliseconds: Int64
  /// Its place in the order of all that were held: a barrier covers those before it.
  let number: UInt64
  /// Replicas that must have it, and until when; nil: none need to.
  let replicas: Durability.Replicas?
  let deadlineMilliseconds: Int64
  /// Replicas that have it as far as is known.
  var replicasReached = -1
}

/// The question how far replication is: on a connection of its own, behind which all of a shard's writers gather.
///
/// A bare `WAIT` on a connection that wrote nothing says yes at once. A `PUBLISH` advances the replication offset
/// (Redis 7.0 `pubsub.c`, `publishCommand` forces its propagation), and with it what `WAIT` waits for.
struct Barrier {
  /// Held replies below this number are covered by the question under way.
  var coveredBelow: UInt64 = 0
  var isUnderWay = false
  /// `PUBLISH` failed: `WAIT` would say yes without having looked.
  var isVoid = false
  /// When the next question may be asked after one that could not be answered.
  var notBeforeMilliseconds: Int64 = 0
  /// How long Redis may wait for replicas before it says how many there are so far.
  static let sliceMilliseconds = 50
  static let channel = "holdfast:barrier"
}
