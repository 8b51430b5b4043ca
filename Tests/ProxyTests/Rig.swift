// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions
import Testing

@testable import Proxy

/// An app's connection.
final class FakeClient {
  let id: ClientID
  var received: [UInt8] = []
  var isClosed = false
  var wasAborted = false
  var isReading = true
  private var taken = 0

  init(id: ClientID) {
    self.id = id
  }

  /// Replies since the last call, as short texts: `+OK`, `:1`, `-ERR …`, `a`, `nil`, `[a b]`, `>[a b]`.
  func replies() -> [String] {
    var texts: [String] = []
    received.withUnsafeBytes { bytes in
      while let (value, byteCount) = try? RESPValue.parse(bytes, from: taken, limits: ScanLimits())
      {
        texts.append(FakeClient.text(value))
        taken += byteCount
      }
    }
    return texts
  }

  /// Whether all that was received is whole replies that were taken.
  var isAtFrameEnd: Bool { taken == received.count }

  static func text(_ value: RESPValue) -> String {
    switch value {
    case .simple(let text): "+\(text)"
    case .error(let text): "-\(text)"
    case .integer(let number): ":\(number)"
    case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
    case .null: "nil"
    case .push: ">[\((value.elements ?? []).map { text($0) }.joined(separator: " "))]"
    case .array, .set, .map: "[\((value.elements ?? []).map { text($0) }.joined(separator: " "))]"
    case .double(let number): "\(number)"
    case .boolean(let value): "\(value)"
    case .bigNumber(let digits): digits
    case .verbatim(_, let bytes): String(decoding: bytes, as: UTF8.self)
    }
  }
}

/// The I/O layer of a shard, in memory and with a clock that stands still unless it is moved.
final class Rig {
  let shard: Shard
  var now: Int64 = 10_000
  var masters: [Int: FakeMaster] = [:]
  var connections: [LinkID: FakeConnection] = [:]
  var clients: [ClientID: FakeClient] = [:]
  var reports: [LinkEvent] = []
  /// What other shards would be told to deny.
  var denied: [PendingDenial] = []
  var notes: [SessionNote] = []
  /// What the queue of locks would be asked and told.
  var asks: [HostAsk] = []
  var shardNotes: [ShardNote] = []
  var callAnswers: [(UInt64, String)] = []
  var endings: [Action] = []
  /// Told what links see.
  var onReport: ((LinkReport) -> Void)?
  /// Whether a node accepts connections, by its port.
  var isReachable: (Int) -> Bool = { _ in true }
  /// Commands handed to connections of another generation than the present one.
  var staleSends = 0
  var book = FailoverBook()
  var failoverNumber: UInt64 = 0
  var credentials: Credentials?
  /// Connections are refused.
  var isRefusing = false
  /// Connections are attempted, without an outcome.
  var isConnectHeld = false
  var heldConnects: [(LinkID, NodeAddress)] = []
  var connectCount = 0
  /// Every id that was ever given to a connection.
  var usedLinkIDs: Set<LinkID> = []
  private var generation: UInt64 = 0

  init(_ change: (inout ProxyConfiguration) -> Void = { _ in }) {
    var configuration = ProxyConfiguration()
    configuration.linksPerGroup = 1
    configuration.sparesMax = 1
    change(&configuration)
    shard = Shard(configuration: configuration)
  }

  /// A rig whose shard has a verified master and ready links.
  static func serving(
    _ master: FakeMaster = FakeMaster(), _ change: (inout ProxyConfiguration) -> Void = { _ in }
  ) -> Rig {
    let rig = Rig(change)
    rig.serve(master)
    return rig
  }

  // MARK: Control plane

  /// A master is verified: another generation.
  func serve(_ master: FakeMaster, isPumping: Bool = true) {
    generation += 1
    masters[master.port] = master
    announce(.serving(isProvisional: false), master)
    if isPumping { pump() }
  }

