// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Failover
import RESP
import Sessions

/// The data path of one event loop, without I/O and without a clock: clients and links by name, bytes and
/// `now` in, bytes and ``Action`` out. Two runs with the same events give the same bytes.
///
/// Files: `+Clients` takes requests, `+Links` takes replies, `+Connections` makes links and gives them up, `+Replay`
/// walks the queue of a lost link, `+Deferred` has what waits to be sent again, `+Fairness` what one client may take,
/// `+Leases` the pinned connections, `+Local` what the daemon answers itself, `+Clock` all that time does.
public final class Shard {
  var configuration: ProxyConfiguration
  /// What native commands are read and run with.
  var sessionContext: SessionContext
  let table = CommandTable.standard
  let scriptLoad: CommandIndex?
  let configSet: CommandIndex?

  /// The master as the control plane sees it.
  public internal(set) var view = MasterView.initial
  var now: Int64 = 0

  var clients = SlotTable<Client>()
  var links: [Link?] = []
  /// Connections asked for so far: no two ever have the same id, whatever became of their place.
  var connectionCount: UInt32 = 0
  var groups: [LinkGroupKey: [Link]] = [:]
  /// Databases that Redis refused to select, in its words.
  var groupErrors: [LinkGroupKey: String] = [:]
  /// Spare links that are ready.
  var spares: [Link] = []
  var masterWaiters: [ClientID] = []
  var leaseWaiters: Deque<ClientID> = []
  /// Subscribers whose connection is lost and who wait for another one.
  var movers: [ClientID] = []
  /// Subscribers that have one again, not told of yet.
  var movedCount = 0
  var resumeQueue: [ClientID] = []
  var retryWaiters: [ClientID] = []
  /// Native commands that wait for a time, a master or the end of a fence.
  var nativeWaiters: [(ClientID, UInt64)] = []
  var random = SystemRandomNumberGenerator()
  /// Sessions that were ended, and that no replica has confirmed.
  var denials: Denials
  var denialRetries: [DenialRetry] = []
  var stewardID: ClientID?
  /// Refused locks of frameworks' drivers, in the order they were asked for.
  var driverQueues: [LockName: [DriverWait]] = [:]
  /// Owners of locks that are gone.
  var endings: [Ending] = []

  /// Whether writes wait (``MasterView/fence``).
  var isFenced = false
  /// Replies to writes that are not certain enough yet, the oldest first.
  var held: Deque<HeldReply> = []
  /// Replies held so far.
  var heldCount: UInt64 = 0
  var barrier = Barrier()
  var barrierLink: Link?
  /// Clients whose acknowledgements wait for replicas.
  var replicatedClients = 0
  var provisional = ProvisionalWrites()
  /// What requests go through in the failover under way, or went through in the last one.
  var figures = FailoverFigures()
  /// ``FailoverFigures/total`` when they were last told.
  var figuresTold = 0
  /// They as they were when all had been well for a while: what came later may be the first sign of
  /// the next failover.
  var quietFigures = FailoverFigures()
  var quietTotal = 0
  var quietSinceMilliseconds: Int64 = 0
  /// All failovers this daemon knows of, the oldest first; for `HOLDFAST.FAILOVERS`.
  public var reports: [FailoverReport] = []

  var inFlightCount = 0
  var inFlightBytes = 0
  var inputBytes = 0
  var outputBytes = 0
  var keyspaceEvents = KeyspaceEvents()
  var scripts = ScriptMemory()
  /// The generation whose process was given them.
  var scriptsGeneration: UInt64 = 0
  var isDraining = false
  /// What was carried so far.
  public var traffic: Traffic
  /// The clock of latencies, in microseconds; set by the I/O layer with each event.
  public var nowMicroseconds: Int64 = 0
  /// The class of the command that is being taken.
  var takenClass = TrafficClass.write
  /// A client's groups besides its own, asked of the kernel when a rule depends on them.
  public var groupsOf: (ClientID) -> [UInt32] = { _ in [] }
  /// What `INFO` says of the daemon's process.
  public var processFacts: () -> ProcessFacts = { ProcessFacts() }
  /// When the log was last told of something.
  var notedMilliseconds: [String: Int64] = [:]
  /// Whether the log was told that no connection can be leased.
  var isPoolExhausted = false
  /// Clients that are pushed every event of the daemon.
  var watchers: Set<ClientID> = []
  var groupsCheckedMilliseconds: Int64 = 0
  var counters = ShardStatistics()

  // For the I/O layer to carry out.
  var actions: [Action] = []
  var outputClients: [ClientID] = []
  var outputLinks: [Int] = []
  private var outputPool: [[UInt8]] = []

  // Reused storage.
  var scratch: [UInt8] = []
  var splitter: RequestScanner

