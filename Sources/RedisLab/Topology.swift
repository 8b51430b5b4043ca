// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP

/// Redis nodes and Sentinels of their own, on 127.0.0.1 and ports that were free, in a temporary
/// folder. All of it ends with ``stop()``, and with this process at the latest.
public final class Topology: Sendable {
  /// What it was started with.
  public let options: TopologyOptions
  /// The Redis nodes; the first one started as master.
  public let nodes: [Node]
  /// The sentinels.
  public let sentinels: [Node]
  /// The master at the start.
  public let initialMaster: Node
  /// The temporary folder with logs, configuration and data.
  public var folder: String { temporary.path }

  private let temporary: Folder

  private init(options: TopologyOptions, folder: Folder) throws {
    self.options = options
    temporary = folder
    let server = try RedisServer.find()
    func place() throws -> (port: Int, relay: Relay?) {
      let port = try Ports.take()
      return (port, options.relayed ? try Relay(to: .tcp("127.0.0.1", port)) : nil)
    }

    let places = try (0...options.replicas).map { _ in try place() }
    let ports = places.map { $0.relay?.port ?? $0.port }
    nodes = try places.enumerated().map { index, place in
      try Node(
        name: "redis\(index)", isSentinel: false, serverPort: place.port, relay: place.relay,
        source: "127.0.1.\(index + 1)", folder: folder, server: server, password: options.password,
        configuration: options.redisConfiguration(
          announcedPort: ports[index], replicaOf: index == 0 ? nil : ports[0]))
    }
    initialMaster = nodes[0]

    let watchers = try (0..<options.sentinels).map { _ in (id: sentinelID(), place: try place()) }
    let known = watchers.map { (id: $0.id, port: $0.place.relay?.port ?? $0.place.port) }
    sentinels = try watchers.enumerated().map { index, watcher in
      let (id, place) = watcher
      return try Node(
        name: "sentinel\(index)", isSentinel: true, serverPort: place.port, relay: place.relay,
        source: "127.0.2.\(index + 1)", folder: folder, server: server,
        password: options.sentinelPassword,
        configuration: options.sentinelConfiguration(
          announcedPort: known[index].port, id: id, others: known.filter { $0.id != id },
          ports: ports))
    }
  }

