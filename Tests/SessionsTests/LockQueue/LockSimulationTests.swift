// SPDX-License-Identifier: Apache-2.0
import Glibc
import RESP
import Testing

@testable import Sessions

/// Hosts contend for a few locks over calls that are late, lost and repeated, while processes die and the master
/// comes and goes. A failing seed is printed.
@Suite struct LockSimulationTests {
  @Test(arguments: 1...60) func fixedSeeds(_ seed: UInt64) { Simulation(seed).run() }

  @Test func freshSeeds() {
    for _ in 0..<40 { Simulation(UInt64.random(in: 1000 ... .max)).run() }
  }

  /// The checks see what they are there for.
  @Test func twoHoldersAreSeen() {
    let simulation = Simulation(1)
    simulation.held[[1]] = (token: [1], until: 100, host: 0)
    #expect(simulation.problem(granting: [1], token: [2], number: 5, at: 50) != nil)
    #expect(simulation.problem(granting: [1], token: [2], number: 5, at: 100) == nil)
    #expect(simulation.problem(granting: [1], token: [3], number: 5, at: 300) != nil)
  }
}

private final class Simulation {
  struct Call {
    let host: Int
    let ticket: UInt64
    let call: RedisCall
  }

  struct Client {
    let connection: UInt64
    let process: UInt64
    let lock: Int
    var deadline: Int64
    var token: [UInt8]?
  }

  let seed: UInt64
  var random: SeededGenerator
  var now: Int64 = 1_000_000
  var model = LockModel()
  var tables: [LockTable]
  var calls: [Call] = []
  /// By host and connection: who waits for an answer, or holds.
  var clients: [[UInt64: Client]] = [[:], [:]]
  var connectionCount: UInt64 = 0
  var gone: Set<UInt64> = []
  var held: [[UInt8]: (token: [UInt8], until: Int64, host: Int)] = [:]
  var lastNumber: [[UInt8]: Int64] = [:]
  var problems: [String] = []
  static let locks = [UInt8(0), 1, 2].map { String(repeating: "a\($0)", count: 32) }

  init(_ seed: UInt64) {
    self.seed = seed
    random = SeededGenerator(seed: seed)
    tables = (0..<2).map { _ in LockTable(LockConfiguration(), sessions: SessionConfiguration()) }
  }

  func run() {
    for index in tables.indices { verified(index, true) }
    for _ in 0..<400 {
      step()
      now += Int64.random(in: 0...20, using: &random)
      guard problems.isEmpty else { break }
    }
    heal()
    #expect(problems == [], "seed \(seed)")
  }

