// SPDX-License-Identifier: Apache-2.0
import Failover
import Foundation
import RESP
import Testing

@testable import Proxy

/// Many clients over links that die, nodes that stop, refuse and are replaced; every step by chance, none by
/// the clock. After all is healed, every command must have had its one reply, and a true one.
final class Simulation {
  static let inFlightPerClientMax = 20
  static let inFlightMax = 40

  private var random: SimulationRandom
  private let rig: Rig
  private let store = FakeStore()
  private var current: FakeMaster
  private var clients: [SimulatedClient] = []
  private var departed: [SimulatedClient] = []
  private var clientCount = 0
  private let usesLeases: Bool
  private(set) var problems: [String] = []

  init(seed: UInt64) {
    random = SimulationRandom(state: seed)
    usesLeases = seed % 2 == 0
    let settings = (links: Int.random(in: 1...3, using: &random), isStrict: random.chance(20))
    rig = Rig {
      $0.linksPerGroup = settings.links
      $0.sparesMax = 2
      $0.leasesMax = 4
      $0.waitMilliseconds = 1_500
      $0.commandTimeoutMilliseconds = 400
      $0.checkIdleMilliseconds = 300
      $0.inFlightPerClientMax = Simulation.inFlightPerClientMax
      $0.inFlightMax = Simulation.inFlightMax
      $0.replay = settings.isStrict ? .strict : .standard
    }
    current = FakeMaster(port: 7_000, runID: "run-0", store: store)
    for _ in 0..<6 { arrive() }
    rig.serve(current, isPumping: random.chance(50))
  }

  func run(steps: Int) {
    for _ in 0..<steps where problems.isEmpty {
      step()
      checkLimits()
    }
    heal()
    check()
  }

  // MARK: Steps

  private func step() {
    switch Double.random(in: 0..<100, using: &random) {
    case ..<38: talk()
    case ..<56: rig.endTurn()
    case ..<74: withConnection { $1.run(limit: Int.random(in: 1...6, using: &random)) }
    case ..<92:
      let limit = random.chance(50) ? Int.max : Int.random(in: 1...40, using: &random)
      withConnection { rig.deliver($0, $1, limit: limit) }
    case ..<95: pass(Int64.random(in: 1...60, using: &random))
    case ..<96: zombies.randomElement(using: &random)?.run()
    case ..<97: breakConnection()
    default: trouble()
    }
    for (_, connection) in rig.sortedConnections where connection.isGone { rig.drop(connection) }
    for client in clients { client.receive() }
  }

  private func talk() {
    guard let client = clients.randomElement(using: &random) else { return }
    for _ in 0..<Int.random(in: 1...5, using: &random)
    where client.awaited.count < 40 && client.connection.isReading { client.ask(&random) }
    let count = random.chance(60) ? client.unsent.count : Int.random(in: 0...40, using: &random)
    let bytes = Array(client.unsent.prefix(count))
    client.unsent.removeFirst(bytes.count)
    if !bytes.isEmpty { rig.push(client.connection, bytes) }
  }

  private func withConnection(_ body: (LinkID, FakeConnection) -> Void) {
    guard let (id, connection) = rig.sortedConnections.randomElement(using: &random) else { return }
    body(id, connection)
  }

  private var zombies: [FakeConnection] {
    rig.masters.sorted { $0.key < $1.key }.flatMap(\.value.readyConnections)
      .filter { master in !rig.connections.values.contains { $0 === master } }
  }

  private func pass(_ milliseconds: Int64) {
    rig.now += milliseconds
    rig.shard.tick(nowMilliseconds: rig.now)
  }

  /// With its unread bytes, or leaving them for later.
  private func breakConnection() {
    let leavesZombie = random.chance(50)
    withConnection { _, connection in
      if leavesZombie { connection.isAbandoned = true } else { connection.end() }
      rig.drop(connection)
    }
  }

  private func trouble() {
    switch Int.random(in: 0..<9, using: &random) {
    case 0: failOver()
    case 1: current.role = "slave"
    case 2, 3: current.role = "master"
    case 4: current.isFrozen.toggle()
    case 5: setBusy(random.chance(50))
    case 6: rig.isRefusing.toggle()
    case 7: rig.announce(.waiting(reason: "simulated"))
    default:
      rig.announce(.serving(isProvisional: false), current)
      if random.chance(40) { replaceClient() }
    }
  }

