// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions

/// What the I/O layer is asked to do.
public enum Action: Equatable, Sendable {
  /// Connect to Redis; answer with ``Shard/linkConnected(_:credentials:nowMilliseconds:)`` or
  /// ``Shard/linkClosed(_:event:nowMilliseconds:)``.
  case connect(LinkID, NodeAddress)
  /// Close a connection to Redis at once, with linger 0; nothing is told back.
  case closeLink(LinkID)
  /// Close a client's connection once its replies are written.
  case closeClient(ClientID)
  /// Close a client's connection at once.
  case abortClient(ClientID)
  /// Let a client send nothing more; what it has sent is still read, and then
  /// ``Shard/clientInputEnded(_:nowMilliseconds:)`` called.
  case endInput(ClientID)
  /// Stop or go on reading from a client.
  case setReading(ClientID, Bool)
  /// Tell the control plane what a link saw.
  case report(LinkReport)
  /// Deny these sessions in every other shard too, and across a restart.
  case deny(PendingDenial)
  /// Redis and a replica know that these are over.
  case allow(PendingDenial)
  /// Ask the host's queue of locks.
  case lock(HostAsk)
  /// Ask the operator's console.
  case console(HostAsk)
  /// Tell it of a lock that a framework's driver has taken, with its token and time.
  case driverLock(ClientID, Peer?, LockName, token: [UInt8], ttlMilliseconds: Int64)
  /// A driver has freed one.
  case driverFreed(LockName)
  /// Tell it what Redis said to a call of its own.
  case callAnswered(ticket: UInt64, RESPValue)
  /// A connection that has asked it is gone.
  case connectionGone(ClientID)
  /// And nothing of it can reach Redis any more.
  case connectionSettled(ClientID)
  /// Nothing of this process, which is gone, can reach Redis from this shard any more.
  case processSettled(UInt64)
  /// Something about clients belongs into the log.
  case note(ShardNote)
  /// Something in a native command belongs into the log.
  case sessionNote(SessionNote)
  /// Tell what requests have gone through so far in the failover of this number.
  case figures(UInt64, FailoverFigures)
}

/// Counts since the shard began, and how things stand.
public struct ShardStatistics: Sendable, Equatable {
  /// Clients connected now.
  public var clients = 0
  /// Clients that wait for a master or a connection now.
  public var waiting = 0
  /// Commands without a reply now.
  public var inFlight = 0
  /// Bytes of commands without a reply, and of unfinished ones.
  public var inFlightBytes = 0
  /// Bytes of replies that clients have not read.
  public var unreadBytes = 0
  /// Links ready now, spare ones included.
  public var linksReady = 0
  /// Commands taken.
  public var commands: UInt64 = 0
  /// Commands sent again after their link was lost or could not execute them.
  public var resent: UInt64 = 0
  /// Commands answered `UNCERTAIN`.
  public var uncertain: UInt64 = 0
  /// Commands answered `NOMASTER`.
  public var noMaster: UInt64 = 0
  /// Commands answered `OVERLOADED`.
  public var overloaded: UInt64 = 0
  /// Writes answered `UNREPLICATED`.
  public var unreplicated: UInt64 = 0
  /// Commands and connections refused by access rules.
  public var denied: UInt64 = 0
  /// Clients refused or cut off by limits.
  public var refusedClients: UInt64 = 0
  /// Longest wait of a request for a master so far, in milliseconds.
  public var longestWaitMilliseconds: Int64 = 0

  /// All zero.
  public init() {}

  /// Adds another shard's.
  public static func += (left: inout ShardStatistics, right: ShardStatistics) {
    left.clients += right.clients
    left.waiting += right.waiting
    left.inFlight += right.inFlight
    left.inFlightBytes += right.inFlightBytes
    left.unreadBytes += right.unreadBytes
    left.linksReady += right.linksReady
    left.commands += right.commands
    left.resent += right.resent
    left.uncertain += right.uncertain
    left.noMaster += right.noMaster
    left.overloaded += right.overloaded
    left.unreplicated += right.unreplicated
    left.denied += right.denied
    left.refusedClients += right.refusedClients
    left.longestWaitMilliseconds = max(left.longestWaitMilliseconds, right.longestWaitMilliseconds)
  }
}