  func announce(_ state: MasterView.State, _ master: FakeMaster? = nil, fence: Fence? = nil) {
    let address = master.map { NodeAddress(host: "127.0.0.1", port: $0.port) }
    shard.masterChanged(
      MasterView(
        generation: generation, address: address ?? shard.view.address,
        runID: master?.runID ?? shard.view.runID, state: state, fence: fence, replicaCount: 2,
        failoverNumber: failoverNumber),
      nowMilliseconds: now)
  }

  /// A failover may be replacing the master: writes wait.
  func fence(coveredMilliseconds: Int64 = .min) {
    announce(
      .serving(isProvisional: false),
      fence: Fence(
        number: 1, reason: "a failover", sinceMilliseconds: now,
        coveredMilliseconds: coveredMilliseconds))
    pump()
  }

  /// It was given up.
  func liftFence() {
    announce(.serving(isProvisional: false))
    pump()
  }

  // MARK: Clients

  func connect(_ peer: Peer? = nil, _ entrance: Entrance = .socket) -> FakeClient {
    let client = FakeClient(
      id: shard.clientConnected(peer: peer, entrance: entrance, nowMilliseconds: now))
    clients[client.id] = client
    return client
  }

  /// Sends commands, one a line, words divided by spaces; then everything happens that can.
  @discardableResult func send(_ client: FakeClient, _ lines: String...) -> [String] {
    push(client, Rig.bytes(lines))
    pump()
    return client.replies()
  }

  /// Sends commands and lets nothing else happen.
  func push(_ client: FakeClient, _ lines: String...) { push(client, Rig.bytes(lines)) }

  func push(_ client: FakeClient, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { shard.clientReceived(client.id, $0, nowMilliseconds: now) }
  }

  static func bytes(_ lines: [String]) -> [UInt8] {
    var bytes: [UInt8] = []
    for line in lines {
      bytes.writeCommand(line.split(separator: " ").map { $0 == "''" ? "" : String($0) })
    }
    return bytes
  }

  func leave(_ client: FakeClient) {
    guard clients.removeValue(forKey: client.id) != nil else { return }
    shard.clientClosed(client.id, nowMilliseconds: now)
  }

  // MARK: Links

  /// The process ends its connections, or the network does.
  func drop(_ connection: FakeConnection, event: LinkEvent = .closed) {
    guard let id = connections.first(where: { $0.value === connection })?.key else { return }
    connections[id] = nil
    shard.linkClosed(id, event: event, nowMilliseconds: now)
  }

  /// All connections to a master are reset; what they had sent is lost with them.
  func cut(_ master: FakeMaster) {
    for connection in master.readyConnections {
      connection.end()
      drop(connection)
    }
  }

  func open(_ id: LinkID, _ address: NodeAddress) {
    connectCount += 1
    #expect(usedLinkIDs.insert(id).inserted, "a link id is used for one connection only")
    guard !isRefusing, isReachable(address.port), let master = masters[address.port] else {
      return shard.linkClosed(id, event: .connectFailed, nowMilliseconds: now)
    }
    connections[id] = master.accept()
    shard.linkConnected(id, credentials: credentials, nowMilliseconds: now)
  }

  /// The shared link's connection, in a rig that has one.
  func shared(_ master: FakeMaster) -> FakeConnection? {
    shard.links.lazy.compactMap { $0 }.first {
      if case .shared = $0.purpose { true } else { false }
    }.flatMap { connections[$0.id] }
  }

  // MARK: Turns

  /// One turn of the event loop.
  func endTurn() {
    shard.takeClientOutput { id, bytes in clients[id]?.received.append(contentsOf: bytes) }
    shard.takeLinkOutput { id, bytes in
      if shard.link(id)?.generation != shard.view.generation { staleSends += 1 }
      connections[id]?.inbox.append(contentsOf: bytes)
    }
    shard.takeActions { carryOut($0) }
  }

