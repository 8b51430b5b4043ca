// SPDX-License-Identifier: Apache-2.0
import RESP

/// Names a client's connection.
public typealias ClientID = SlotID<Client>

extension SlotID<Client> {
  /// What the daemon sends on its own account belongs to no client.
  static var nobody: ClientID { ClientID(slot: Int32.max, serial: 0) }
}

/// One app's connection: what it has sent, what it is owed, and what it waits for.
///
/// Only ``Shard`` changes it; outside of this module it is a name.
public final class Client {
  /// Why a client's next command is not looked at yet.
  enum Block: Equatable {
    /// No verified master, or no link to it yet.
    case master
    /// Its next command writes, and a fence stands.
    case fence
    /// No connection to lease yet.
    case lease
    /// Its leased connection is being prepared: nothing may run in another database before that.
    case setup
    /// It has as much in flight as it may.
    case inFlight
    /// Commands of its own wait to be sent again.
    case deferred
    /// All its replies must have come before the next command.
    case settle
    /// The one command that is running must have been answered (`KEYS`).
    case reply
    /// What it asked of its subscriptions must have arrived.
    case marker
    /// Redis could not execute its command now: it is taken again a little later.
    case retry
    /// Its connection is lost, and what it is subscribed to is being asked for on another one.
    case moving
    /// It is closed once its replies have come and are written.
    case closing
  }

  /// How far a transaction is.
  enum Transaction: Equatable {
    case none
    case open
    /// `EXEC` or `DISCARD` was sent.
    case ending
    /// The connection it lived on is lost; nothing was executed. `EXEC` says so.
    case failed(isWatchBroken: Bool)
  }

  /// `CLIENT REPLY`.
  enum ReplyMode: Equatable {
    case on, off
    /// The next command is not answered.
    case skipNext
  }

  let id: ClientID
  let peer: Peer?
  let entrance: Entrance
  /// It has not given the password of its entrance yet.
  var isLocked: Bool
  /// Since when.
  var lockedMilliseconds: Int64
  let connectedMilliseconds: Int64
  var activeMilliseconds: Int64

  // What it sent.
  var scanner: RequestScanner
  /// Bytes not yet taken; the first request begins at `inputOffset`.
  var input: [UInt8] = []
  var inputOffset = 0
  var block: Block?
  /// Its wait has ended without a master: everything it has sent so far is answered so.
  var isFailingFast = false
  /// When its command is taken again (``Block/retry``).
  var retryMilliseconds: Int64 = 0
  /// The first command that had to wait and is not answered yet, and until when it is tried.
  var deadlinePosition: UInt64 = 0
  var deadlineMilliseconds: Int64 = 0
  /// The I/O layer was asked to close it.
  var isClosed = false
  var isReadPaused = false
  /// Whether its socket takes more replies; while it does not, no command is taken.
  var isWritable = true
  /// The I/O layer was asked to take nothing more from it.
  var isInputEnding = false
  /// All that it sent has come.
  var hasInputEnded = false
  /// Whether it is in the shard's list of clients to look at again.
  var isResumeQueued = false

  // What it is owed.
  var order = ReplyOrder()
  var output: [UInt8] = []
  var isOutputQueued = false
  var inFlightBytes = 0
  /// Its commands that wait to be sent again.
  var deferredCount = 0
  var replyMode = ReplyMode.on

  // Connection state, emulated.
  var version = RESPVersion.two
  var database: Int
  var name: [UInt8] = []
  var libraryName: [UInt8] = []
  var libraryVersion: [UInt8] = []

  var durability: Durability
  /// The generation that its last write went to; 0: it has written nothing.
  var writeGeneration: UInt64 = 0

