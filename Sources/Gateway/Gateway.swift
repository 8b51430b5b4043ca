// SPDX-License-Identifier: Apache-2.0
import Failover
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL
import Proxy
import RESP
import Sessions

/// The data plane: one listening socket, and shards that share its clients.
public final class Gateway: Sendable {
  private let shards: [NIOLoopBound<ShardLoop>]
  private let reactors: [Reactor]
  private let book = ReportBook()
  private let denials: DenialBook
  private let locks: HostLocks
  private let processes: ProcessWatch
  private let relay: TLSRelay
  private let placement: Placement
  private let listeners = NIOLockedValueBox(Listeners())

  private struct Listeners {
    var descriptors: [CInt] = []
    var channels: [any Channel] = []
  }

  /// Makes the shards, a thread each. `report` is called on these.
  ///
  /// - Parameter group: Where TLS is spoken.
  public init(
    configuration: GatewayConfiguration, group: any EventLoopGroup,
    report: @escaping @Sendable (LinkReport) -> Void
  ) async throws {
    denials = DenialBook(
      stateDirectory: configuration.stateDirectory, countMax: configuration.proxy.denialsMax,
      note: configuration.note)
    let locks = HostLocks(configuration.locks, sessions: configuration.proxy.sessions)
    let processes = ProcessWatch(countMax: configuration.processesMax) { locks.processGone($0) }
    self.locks = locks
    self.processes = processes
    let relay = TLSRelay(group: group)
    self.relay = relay
    let placement = Placement(shardCount: configuration.shards)
    self.placement = placement
    var shards: [NIOLoopBound<ShardLoop>] = []
    var reactors: [Reactor] = []
    for index in 0..<configuration.shards {
      let (book, denials) = (book, denials)
      var reactor: Reactor?
      shards.append(
        await withCheckedContinuation { made in
          reactor = Reactor.start(named: "shard \(index)") { reactor, poller in
            let shard = ShardLoop(
              loop: reactor, poller: poller, index: index, configuration: configuration,
              book: book, denials: denials, locks: locks, processes: processes, relay: relay,
              placement: placement, report: report)
            made.resume(returning: NIOLoopBound(shard, eventLoop: reactor))
            return shard
          }
        })
      if let reactor { reactors.append(reactor) }
    }
    self.shards = shards
    self.reactors = reactors
    placement.follow(shards)
    denials.follow(shards)
    locks.follow(shards)
  }

  /// Serves clients on a bound, listening and non-blocking socket, which the gateway owns from here on.
  public func serve(listening descriptor: CInt) { serve(descriptor, .socket) }

  private func serve(_ descriptor: CInt, _ entrance: Entrance) {
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    listeners.withLockedValue { $0.descriptors.append(descriptor) }
    for shard in shards { shard.eventLoop.execute { shard.value.listen(descriptor, entrance) } }
  }

  /// Serves clients on a TCP port. Throws a ``ListenError`` where that cannot be had.
  public func serve(_ listener: TCPListener, backlog: Int32) async throws {
    guard let tls = listener.tls else {
      return serve(try LoopbackListener.open(listener, backlog: backlog), .tcp)
    }
    let placement = placement
    do {
      let channel = try await relay.listen(listener, tls, backlog: backlog) { descriptor in
        placement.hand(descriptor, .tcp, to: placement.place(acceptedBy: 0))
      }
      listeners.withLockedValue { $0.channels.append(channel) }
    } catch {
      throw ListenError(
        description: "cannot listen on tcp.address \(listener.host):\(listener.port): \(error)")
    }
  }

  /// Tells every shard what the master is now. Never blocks.
  public func publish(_ view: MasterView) {
    for shard in shards { shard.eventLoop.execute { shard.value.masterChanged(view) } }
    locks.masterChanged(view)
  }

  /// Keeps what is known of a failover for `HOLDFAST.FAILOVERS`.
  public func record(_ timeline: FailoverTimeline) { book.record(timeline) }

