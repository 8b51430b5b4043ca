// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

/// Names one connection to Redis, or the attempt to make it.
public struct LinkID: Hashable, Sendable {
  /// Index of the link.
  public let slot: Int
  /// Which of its connections.
  public let connection: UInt32

  /// An id; only tests make their own.
  public init(slot: Int, connection: UInt32) {
    self.slot = slot
    self.connection = connection
  }
}

/// What a shared link speaks: clients with another database or protocol version use others.
struct LinkGroupKey: Hashable {
  let database: Int
  let version: RESPVersion
}

/// A command that waits to be sent again.
struct DeferredCommand {
  let due: DueReply
  let bytes: [UInt8]
  /// What Redis said instead of executing it.
  let refusal: [UInt8]?
  /// It may have been executed: once its predecessor connection cannot be ended, it is `UNCERTAIN`.
  var isUnknown: Bool
  let deadlineMilliseconds: Int64
  var retryMilliseconds: Int64
}

/// A place for a connection to the master, with its queue. The connection changes, the link stays.
final class Link {
  enum Purpose: Equatable {
    case shared(LinkGroupKey)
    case spare
    case leased(ClientID)
    /// Asks how far replication is (``Barrier``).
    case barrier
  }

  enum State: Equatable {
    case idle
    /// It connects, or waits until it may.
    case connecting
    case handshake
    case ready
  }

  let slot: Int
  var purpose: Purpose
  var connection: UInt32 = 0
  var state = State.idle
  var generation: UInt64 = 0
  var facts = LinkFacts()
  var handshake: LinkHandshake?
  /// What its connection speaks now.
  var prepared = LinkGroupKey(database: 0, version: .two)
  /// What it authenticated with; `RESET` asks for it again.
  var credentials: Credentials?
  /// Bytes of a handshake, not yet handed over.
  var greeting: [UInt8] = []

  var queue = InFlightQueue()
  var deferred: [DeferredCommand] = []
  var scanner: ReplyScanner
  /// Bytes of an unfinished reply.
  var input: [UInt8] = []
  var isOutputQueued = false
  var isWritable = true

  /// Connections that were given up and may still hold unread commands.
  var predecessors: [Int64?] = []
  var predecessorRunID: String?

  /// Whose command it carried last, and when it last carried one client's behind another's.
  var lastClient = ClientID.nobody
  var sharedMilliseconds = Int64.min / 2

  /// When the first unanswered command was sent, or the last reply came.
  var progressMilliseconds: Int64 = 0
  var connectMilliseconds: Int64 = 0
  var failureCount = 0

  init(slot: Int, purpose: Purpose, limits: ScanLimits) {
    self.slot = slot
    self.purpose = purpose
    scanner = ReplyScanner(limits: limits)
  }

  var id: LinkID { LinkID(slot: slot, connection: connection) }
  var isReady: Bool { state == .ready }

  /// Whether whoever comes now waits noticeably: behind many commands, or a large reply.
  var isBusy: Bool { queue.replyCount >= 64 || input.count >= 64 << 10 }

  var isShared: Bool {
    switch purpose {
    case .shared: true
    case .spare, .leased, .barrier: false
    }
  }

  /// How long to wait before the next attempt: 20 ms, doubled each time, at most a second.
  var backoffMilliseconds: Int64 {
    failureCount == 0 ? 0 : min(1_000, 20 << Int64(min(failureCount - 1, 6)))
  }

  /// Back to a place without a connection; the queue is left alone.
  func disconnect() {
    connection &+= 1
    state = .idle
    handshake = nil
    greeting = []
    input = []
    scanner.reset()
    isWritable = true
  }
}