  // Where its commands go.
  /// Which of its group's links. A client stays with one while it is owed replies, so that these keep their order.
  let linkChoice: Int
  /// Its shared link, once it has used one.
  var link: Link?
  var lease: LinkID?
  /// What Redis said when a connection was to be prepared for it, and could not be for now.
  var setupRefusal: String?
  var transaction = Transaction.none
  /// A queued command was refused: `EXEC` must not run the others.
  var isTransactionPoisoned = false
  /// A queued command writes.
  var isTransactionWriting = false
  var isWatching = false
  /// Its last `WATCH`.
  var watchPosition: UInt64 = 0
  /// What was watched is lost with its connection: the next transaction finds it changed.
  var isWatchBroken = false
  var isTracking = false
  /// A command that may wait for data is alone on its connection; when that wait is over (`Int64.max`: never).
  var isBlocking = false
  /// It would take what it waits for away.
  var isBlockingWrite = false
  var blockingDeadlineMilliseconds = Int64.max
  var subscriptions = Subscriptions()
  /// Its connection carries what it did not ask for one by one: messages, or `MONITOR`.
  var isStreaming = false
  var isMonitoring = false
  /// Until when another connection is waited for that continues its subscriptions; 0: none was lost.
  var moveDeadlineMilliseconds: Int64 = 0
  var keysScan: KeysScan?
  /// What it may do; nil: all but administration.
  var rule: AccessPolicy.Rule?
  /// Commands without a reply that it may have, and their bytes.
  var requestsMax: Int
  var bytesMax: Int
  /// Commands it has sent.
  var commandCount: UInt64 = 0
  /// It has asked the queue of locks for something.
  var hasLocks = false
  /// The daemon itself, for native commands of its own.
  var isSteward = false
  /// Its native commands that are not answered, by their position.
  var natives = NativeRuns()
  /// Its next command is a native one: what it waits for is the link of those.
  var isAwaitingNative = false
  /// Where its unanswered native commands are, if its last command was one.
  var nativeLink: Link?

  init(
    id: ClientID, peer: Peer?, entrance: Entrance, configuration: ProxyConfiguration,
    nowMilliseconds: Int64
  ) {
    self.id = id
    self.peer = peer
    self.entrance = entrance
    isLocked = configuration.guarded.contains(entrance)
    lockedMilliseconds = nowMilliseconds
    connectedMilliseconds = nowMilliseconds
    activeMilliseconds = nowMilliseconds
    scanner = RequestScanner(
      limits: isLocked ? Shard.lockedLimits : configuration.requestLimits)
    database = configuration.database
    durability = configuration.durability
    requestsMax = configuration.inFlightPerClientMax
    bytesMax = configuration.inFlightBytesPerClientMax
    linkChoice = Int(id.slot) + Int(id.serial)
  }

  var inputCount: Int { input.count - inputOffset }

  /// Replies that its socket has not taken.
  var unreadBytes: Int { output.count + order.heldBytes }

  /// What a connection must speak to carry its commands.
  var group: LinkGroupKey { LinkGroupKey(database: database, version: version) }

  /// Whether it needs its leased connection no longer.
  var isLeaseOver: Bool {
    transaction == .none && !isWatching && !isTracking && !isStreaming && order.isSettled
  }

  /// Drops the first `count` bytes of the input.
  func consumeInput(_ count: Int) {
    inputOffset += count
    if inputOffset == input.count {
      input.removeAll(keepingCapacity: input.capacity <= 16 << 10)
      inputOffset = 0
    } else if inputOffset > 64 << 10 && inputOffset > input.count / 2 {
      input.removeFirst(inputOffset)
      inputOffset = 0
    }
  }

  /// Puts a command back before all other input, to be taken again.
  func unread(_ command: [UInt8]) {
    input.replaceSubrange(0..<inputOffset, with: command)
    inputOffset = 0
    scanner.reset()
  }
}

/// `KEYS`, answered through `SCAN`: what was found so far.
struct KeysScan {
  let position: UInt64
  let pattern: [UInt8]
  /// The client asked for no reply (`CLIENT REPLY OFF`).
  let isSilent: Bool
  var keys: Set<[UInt8]> = []
}