  /// The last failovers, the oldest first. Every shard answers with these from here on.
  public func refreshReports() -> [FailoverReport] {
    let (reports, hasNews) = book.read()
    guard hasNews else { return reports }
    for shard in shards { shard.eventLoop.execute { shard.value.reportsChanged(reports) } }
    return reports
  }

  /// Tells every client that watches.
  public func push(_ event: RESPValue) {
    for shard in shards { shard.eventLoop.execute { shard.value.pushEvent(event) } }
  }

  /// Puts settings to work that may change while clients are connected.
  public func reconfigure(_ configuration: GatewayConfiguration) {
    for shard in shards { shard.eventLoop.execute { shard.value.reconfigure(configuration) } }
    locks.reconfigure(configuration.locks, sessions: configuration.proxy.sessions)
  }

  /// Every client's connection.
  public func connections() async throws -> [ConnectionView] {
    var all: [ConnectionView] = []
    for shard in shards {
      all += try await shard.eventLoop.submit { shard.value.shard.connections }.get()
    }
    return all
  }

  /// The lines of `CLIENT LIST`.
  public func clientLines(_ filter: ClientFilter) async throws -> String {
    var text = ""
    for shard in shards {
      text += try await shard.eventLoop.submit { shard.value.shard.clientLines(filter) }.get()
    }
    return text
  }

  /// Every connection to Redis.
  public func upstreams() async throws -> [UpstreamView] {
    var all: [UpstreamView] = []
    for shard in shards {
      all += try await shard.eventLoop.submit { shard.value.shard.upstreams }.get()
    }
    return all
  }

  /// What all shards have carried.
  public func traffic() async throws -> Traffic? {
    var sum: Traffic?
    for shard in shards {
      let one = try await shard.eventLoop.submit { shard.value.shard.traffic }.get()
      if sum == nil { sum = one } else { sum? += one }
    }
    return sum
  }

  /// Asks as a client would, without a connection.
  public func ask(_ words: [String]) async throws -> RESPValue {
    let shard = shards[0]
    return try await shard.eventLoop.flatSubmit { shard.value.askItself(words) }.get()
  }

  /// Locks given, refused and freed since the start.
  public var lockStatistics: LockStatistics { locks.statistics }

  /// Calls `answered` on each shard's loop once that has come to it: a shard that hangs never does.
  public func knock(_ answered: @escaping @Sendable () -> Void) {
    for shard in shards { shard.eventLoop.execute { answered() } }
  }

  /// How many shards there are.
  public var shardCount: Int { shards.count }

  /// Counts of all shards together.
  public func statistics() async throws -> ShardStatistics {
    var sum = ShardStatistics()
    for shard in shards {
      sum += try await shard.eventLoop.submit { shard.value.shard.statistics }.get()
    }
    return sum
  }

  /// Accepts no more clients, lets those in flight finish within the deadline, then closes everything.
  public func stop(drainMilliseconds: Int64) async throws {
    let listening = listeners.withLockedValue { $0 }
    for channel in listening.channels { try? await channel.close() }
    for shard in shards {
      try await shard.eventLoop.submit { shard.value.stopListening() }.get()
    }
    for descriptor in listening.descriptors { close(descriptor) }
    for shard in shards { shard.eventLoop.execute { shard.value.drain() } }
    let deadline = NIODeadline.now() + .milliseconds(drainMilliseconds)
    while NIODeadline.now() < deadline, try await !isDrained() {
      try await Task.sleep(for: .milliseconds(10))
    }
    for shard in shards {
      try await shard.eventLoop.submit { shard.value.stop() }.get()
    }
    processes.stop()
  }

  /// Ends the threads; nothing may be asked of the gateway any more.
  public func end() {
    for reactor in reactors { reactor.stop() }
  }

  private func isDrained() async throws -> Bool {
    for shard in shards {
      let isDrained = try await shard.eventLoop.submit { shard.value.shard.isDrained }.get()
      if !isDrained { return false }
    }
    return true
  }
}