  private func carryOut(_ action: Action) {
    switch action {
    case .connect(let id, let address):
      if isConnectHeld { heldConnects.append((id, address)) } else { open(id, address) }
    case .closeLink(let id): connections.removeValue(forKey: id)?.isAbandoned = true
    case .closeClient(let id), .abortClient(let id):
      guard let client = clients[id] else { return }
      client.isClosed = true
      if case .abortClient = action { client.wasAborted = true }
      leave(client)
    case .endInput(let id): shard.clientInputEnded(id, nowMilliseconds: now)
    case .setReading(let id, let isReading): clients[id]?.isReading = isReading
    case .deny(let denial): denied.append(denial)
    case .allow(let denial): denied.removeAll { $0 == denial }
    case .lock(let ask), .console(let ask): asks.append(ask)
    case .note(let note): shardNotes.append(note)
    case .driverLock, .driverFreed: endings.append(action)
    case .callAnswered(let ticket, let reply): callAnswers.append((ticket, FakeClient.text(reply)))
    case .connectionGone, .connectionSettled, .processSettled: endings.append(action)
    case .sessionNote(let note): notes.append(note)
    case .report(let report):
      reports.append(report.event)
      onReport?(report)
    case .figures(let number, let figures): book.record(figures, shard: 0, failover: number)
    }
  }

  /// What a connection has to say arrives, up to so many bytes.
  func deliver(_ id: LinkID, _ connection: FakeConnection, limit: Int = .max) {
    let bytes = Array(connection.outbox.prefix(limit))
    connection.outbox.removeFirst(bytes.count)
    bytes.withUnsafeBytes { shard.linkReceived(id, $0, nowMilliseconds: now) }
  }

  var sortedConnections: [(LinkID, FakeConnection)] {
    connections.sorted { ($0.key.slot, $0.key.connection) < ($1.key.slot, $1.key.connection) }
      .map { ($0.key, $0.value) }
  }

  /// Lets everything happen that needs no time.
  func pump() {
    for _ in 0..<10_000 {
      endTurn()
      var hasMoved = false
      for (id, connection) in sortedConnections where connections[id] === connection {
        if connection.run() > 0 { hasMoved = true }
      }
      for (_, master) in masters.sorted(by: { $0.key < $1.key }) {
        for zombie in master.readyConnections where zombie.isAbandoned { zombie.run() }
      }
      for (id, connection) in sortedConnections where connections[id] === connection {
        if !connection.outbox.isEmpty, !connection.master.isHoldingReplies {
          deliver(id, connection)
          hasMoved = true
        }
        if connection.isGone {
          drop(connection)
          hasMoved = true
        }
      }
      if !hasMoved && !shard.hasWork { return }
    }
    Issue.record("the shard never comes to rest")
  }

  /// Time passes in steps of the shard's own clock.
  func advance(_ milliseconds: Int64, step: Int64 = 20) {
    let end = now + milliseconds
    while now < end {
      now = min(end, now + step)
      shard.tick(nowMilliseconds: now)
      pump()
    }
  }

  /// Nothing is held for anyone.
  func expectNothingHeld(_ comment: Comment = "", sourceLocation: SourceLocation = #_sourceLocation)
  {
    #expect(shard.inFlightCount == 0, comment, sourceLocation: sourceLocation)
    #expect(shard.inFlightBytes == 0, comment, sourceLocation: sourceLocation)
    let input = shard.clients.all.reduce(0) { $0 + $1.inputCount }
    #expect(shard.inputBytes == input, comment, sourceLocation: sourceLocation)
    for client in shard.clients.all {
      #expect(client.deferredCount == 0, comment, sourceLocation: sourceLocation)
      #expect(client.inFlightBytes == 0, comment, sourceLocation: sourceLocation)
      #expect(client.order.isSettled, comment, sourceLocation: sourceLocation)
    }
  }
}