  /// Starts all and waits until replicas are linked and all sentinels see each other and the master.
  /// - Throws: `LabError`, after everything was stopped again.
  public static func start(_ options: TopologyOptions = TopologyOptions()) async throws -> Topology
  {
    let folder = try Folder("lab")
    let topology: Topology
    do {
      topology = try Topology(options: options, folder: folder)
    } catch {
      folder.remove()
      throw error
    }
    do {
      for group in [
        [topology.initialMaster], Array(topology.nodes.dropFirst()), topology.sentinels,
      ] {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
          for node in group { tasks.addTask { try await node.start() } }
          try await tasks.waitForAll()
        }
      }
      try await topology.waitUntilAgreed()
      return topology
    } catch {
      await topology.stop()
      throw error
    }
  }

  /// One Redis alone, without sentinels.
  public static func single(
    _ change: (inout TopologyOptions) -> Void = { _ in }
  ) async throws -> Topology {
    try await start(TopologyOptions(singleWith: change))
  }

  /// Starts a topology, runs the body and stops it, whatever happens. Waits for a slot first (by
  /// default two topologies at a time, `HOLDFAST_LAB_SLOTS`): do not nest.
  public static func with<R: Sendable>(
    _ options: TopologyOptions = TopologyOptions(),
    _ body: @Sendable (Topology) async throws -> R
  ) async throws -> R {
    await Slots.shared.acquire()
    defer { Slots.shared.release() }
    let topology = try await start(options)
    let result: Result<R, any Error>
    do {
      result = .success(try await body(topology))
    } catch {
      result = .failure(error)
    }
    await topology.stop()
    return try result.get()
  }

  /// ``with(_:_:)`` for one Redis without sentinels.
  public static func withSingle<R: Sendable>(
    _ change: (inout TopologyOptions) -> Void = { _ in },
    _ body: @Sendable (Topology) async throws -> R
  ) async throws -> R {
    try await with(TopologyOptions(singleWith: change), body)
  }

  /// Kills everything, waits until it is gone and removes the folder. May be called twice.
  public func stop() async {
    await withTaskGroup(of: Void.self) { group in
      for node in nodes + sentinels { group.addTask { await node.stop() } }
    }
    temporary.remove()
  }

  /// The sentinels as `host:port,host:port`, as the daemon's `--sentinels` takes them.
  public var sentinelList: String {
    sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
  }

  /// The node with this (announced) port.
  public func node(port: Int) -> Node? { (nodes + sentinels).first { $0.port == port } }

  /// The node that a majority of all sentinels names.
  /// - Throws: `LabError.failed` where no majority does.
  public func currentMaster() async throws -> Node {
    guard !sentinels.isEmpty else { return initialMaster }
    let votes = await withTaskGroup(of: Int?.self) { group in
      for sentinel in sentinels where sentinel.isAnswering {
        group.addTask { try? await self.masterPort(by: sentinel) }
      }
      return await group.reduce(into: [Int: Int]()) { votes, port in
        if let port { votes[port, default: 0] += 1 }
      }
    }
    guard let winner = votes.first(where: { $0.value > sentinels.count / 2 }),
      let node = node(port: winner.key)
    else { throw LabError.failed("no majority of the sentinels names a master: \(votes)") }
    return node
  }

  /// The node that one sentinel names.
  public func master(by sentinel: Node) async throws -> Node {
    let port = try await masterPort(by: sentinel)
    guard let node = node(port: port) else { throw LabError.failed("\(sentinel) names \(port)") }
    return node
  }

  /// `SENTINEL FAILOVER` at one sentinel, by default the first that answers.
  /// - Throws: `LabError.failed` where it is refused.
  public func commandFailover(by sentinel: Node? = nil) async throws {
    guard let chosen = sentinel ?? sentinels.first(where: \.isAnswering) else {
      throw LabError.failed("no sentinel that could fail over")
    }
    let reply = try await chosen.query(["SENTINEL", "FAILOVER", options.masterName])
    guard reply == .simple("OK") else {
      throw LabError.failed("\(chosen): SENTINEL FAILOVER: \(reply)")
    }
  }

  /// The master once a majority names another node than `old` and that node says so itself.
  @discardableResult
  public func waitForPromotion(
    insteadOf old: Node, timeoutMilliseconds: Int = 30_000
  ) async throws -> Node {
    try await eventually("promotion instead of \(old)", within: timeoutMilliseconds) {
      let master = try await self.currentMaster()
      guard master !== old, try await self.role(of: master)[0].text == "master" else { return nil }
      return master
    }
  }

  private func masterPort(by sentinel: Node) async throws -> Int {
    let reply = try await sentinel.query(
      ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", options.masterName], timeoutMilliseconds: 500)
    guard let parts = reply.elements, parts.count == 2, let port = parts[1].integerValue else {
      throw LabError.failed("\(sentinel) names no master: \(reply)")
    }
    return Int(port)
  }

  /// What `ROLE` says, at least one element.
  func role(of node: Node) async throws -> [RESPValue] {
    guard let role = try await node.query(["ROLE"], timeoutMilliseconds: 1000).elements,
      !role.isEmpty
    else { throw LabError.failed("\(node) gives no ROLE") }
    return role
  }
}

extension TopologyOptions {
  fileprivate init(singleWith change: (inout TopologyOptions) -> Void) {
    replicas = 0
    sentinels = 0
    change(&self)
  }
}

private func sentinelID() -> String {
  String((0..<40).map { _ in "0123456789abcdef".randomElement() ?? "0" })
}
