// SPDX-License-Identifier: Apache-2.0
import Failover
import Gateway
import Glibc
import Logging
import NIOCore
import NIOPosix
import Proxy
import SentinelMonitor
import ServiceLifecycle
import Settings
import Systemd
import UnixSignals

/// The parts put together: the monitor tells the gateway who is master, the gateway tells the monitor what its
/// links see, the journal hears of both.
struct Daemon {
  let live: LiveSettings

  /// Serves until SIGTERM or SIGINT, then drains.
  func run() async throws {
    let settings = live.current
    prepareProcess()
    let activated = try SocketActivation.listeners()
    let wiring = try Wiring(settings: settings)
    let events = EventLog(Journal(leastPriority: wiring.leastPriority))
    let controlLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    // TLS is spoken on a thread of its own: neither a storm of handshakes nor much traffic holds up the control plane.
    let relayLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let desk = ConsoleDesk()

    let reports = AsyncStream.makeStream(
      of: LinkReport.self, bufferingPolicy: .bufferingNewest(1024))
    let gateway = try await Gateway(
      configuration: complete(wiring.gateway, events, desk), group: relayLoops
    ) {
      reports.continuation.yield($0)
    }
    events.pushing { gateway.push($0) }
    let monitor = SentinelMonitor(
      configuration: wiring.monitor, group: controlLoops,
      onView: { gateway.publish($0) },
      onNote: { events.post(JournalEvent($0)) },
      onTimeline: { gateway.record($0) })
    let reloader = Reloader(live: live, events: events) { wiring in
      gateway.reconfigure(complete(wiring.gateway, events, desk))
      events.journal.setLeastPriority(wiring.leastPriority)
    }
    let samples = SessionSamples()
    let metrics = Metrics(
      gateway: gateway, monitor: monitor, events: events, live: live, samples: samples)
    desk.open(
      Console(
        gateway: gateway, monitor: monitor, events: events, live: live, reloader: reloader,
        metrics: metrics))
    try await listen(gateway, activated, settings, wiring)

    var scraped: [ServiceGroupConfiguration.ServiceConfiguration] = []
    if let address = settings.metrics.listen {
      scraped = [
        .init(service: SampleService(samples: samples, gateway: gateway)),
        .init(service: MetricsServer(address: address, metrics: metrics, group: controlLoops)),
      ]
    }
    let services = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: scraped + [
          .init(service: MonitorService(monitor: monitor, reports: reports.stream)),
          .init(
            service: StatusService(
              monitor: monitor, gateway: gateway, events: events,
              isFixed: settings.redis.address != nil)),
          .init(service: WatchdogService(gateway: gateway, monitor: monitor)),
          .init(service: HangupService(reloader: reloader)),
          .init(service: GatewayService(gateway: gateway, events: events, live: live)),
        ],
        gracefulShutdownSignals: [.sigterm, .sigint],
        logger: Logger(label: "holdfastd") { _ in SwiftLogNoOpLogHandler() }))

    announceStart(events, settings)
    try await services.run()
    events.post(JournalEvent(priority: .info, messageID: .stopped, message: "stopped"))
    _ = events.journal.flush(timeoutMilliseconds: 1000)
    gateway.end()
    try await relayLoops.shutdownGracefully()
    try await controlLoops.shutdownGracefully()
  }

  /// With what settings do not say.
  private func complete(
    _ configuration: GatewayConfiguration, _ events: EventLog, _ desk: ConsoleDesk
  ) -> GatewayConfiguration {
    var configuration = configuration
    configuration.stateDirectory = Surroundings.stateDirectory
    configuration.note = { events.post(JournalEvent($0)) }
    configuration.console = { await desk.answer($0) }
    return configuration
  }

  private func prepareProcess() {
    // A connection is a descriptor: take as many as the service manager allows.
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      limit.rlim_cur = limit.rlim_max
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
  }

  private func listen(
    _ gateway: Gateway, _ activated: [ActivatedSocket], _ settings: Settings, _ wiring: Wiring
  ) async throws {
    let backlog = Int32(settings.listen.backlog)
    if activated.isEmpty {
      let descriptor = try UnixListener.open(
        path: settings.listen.path, mode: settings.listen.mode, group: settings.listen.group,
        backlog: backlog)
      gateway.serve(listening: descriptor)
    }
    if let listener = wiring.gateway.tcp { try await gateway.serve(listener, backlog: backlog) }
    for socket in activated {
      gateway.serve(listening: socket.descriptor)
    }
  }

  private func announceStart(_ events: EventLog, _ settings: Settings) {
    let source =
      settings.redis.address.map { "Redis \($0)" }
      ?? "master \(settings.sentinel.master) of \(settings.sentinel.addresses.count) sentinels"
    events.post(
      JournalEvent(
        priority: .notice, messageID: .started,
        message:
          "holdfastd \(Holdfastd.version) serves \(settings.listen.path), following \(source)",
        fields: [("HOLDFAST_VERSION", Holdfastd.version)]))
    Notify.ready(status: "waiting for the first verified master")
  }
}