  private func setBusy(_ isBusy: Bool) {
    guard isBusy else { return current.fault = nil }
    var count = 0
    current.fault = { line, _ in
      guard ["SET", "GET", "APP", "INC", "BLP"].contains(line.prefix(3)) else { return nil }
      count += 1
      return count % 3 == 0 ? .error("BUSY Redis is busy running a script.") : nil
    }
  }

  /// The old master takes no more writes; the new one has all its data.
  private func failOver() {
    current.role = "slave"
    let number = current.port + 1
    current = FakeMaster(port: number, runID: "run-\(number)", store: store)
    rig.masters[number] = current
    rig.serve(current, isPumping: false)
  }

  private func arrive() {
    clientCount += 1
    let connection = rig.connect()
    if random.chance(30) { rig.push(connection, "HELLO 3") }
    if random.chance(30) { rig.push(connection, "SELECT 1") }
    rig.endTurn()
    _ = connection.replies()
    clients.append(SimulatedClient(clientCount, connection, usesLeases: usesLeases))
  }

  private func replaceClient() {
    let client = clients.remove(at: Int.random(in: 0..<clients.count, using: &random))
    rig.leave(client.connection)
    departed.append(client)
    arrive()
  }

  // MARK: Checks

  private func checkLimits() {
    for client in rig.shard.clients.all {
      // One more: the daemon's own command to end a predecessor.
      if client.order.outstanding > Self.inFlightPerClientMax + 1 {
        problems.append("\(client.order.outstanding) in flight for one client")
      }
    }
    if !usesLeases && rig.shard.inFlightCount > Self.inFlightMax {
      problems.append("\(rig.shard.inFlightCount) in flight in total")
    }
    if rig.shard.inFlightCount < 0 || rig.shard.inFlightBytes < 0 || rig.shard.inputBytes < 0 {
      problems.append("a count below zero")
    }
  }

  private func heal() {
    current.role = "master"
    current.isFrozen = false
    current.fault = nil
    rig.isRefusing = false
    rig.announce(.serving(isProvisional: false), current)
    for client in clients { client.conclude() }
    // Who waits for a lease that others keep is answered after a wait each time.
    for _ in 0..<600 {
      for client in clients where !client.unsent.isEmpty {
        rig.push(client.connection, client.unsent)
        client.unsent = []
      }
      rig.advance(100)
      for client in clients { client.receive() }
      if clients.allSatisfy(\.isOwedNothing) { break }
    }
    // What departed clients left behind expires.
    rig.advance(2_000, step: 100)
  }

  private func check() {
    for zombie in zombies { zombie.run() }
    for client in clients {
      if !client.isOwedNothing {
        problems.append("client \(client.number): \(client.awaited) unanswered")
      }
      if !client.connection.isAtFrameEnd {
        problems.append("client \(client.number): half a reply")
      }
      let values = store.values.values.first { $0[client.log] != nil || $0[client.count] != nil }
      client.checkStore(log: values?[client.log] ?? "", count: values?[client.count] ?? "0")
    }
    for client in clients + departed {
      problems += client.problems.map { "client \(client.number): \($0)" }
    }
    let shard = rig.shard
    let held = (shard.inFlightCount, shard.inFlightBytes, shard.inputBytes)
    if held != (0, 0, 0) { problems.append("held at the end: \(held)") }
    for client in shard.clients.all
    where client.deferredCount != 0 || client.inFlightBytes != 0 || !client.order.isSettled {
      problems.append("a client holds \(client.deferredCount), \(client.inFlightBytes) bytes")
    }
    if shard.links.contains(where: { $0.map { !$0.deferred.isEmpty } ?? false }) {
      problems.append("commands wait to be sent again")
    }
  }
}

@Suite struct Simulator {
  @Test func everyCommandHasItsOneTrueReply() async {
    let environment = ProcessInfo.processInfo.environment
    let seedCount: UInt64 = environment["HOLDFAST_LONG"] == "1" ? 20_000 : 200
    let only = environment["HOLDFAST_SEED"].flatMap { UInt64($0) }
    for seed in only.map({ $0...$0 }) ?? 1...seedCount {
      // Others have deadlines.
      await Task.yield()
      let simulation = Simulation(seed: seed)
      simulation.run(steps: 800)
      #expect(
        simulation.problems.isEmpty,
        "HOLDFAST_SEED=\(seed): \(simulation.problems.prefix(5).joined(separator: "; "))")
    }
  }
}
