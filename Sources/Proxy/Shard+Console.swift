// SPDX-License-Identifier: Apache-2.0
import RESP
import Sessions

// Operators: their commands are answered by the host's console, and they may watch its events.
extension Shard {
  /// Hands an operator's command to the console. False: it must wait until all before it is answered.
  func takeConsole(_ client: Client, _ arguments: RequestArguments) -> Bool {
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    actions.append(.console(ask(client, arguments)))
    return true
  }

  /// `CLIENT LIST`: the connections of the client's own user; of all for administrators. The host knows those of other
  /// shards. False: it must wait.
  func takeClientList(_ client: Client, _ arguments: RequestArguments) -> Bool {
    let mayAll = configuration.access.map { isAdministrator(client, $0) } ?? true
    var filter = ClientFilter(uid: mayAll ? nil : client.peer?.uid ?? .max)
    if let complaint = filter.read(arguments) {
      reply(client) { $0 += complaint }
      return true
    }
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    var question = ask(client, arguments)
    question.arguments = ["CLIENT", "LIST", filter.text].map { Array($0.utf8) }
    actions.append(.console(question))
    return true
  }

  /// A line for each connection as `CLIENT LIST` has it.
  public func clientLines(_ filter: ClientFilter) -> String {
    clients.all.filter { client in
      !client.isSteward
        && filter.fits(
          uid: client.peer?.uid, number: clientNumber(client),
          isSubscribed: !client.subscriptions.isEmpty)
    }.map { clientLine($0) }.joined()
  }

  /// From now on a client is pushed events (RESP3 only), or no longer.
  public func setWatching(_ id: ClientID, _ isWatching: Bool) {
    guard let client = clients[id], client.version == .three else { return }
    if isWatching { watchers.insert(id) } else { watchers.remove(id) }
  }

  /// Gives a push to all clients that watch; one that does not read is cut off, as for any reply.
  public func pushEvent(_ event: RESPValue, nowMilliseconds: Int64) {
    guard !watchers.isEmpty else { return }
    now = nowMilliseconds
    var frame: [UInt8] = []
    frame.write(event, .three)
    for id in watchers {
      guard let client = clients[id], client.version == .three, !client.isClosed else { continue }
      provideOutput(client)
      client.output += frame
      outputBytes += frame.count
      queueOutput(client)
      limitOutput(client)
    }
  }

  /// Settings that may change while clients are connected take effect with their next commands.
  public func reconfigure(_ configuration: ProxyConfiguration) {
    let former = self.configuration.durability
    self.configuration = configuration
    sessionContext = SessionContext(configuration.sessions)
    let needsGroups = configuration.access?.needsGroups ?? false
    for client in clients.all where !client.isSteward {
      bind(client, groups: needsGroups ? groupsOf(client.id) : [])
    }
    guard configuration.durability != former else { return }
    for client in clients.all where client.durability == former {
      setDurability(client, configuration.durability)
    }
  }

  /// Every connection, for operators.
  public var connections: [ConnectionView] {
    clients.all.filter { !$0.isSteward }.map { client in
      ConnectionView(
        peer: client.peer, name: String(decoding: client.name, as: UTF8.self),
        library: String(decoding: client.libraryName, as: UTF8.self), database: client.database,
        version: client.version, connectedMilliseconds: now - client.connectedMilliseconds,
        idleMilliseconds: now - client.activeMilliseconds, commands: client.commandCount,
        outstanding: client.order.outstanding, isWaiting: isWaitingForMaster(client.id))
    }
  }

  /// Every connection to Redis, for operators.
  public var upstreams: [UpstreamView] {
    links.compactMap { link in
      guard let link else { return nil }
      let use =
        switch link.purpose {
        case .shared(let key): "shared db \(key.database) RESP\(key.version.rawValue)"
        case .spare: "spare"
        case .leased: "leased"
        case .barrier: "barrier"
        }
      let state =
        switch link.state {
        case .idle: "idle"
        case .connecting: "connecting"
        case .handshake: "handshake"
        case .ready: "ready"
        }
      return UpstreamView(
        use: use, state: state, generation: link.generation, inFlight: link.queue.replyCount,
        deferred: link.deferred.count)
    }
  }
}

/// A client's connection as the operator sees it.
public struct ConnectionView: Sendable, Equatable {
  /// The process at its other end.
  public let peer: Peer?
  /// As set by `CLIENT SETNAME`.
  public let name: String
  /// As set by `CLIENT SETINFO`.
  public let library: String
  /// The database selected.
  public let database: Int
  /// What it speaks.
  public let version: RESPVersion
  /// How long ago it connected, in milliseconds.
  public let connectedMilliseconds: Int64
  /// How long ago it sent something, in milliseconds.
  public let idleMilliseconds: Int64
  /// Commands it has sent.
  public let commands: UInt64
  /// Commands without a reply.
  public let outstanding: Int
  /// Whether it waits for a master.
  public let isWaiting: Bool
}

/// A connection to Redis as the operator sees it.
public struct UpstreamView: Sendable, Equatable {
  /// What it is for.
  public let use: String
  /// How far it is.
  public let state: String
  /// The generation of the master it leads to.
  public let generation: UInt64
  /// Commands without a reply.
  public let inFlight: Int
  /// Commands that wait to be sent again.
  public let deferred: Int
}

/// The daemon's process, for `INFO`.
public struct ProcessFacts: Sendable, Equatable {
  /// Its id.
  public var id: Int32 = 0
  /// How long it runs, in seconds.
  public var uptimeSeconds: Int64 = 0
  /// Its memory, in bytes.
  public var residentBytes: Int64 = 0
  /// Its CPU time, in seconds.
  public var userSeconds: Double = 0
  /// Its CPU time in the kernel, in seconds.
  public var systemSeconds: Double = 0

  /// Of no process.
  public init() {}
}