/// Runs the control plane; ended last, so that the data plane knows the master to its end.
private struct MonitorService: Service {
  let monitor: SentinelMonitor
  let reports: AsyncStream<LinkReport>

  func run() async {
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await monitor.run() }
      tasks.addTask { for await report in reports { monitor.report(report) } }
      await cancelWhenGracefulShutdown { await Self.untilCancelled() }
      tasks.cancelAll()
    }
  }

  private static func untilCancelled() async {
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }
}

/// Keeps `STATUS=` true.
private struct StatusService: Service {
  let monitor: SentinelMonitor
  let gateway: Gateway
  let events: EventLog
  let isFixed: Bool

  func run() async throws {
    await cancelWhenGracefulShutdown { await follow() }
  }

  private func follow() async {
    var last = ""
    var (waiting, rounds) = (0, 0)
    var announced: UInt64 = 0
    var toldAt: ContinuousClock.Instant?
    for await _ in monitor.turns {
      // Many turns a second while something goes on, and the next one is two seconds away at most.
      if let toldAt, toldAt.duration(to: .now) < .milliseconds(250) { continue }
      toldAt = .now
      announce(gateway.refreshReports(), after: &announced)
      let line = await statusLine(&waiting, &rounds)
      if line != last { Notify.status(line) }
      last = line
    }
  }

  /// One line for each failover that is over, once its figures have had a moment to come in.
  private func announce(_ reports: [FailoverReport], after announced: inout UInt64) {
    for report in reports where report.timeline.number > announced {
      // The shards' last figures come a moment later.
      guard report.timeline.outcome != .underway, let ended = report.timeline.endedMilliseconds,
        SentinelMonitor.nowMilliseconds - ended >= 300
      else { return }
      announced = report.timeline.number
      events.post(
        JournalEvent(
          priority: .notice, messageID: .cutOverComplete, message: report.summary,
          fields: [
            ("HOLDFAST_FAILOVER", "\(report.timeline.number)"),
            ("HOLDFAST_OUTCOME", report.timeline.outcome.rawValue),
            ("HOLDFAST_WAITED", "\(report.figures.waited)"),
            ("HOLDFAST_LONGEST_WAIT_MILLISECONDS", "\(report.figures.longestMilliseconds)"),
          ]))
    }
  }

  private func statusLine(_ waiting: inout Int, _ rounds: inout Int) async -> String {
    let status = await monitor.status()
    // Many wait only where there is no master; for the few that may wait for a connection no shard is woken each time.
    let isLikely = !status.view.isServing || status.view.fence != nil || waiting > 0
    rounds += 1
    if isLikely || rounds % 8 == 0 { waiting = (try? await gateway.statistics().waiting) ?? 0 }
    let master = status.view.address.map { "\($0)" } ?? "none"
    let sentinels =
      isFixed
      ? "no sentinels" : "sentinels \(status.sentinelsReachable) of \(status.sentinelsKnown)"
    let head =
      switch status.view.state {
      case .serving(let isProvisional):
        "master \(master)\(isProvisional ? " (provisional)" : "")"
      case .waiting(let reason): "waiting for a master (\(reason)), last \(master)"
      case .hopeless(let reason): "no master (\(reason)), last \(master)"
      }
    return
      "\(head), generation \(status.view.generation), \(sentinels), \(waiting) requests waiting"
  }
}

/// SIGHUP reads the settings again.
private struct HangupService: Service {
  let reloader: Reloader

  func run() async {
    let signals = await UnixSignalsSequence(trapping: .sighup)
    await cancelWhenGracefulShutdown {
      for await _ in signals { _ = await reloader.reload() }
    }
  }
}

/// Stops the data plane first: what is in flight finishes while the master is still known.
private struct GatewayService: Service {
  let gateway: Gateway
  let events: EventLog
  let live: LiveSettings

  func run() async throws {
    await cancelWhenGracefulShutdown {
      while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }
    let drainMilliseconds = Int64(live.current.shutdown.drainMilliseconds)
    Notify.stopping()
    events.post(
      JournalEvent(
        priority: .notice, messageID: .draining,
        message: "stopping: no new clients, requests in flight have \(drainMilliseconds) ms"))
    try await gateway.stop(drainMilliseconds: drainMilliseconds)
  }
}