  /// A shard without clients; links are made once there is a master.
  public init(configuration: ProxyConfiguration) {
    self.configuration = configuration
    sessionContext = SessionContext(configuration.sessions)
    denials = Denials(countMax: configuration.denialsMax)
    traffic = Traffic(commandCount: CommandTable.standard.specs.count)
    splitter = RequestScanner(limits: ScanLimits())
    scriptLoad = CommandTable.standard.find(named: "SCRIPT", "LOAD")
    configSet = CommandTable.standard.find(named: "CONFIG", "SET")
    scripts.countMax = configuration.scriptsMax
    scripts.bytesMax = configuration.scriptBytesMax
  }

  /// Counts, and how things stand.
  public var statistics: ShardStatistics {
    var result = counters
    result.clients = connectedCount
    result.inFlight = inFlightCount
    result.inFlightBytes = inFlightBytes + inputBytes
    result.unreadBytes = outputBytes
    result.linksReady = links.reduce(0) { $0 + ($1?.isReady == true ? 1 : 0) }
    result.waiting =
      masterWaiters.reduce(0) { $0 + (isWaitingForMaster($1) ? 1 : 0) }
      + leaseWaiters.reduce(0) { $0 + (clients[$1]?.block == .lease ? 1 : 0) }
    return result
  }

  /// Whether something waits that time decides soon: a reason to call ``tick(nowMilliseconds:)`` often.
  public var isRestless: Bool {
    !masterWaiters.isEmpty || !leaseWaiters.isEmpty || !retryWaiters.isEmpty || !held.isEmpty
      || !nativeWaiters.isEmpty || !endings.isEmpty || !movers.isEmpty
      || links.contains { link in link.map { $0.state != .ready || !$0.deferred.isEmpty } ?? false }
  }

  /// Whether ends of sessions are still to be made certain.
  public var isRetryingEnds: Bool { !denialRetries.isEmpty }

  /// Whether Redis has yet to answer something.
  public var isOwedReplies: Bool {
    inFlightCount > 0 || links.contains { $0?.queue.isEmpty == false }
  }

  func isWaitingForMaster(_ id: ClientID) -> Bool {
    clients[id].map { $0.block == .master || $0.block == .fence } ?? false
  }

  /// Whether there is anything for the I/O layer to do.
  public var hasWork: Bool {
    !actions.isEmpty || !outputClients.isEmpty || !outputLinks.isEmpty
  }

  /// Hands over what is to be done, in order, and forgets it.
  public func takeActions(_ carryOut: (Action) -> Void) {
    guard !actions.isEmpty else { return }
    var taken: [Action] = []
    swap(&taken, &actions)
    for action in taken { carryOut(action) }
    if actions.isEmpty {
      taken.removeAll(keepingCapacity: true)
      swap(&taken, &actions)
    }
  }

  /// Hands over replies, for each client that has any and can take them. The buffer may be kept; what is left of it is
  /// used again.
  public func takeClientOutput(_ write: (ClientID, inout [UInt8]) -> Void) {
    var taken: [ClientID] = []
    swap(&taken, &outputClients)
    for id in taken {
      guard let client = clients[id] else { continue }
      client.isOutputQueued = false
      // Before its end a client is written all that is left.
      guard client.isWritable || client.isClosed, !client.output.isEmpty else { continue }
      var bytes: [UInt8] = []
      swap(&bytes, &client.output)
      outputBytes -= bytes.count
      write(id, &bytes)
      recycle(&bytes)
    }
    if outputClients.isEmpty {
      taken.removeAll(keepingCapacity: true)
      swap(&taken, &outputClients)
    }
  }

  /// Hands over commands, for each link that has any and can take them.
  public func takeLinkOutput(_ write: (LinkID, UnsafeRawBufferPointer) -> Void) {
    var taken: [Int] = []
    swap(&taken, &outputLinks)
    for slot in taken {
      guard let link = links[slot] else { continue }
      link.isOutputQueued = false
      guard link.isWritable else { continue }
      switch link.state {
      case .handshake:
        link.greeting.withUnsafeBytes { write(link.id, $0) }
        link.greeting = []
      case .ready:
        guard link.queue.unsentBytes > 0 else { continue }
        link.queue.takeUnsent { write(link.id, $0) }
      case .idle, .connecting: continue
      }
    }
    if outputLinks.isEmpty {
      taken.removeAll(keepingCapacity: true)
      swap(&taken, &outputLinks)
    }
  }

  func queueOutput(_ client: Client) {
    guard !client.isOutputQueued else { return }
    client.isOutputQueued = true
    outputClients.append(client.id)
  }

  func queueOutput(_ link: Link) {
    guard !link.isOutputQueued else { return }
    link.isOutputQueued = true
    outputLinks.append(link.slot)
  }

  /// Gives a client without a buffer one that others have used before.
  func provideOutput(_ client: Client) {
    if client.output.capacity == 0, let buffer = outputPool.popLast() { client.output = buffer }
  }

  /// Idle clients hold no buffer; large ones are given back to the system.
  private func recycle(_ buffer: inout [UInt8]) {
    guard buffer.capacity > 0, buffer.capacity <= 64 << 10, outputPool.count < 64 else { return }
    buffer.removeAll(keepingCapacity: true)
    outputPool.append(buffer)
  }
}
