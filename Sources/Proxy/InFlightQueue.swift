// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// What a reply from Redis is for.
enum EntryKind: UInt8, Sendable {
  /// It goes to the client.
  case client
  /// The daemon's own question; the answer is dropped.
  case own
  /// `CLIENT KILL` of the daemon's, which a client's next commands wait for.
  case kill
  /// The call of a native command: its answer is for the operation, not for the client.
  case native
  /// `SET NX PX` by which a framework's driver takes a lock.
  case driverLock
  /// What may free one.
  case driverRelease
  /// A step of `KEYS`, answered through `SCAN`.
  case keysScan
  /// `SCRIPT LOAD` by a client: its answer names the script.
  case scriptLoad
  /// Prepares a leased connection for its client; an error ends the lease.
  case setup
  /// `MULTI`: an error means that no transaction began.
  case transactionBegin
  /// `EXEC` or `DISCARD`: the transaction is over.
  case transactionEnd
  /// `UNWATCH`: nothing is watched any more.
  case unwatch
  /// `CLIENT TRACKING`: its answer says whether it is on.
  case tracking
  /// The daemon's `PING` behind a subscription command: all that came before it has arrived.
  case marker
  /// The subscriptions of a client whose connection was lost, asked for again, with a marker behind.
  case move
  /// `CONFIG SET notify-keyspace-events` by a client.
  case configSet
  /// The daemon's `CONFIG GET notify-keyspace-events`.
  case keyspaceEvents
  /// The daemon's `PUBLISH` before a `WAIT`, which moves what that one waits for.
  case barrierMark
  /// The daemon's `WAIT`: how many replicas have what came before.
  case barrier

  /// Whether the reply takes a position in the client's order.
  var hasPosition: Bool {
    switch self {
    case .client, .native, .driverLock, .driverRelease, .kill, .scriptLoad, .configSet,
      .transactionBegin, .transactionEnd, .unwatch, .tracking:
      true
    case .own, .keysScan, .marker, .move, .keyspaceEvents, .setup, .barrierMark, .barrier: false
    }
  }
}

/// Adjacent commands of one client whose replies are due.
struct InFlightEntry {
  var client: SlotID<Client>
  /// Position of the first command in the client's order.
  var position: UInt64
  var byteCount: Int
  var count: UInt32
  var answered: UInt32
  var kind: EntryKind
  /// The client asked for no reply (`CLIENT REPLY OFF`).
  var isSilent: Bool
  /// What its latency is counted as, and since when; nil: it is not.
  var traffic: TrafficClass?
  var sentMicroseconds: Int64 = 0
}

/// Whom the next reply of a link is for.
struct DueReply {
  let client: SlotID<Client>
  let position: UInt64
  let kind: EntryKind
  let isSilent: Bool
  /// Bytes that are no longer retained.
  let releasedBytes: Int
  /// What its latency is counted as, and since when; nil: it is not.
  var traffic: TrafficClass?
  var sentMicroseconds: Int64 = 0

  /// Whether the client gets to see the reply.
  var isSeen: Bool { !isSilent && kind != .kill }
}

/// A link's retransmission queue: bytes stay until their reply has come.
struct InFlightQueue {
  private(set) var bytes: [UInt8] = []
  private(set) var entries: Deque<InFlightEntry> = []
  /// Where the first entry's bytes begin.
  private(set) var firstOffset = 0
  /// Bytes before this were handed to the connection.
  private(set) var sentOffset = 0
  /// Replies due.
  private(set) var replyCount = 0
  /// Replies that have come.
  private(set) var answeredCount: UInt64 = 0
  /// What that will be when all that is due now has come.
  var countAtEnd: UInt64 { answeredCount + UInt64(replyCount) }

  /// A large buffer is given back once it is empty.
  private static let capacityKept = 256 << 10
  private static let compactAbove = 64 << 10

  var isEmpty: Bool { entries.isEmpty }
  var retainedBytes: Int { bytes.count - firstOffset }
  var unsentBytes: Int { bytes.count - sentOffset }

  /// Adds one command. Commands of one client and kind that follow each other share an entry, unless each is
  /// looked at again when its reply comes (`isSingle`).
  mutating func append(
    _ command: UnsafeRawBufferPointer, client: SlotID<Client>, position: UInt64, kind: EntryKind,
    isSilent: Bool = false, isSingle: Bool = false, traffic: TrafficClass? = nil,
    nowMicroseconds: Int64 = 0
  ) {
    bytes.append(contentsOf: command)
    replyCount += 1
    if kind == .client, !isSingle, let last = entries.indices.last,
      entries[last].client == client, entries[last].kind == .client, entries[last].count < 512,
      entries[last].isSilent == isSilent, entries[last].traffic == traffic,
      entries[last].sentMicroseconds == nowMicroseconds,
      entries[last].position + UInt64(entries[last].count) == position
    {
      entries[last].count += 1
      entries[last].byteCount += command.count
      return
    }
    entries.append(
      InFlightEntry(
        client: client, position: position, byteCount: command.count, count: 1, answered: 0,
        kind: kind, isSilent: isSilent, traffic: traffic, sentMicroseconds: nowMicroseconds))
  }

  /// Hands over what was not sent yet.
  mutating func takeUnsent(_ send: (UnsafeRawBufferPointer) -> Void) {
    bytes.withUnsafeBytes { send(UnsafeRawBufferPointer(rebasing: $0[sentOffset...])) }
    sentOffset = bytes.count
  }

  /// The entry the next reply is for; counts that reply as come.
  mutating func takeReply() -> DueReply? {
    guard let first = entries.first else { return nil }
    replyCount -= 1
    answeredCount += 1
    let isLast = first.answered + 1 == first.count
    if isLast {
      entries.removeFirst()
      firstOffset += first.byteCount
      releaseAnswered()
    } else {
      entries[entries.startIndex].answered += 1
    }
    return DueReply(
      client: first.client, position: first.position + UInt64(first.answered), kind: first.kind,
      isSilent: first.isSilent, releasedBytes: isLast ? first.byteCount : 0,
      traffic: first.traffic, sentMicroseconds: first.sentMicroseconds)
  }

  /// Bytes of the first entry, for a look at the command that is being answered.
  func firstEntryBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result? {
    guard let first = entries.first else { return nil }
    return bytes.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[firstOffset..<firstOffset + first.byteCount]))
    }
  }

  /// Empties the queue, as when its link is given up.
  mutating func removeAll() {
    self = InFlightQueue()
  }

  private mutating func releaseAnswered() {
    if firstOffset == bytes.count {
      bytes.removeAll(keepingCapacity: bytes.capacity <= Self.capacityKept)
      sentOffset = 0
      firstOffset = 0
    } else if firstOffset > Self.compactAbove && firstOffset > bytes.count / 2 {
      bytes.removeFirst(firstOffset)
      sentOffset -= firstOffset
      firstOffset = 0
    }
  }
}