  private func step() {
    let host = Int.random(in: 0..<2, using: &random)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<25: take(host)
    case 25..<40: unlock(host)
    case 40..<42: verified(host, !tables[host].isVerified)
    case 42..<45: kill(host)
    case 45..<75: deliver()
    case 75..<78: lose()
    default: tables[host].expire(nowMilliseconds: now, random: &random)
    }
    collect(host)
    checkLimits()
  }

  private func take(_ host: Int) {
    connectionCount += 1
    let lock = Int.random(in: 0..<3, using: &random)
    let wait = Bool.random(using: &random) ? Int64.random(in: 1...2000, using: &random) : 0
    let client = Client(
      connection: connectionCount, process: connectionCount % 5, lock: lock, deadline: now + wait)
    clients[host][client.connection] = client
    send(
      host, client,
      "SESSION.LOCK \(Self.locks[lock]) TTL \(Int.random(in: 50...3000, using: &random)) WAIT \(wait)"
    )
  }

  private func unlock(_ host: Int) {
    guard
      var client = clients[host].values.filter({ $0.token != nil }).randomElement(using: &random),
      let token = client.token
    else { return }
    client.token = nil
    client.deadline = .max
    clients[host][client.connection] = client
    // From here on somebody else may have it.
    let key = name(client.lock)
    if held[key]?.token == token { held[key] = nil }
    send(
      host, client,
      "SESSION.UNLOCK \(Self.locks[client.lock]) \(String(decoding: token, as: UTF8.self))")
  }

  private func send(_ host: Int, _ client: Client, _ line: String) {
    tables[host].take(
      line.split(separator: " ").map { Array($0.utf8) },
      of: LockClient(connection: client.connection, position: 0, process: client.process),
      nowMilliseconds: now, random: &random)
    collect(host)
  }

  private func kill(_ host: Int) {
    let process = UInt64.random(in: 0..<5, using: &random)
    let gone = clients[host].values.filter { $0.process == process }
    for client in gone {
      self.gone.insert(client.connection)
      clients[host][client.connection] = nil
      if let token = client.token, held[name(client.lock)]?.token == token {
        held[name(client.lock)] = nil
      }
    }
    tables[host].ownerGone(.process(process), nowMilliseconds: now, random: &random)
    collect(host)
    tables[host].ownerSettled(.process(process), nowMilliseconds: now, random: &random)
    collect(host)
  }

  /// Redis runs a call, maybe twice, and its answer arrives.
  private func deliver() {
    guard !calls.isEmpty else { return }
    let call = calls.remove(at: Int.random(in: 0..<calls.count, using: &random))
    var reply = model.run(call.call, at: now)
    if Int.random(in: 0..<5, using: &random) == 0 { reply = model.run(call.call, at: now) }
    now += Int64.random(in: 0...5, using: &random)
    answer(call, reply)
  }

  /// It may have run, but nobody hears of it.
  private func lose() {
    guard !calls.isEmpty else { return }
    let call = calls.remove(at: Int.random(in: 0..<calls.count, using: &random))
    if Bool.random(using: &random) { _ = model.run(call.call, at: now) }
    answer(call, .error("NOMASTER no answer"))
  }

  private func answer(_ call: Call, _ reply: RESPValue) {
    tables[call.host].answered(call.ticket, reply, nowMilliseconds: now, random: &random)
    collect(call.host)
  }

  private func verified(_ host: Int, _ isVerified: Bool) {
    tables[host].masterVerified(isVerified, nowMilliseconds: now, random: &random)
    collect(host)
  }

  private func collect(_ host: Int) {
    for action in tables[host].takeActions() {
      switch action {
      case .call(let ticket, let call):
        if calls.contains(where: { $0.host == host && key($0.call) == key(call) }) {
          problems.append("two calls about one lock")
        }
        calls.append(Call(host: host, ticket: ticket, call: call))
      case .freed: problems.append("no driver's lock is here")
      case .answer(let connection, _, let reply): hear(host, connection, reply)
      }
    }
  }

  private func hear(_ host: Int, _ connection: UInt64, _ reply: SessionReply) {
    // A command of one who is gone may be answered; its shard drops that.
    guard !gone.contains(connection) else { return }
    guard var client = clients[host].removeValue(forKey: connection) else {
      return problems.append("an answer to nobody, or a second one")
    }
    guard case .fields(let fields) = reply, case .bulk(let token)? = fields.first?.value,
      let number = fields.last?.value.integerValue
    else { return }
    let name = name(client.lock)
    if let problem = problem(granting: name, token: token, number: number, at: now) {
      problems.append(problem)
    }
    // As long as Redis itself holds it for that one.
    let until = model.values[name].map { $0.token == token ? $0.expiryMilliseconds : now } ?? now
    held[name] = (token, until, host)
    client.token = token
    client.deadline = .max
    clients[host][connection] = client
  }

  /// What is wrong with giving a lock now.
  func problem(granting name: [UInt8], token: [UInt8], number: Int64, at time: Int64) -> String? {
    if let holder = held[name], holder.until > time, holder.token != token {
      return "two holders"
    }
    defer { lastNumber[name] = number }
    if let last = lastNumber[name], number <= last { return "the fencing number fell" }
    return nil
  }

  private func checkLimits() {
    for (host, table) in tables.enumerated() {
      let waiting = table.entries.values.reduce(0) { $0 + $1.waiters.count }
      if waiting != table.waiterCount { problems.append("waiters are miscounted") }
      for client in clients[host].values where client.token == nil && client.deadline < now - 3000 {
        problems.append("a waiter was forgotten")
      }
    }
  }

  /// Everything is answered in the end, and nothing is left.
  private func heal() {
    for host in tables.indices { verified(host, true) }
    for _ in 0..<2000 where problems.isEmpty {
      while !calls.isEmpty { deliver() }
      for host in tables.indices {
        tables[host].expire(nowMilliseconds: now, random: &random)
        collect(host)
      }
      now += 10
    }
    for host in tables.indices {
      if clients[host].values.contains(where: { $0.token == nil }) {
        problems.append("a command was never answered")
      }
      if !tables[host].entries.isEmpty { problems.append("something is left behind") }
    }
  }

  private func key(_ call: RedisCall) -> [UInt8] {
    guard case .script(_, let keys, _) = call.body else { return [] }
    return keys[0]
  }

  private func name(_ lock: Int) -> [UInt8] {
    let configuration = SessionConfiguration()
    guard let id = SessionID(Array(Self.locks[lock].utf8)) else { return [] }
    return SessionKeys(prefix: "").lock(id.stored(as: configuration.idStorage))
  }
}
