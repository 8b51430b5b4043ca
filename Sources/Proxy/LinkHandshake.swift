// SPDX-License-Identifier: Apache-2.0
import RESP

/// What a new connection to Redis says about the node at its other end.
struct LinkFacts: Equatable {
  var clientID: Int64?
  var runID: String?
  var redisVersion: String?
  /// Whether every older connection is certain to execute nothing more.
  var isPredecessorVoid = true
}

/// Makes a fresh connection usable: authenticates, selects, and verifies that the node is the master
/// and the process it is taken for; then ends what given-up connections may still hold.
///
/// `CLIENT KILL ID` waits for the run_id: ids start again at a restart, and might name another's connection.
struct LinkHandshake {
  enum Failure: Error, Equatable {
    case authentication(String)
    case notMaster(String)
    case runIDChanged(String)
    /// The database cannot be selected; Redis' own words.
    case database(String)
    case loading
    case busy
    case refused(String)
  }

  enum Outcome: Equatable {
    case more
    case send([UInt8])
    case ready(LinkFacts)
    case failed(Failure)
  }

  private enum Step: Equatable {
    case reset, auth, hello, name, select, clientID, info, role, kill
  }

  private let expectedRunID: String?
  private let predecessors: [Int64]
  /// A given-up connection whose id is not known cannot be killed.
  private let hasNamelessPredecessor: Bool
  private var steps: [Step] = []
  private var next = 0
  private var facts = LinkFacts()

  /// `predecessors`: connections of the same process that were given up.
  init(
    version: RESPVersion, database: Int, credentials: Credentials?, expectedRunID: String?,
    predecessors: [Int64?], isReset: Bool, request: inout [UInt8]
  ) {
    self.expectedRunID = expectedRunID
    self.predecessors = predecessors.compactMap { $0 }
    hasNamelessPredecessor = predecessors.contains(nil)
    if isReset { add(.reset, ["RESET"], &request) }
    let secret = credentials.map { [$0.username ?? "default", $0.password] } ?? []
    switch version {
    case .three:
      add(.hello, ["HELLO", "3"] + (secret.isEmpty ? [] : ["AUTH"] + secret), &request)
    case .two:
      if let credentials {
        let user = credentials.username.map { [$0] } ?? []
        add(.auth, ["AUTH"] + user + [credentials.password], &request)
      }
    }
    add(.name, ["CLIENT", "SETNAME", "holdfast"], &request)
    if database != 0 { add(.select, ["SELECT", "\(database)"], &request) }
    add(.clientID, ["CLIENT", "ID"], &request)
    add(.info, ["INFO", "server"], &request)
    add(.role, ["ROLE"], &request)
  }

  /// Whether a database stays refused. Anything else passes, and must not take it from everyone until then.
  static func isFinalRefusal(_ text: String) -> Bool {
    text.hasPrefix("ERR ") || text.hasPrefix("NOPERM")
  }

  private mutating func add(_ step: Step, _ command: [String], _ request: inout [UInt8]) {
    steps.append(step)
    request.writeCommand(command)
  }

  /// Takes the next reply.
  mutating func receive(_ reply: RESPValue) -> Outcome {
    guard next < steps.count else { return .failed(.refused("a reply that nobody asked for")) }
    let step = steps[next]
    next += 1
    if let failure = failure(of: step, reply) { return .failed(failure) }
    learn(step, reply)
    guard next == steps.count else { return .more }
    if step == .kill || (predecessors.isEmpty && !hasNamelessPredecessor) { return .ready(facts) }
    return killPredecessors()
  }

  private mutating func killPredecessors() -> Outcome {
    if hasNamelessPredecessor { facts.isPredecessorVoid = false }
    guard !predecessors.isEmpty else { return .ready(facts) }
    var request: [UInt8] = []
    for id in predecessors { add(.kill, ["CLIENT", "KILL", "ID", "\(id)"], &request) }
    return .send(request)
  }

  private mutating func learn(_ step: Step, _ reply: RESPValue) {
    switch step {
    case .clientID: facts.clientID = reply.integerValue
    case .info: learnServer(reply)
    case .kill: if reply.integerValue == nil { facts.isPredecessorVoid = false }
    case .reset, .auth, .hello, .name, .select, .role: break
    }
  }

  private mutating func learnServer(_ reply: RESPValue) {
    for line in (reply.text ?? "").split(whereSeparator: \.isNewline) {
      if line.hasPrefix("run_id:") { facts.runID = String(line.dropFirst("run_id:".count)) }
      if line.hasPrefix("redis_version:") {
        facts.redisVersion = String(line.dropFirst("redis_version:".count))
      }
    }
  }

  private func failure(of step: Step, _ reply: RESPValue) -> Failure? {
    if case .error(let text) = reply { return failure(of: step, text) }
    switch step {
    case .role:
      let role = reply.elements?.first?.text ?? "nothing"
      return role == "master" ? nil : .notMaster(role)
    case .info:
      // Learned before it is compared, so look at the reply itself.
      var found = self
      found.learnServer(reply)
      guard let expectedRunID, let runID = found.facts.runID, runID != expectedRunID else {
        return nil
      }
      return .runIDChanged(runID)
    case .reset, .auth, .hello, .name, .select, .clientID, .kill: return nil
    }
  }

  private func failure(of step: Step, _ text: String) -> Failure? {
    if text.hasPrefix("LOADING") { return .loading }
    if text.hasPrefix("ERR max number of clients") { return .busy }
    if text.hasPrefix("NOAUTH") { return .authentication(text) }
    switch step {
    case .auth, .hello: return .authentication(text)
    case .select:
      if Self.isFinalRefusal(text) { return .database(text) }
      return text.hasPrefix("BUSY") ? .busy : .refused(text)
    case .role: return .refused(text)
    // An ACL may forbid these; the link works without them.
    case .reset, .name, .clientID, .info, .kill: return nil
    }
  }
}
