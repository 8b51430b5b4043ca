// SPDX-License-Identifier: Apache-2.0
import RESP

/// What a Redis process holds. A replica that took over without loss shares it with the old master.
final class FakeStore {
  /// By database.
  var values: [Int: [String: String]] = [:]
  /// How often each key was changed, for `WATCH`.
  var changes: [String: Int] = [:]
  /// Every command that reached the data, in order.
  var executed: [String] = []
}

/// What a fake Redis does with a command instead of what it should.
enum Fault {
  case error(String)
  /// The connection is reset; the command was, or was not, executed.
  case dropBefore, dropAfter
}

/// A Redis process in memory: as much of it as the data path can tell apart.
final class FakeMaster {
  let port: Int
  var runID: String
  let store: FakeStore
  var role = "master"
  var password: String?
  var scripts: Set<String> = []
  /// `notify-keyspace-events`.
  var keyspaceEvents = ""
  /// How scripts are named.
  var digest: (String) -> String = FakeConnection.digest
  /// What an `EVALSHA` of a loaded script answers, as bytes; nil: as always.
  var scriptAnswer: ((_ command: [String]) -> [UInt8]?)?
  /// Replicas that have everything.
  var replicaCount = 2
  /// `WAIT` is not answered until this ends.
  var isHoldingWaits = false {
    didSet {
      guard !isHoldingWaits else { return }
      for connection in readyConnections where connection.blockedOn == FakeConnection.wait {
        connection.blockedOn = nil
        connection.outbox.writeInteger(Int64(replicaCount))
      }
    }
  }
  /// It reads nothing, as a stopped process.
  var isFrozen = false
  /// It executes but its replies stay on the way.
  var isHoldingReplies = false
  var fault: ((_ command: String, _ connection: FakeConnection) -> Fault?)?
  var connections: [Int64: FakeConnection] = [:]
  /// Every command that arrived, the daemon's own too.
  var log: [String] = []
  var databasesMax = 16
  private var connectionCount: Int64 = 0

  init(port: Int = 6379, runID: String = "run-a", store: FakeStore = FakeStore()) {
    self.port = port
    self.runID = runID
    self.store = store
  }

  func accept() -> FakeConnection {
    connectionCount += 1
    let connection = FakeConnection(id: connectionCount, master: self)
    connections[connectionCount] = connection
    return connection
  }

  var readyConnections: [FakeConnection] {
    connections.values.filter { !$0.isGone }.sorted { $0.id < $1.id }
  }

  func publish(_ channel: String, _ text: String) {
    for connection in readyConnections where connection.channels.contains(channel) {
      connection.outbox.writePushHeader(3, connection.version)
      for word in ["message", channel, text] { connection.outbox.writeBulk(word) }
    }
  }
}

/// A connection as Redis sees it.
final class FakeConnection {
  let id: Int64
  unowned let master: FakeMaster
  var inbox: [UInt8] = []
  var outbox: [UInt8] = []
  /// Redis has closed it, or `CLIENT KILL` did.
  var isGone = false
  /// Its other end is closed; what it has sent is executed all the same.
  var isAbandoned = false
  var database = 0
  var version = RESPVersion.two
  var isAuthenticated = false
  var channels: Set<String> = []
  var queued: [[String]]?
  var isDirty = false
  var watched: [String: Int] = [:]
  var blockedOn: String?
  private var scanner = RequestScanner(limits: ScanLimits())

  init(id: Int64, master: FakeMaster) {
    self.id = id
    self.master = master
  }

  /// Executes up to `limit` commands of what has arrived; returns how many.
  @discardableResult func run(limit: Int = .max) -> Int {
    var count = 0
    while count < limit, !isGone, !master.isFrozen, blockedOn == nil, let command = takeCommand() {
      count += 1
      take(command)
    }
    return count
  }

  private func takeCommand() -> [String]? {
    let found: ([String], Int)? = inbox.withUnsafeBytes { bytes in
      guard let request = try? scanner.next(in: bytes, from: 0) else { return nil }
      let words = scanner.arguments.map {
        String(decoding: bytes[$0.start..<$0.end], as: UTF8.self)
      }
      return (words, request.byteCount)
    }
    guard let (words, byteCount) = found else { return nil }
    inbox.removeFirst(byteCount)
    return words
  }

  private func take(_ command: [String]) {
    let line = command.joined(separator: " ")
    master.log.append(line)
    switch master.fault?(line, self) {
    case .dropBefore: return end()
    case .dropAfter:
      answer(command)
      return end()
    case .error(let text):
      outbox.writeError(text)
      if queued != nil { isDirty = true }
    case nil: answer(command)
    }
  }

  /// Closed by Redis: nothing it still had to say arrives.
  func end() {
    isGone = true
    outbox = []
    inbox = []
    master.connections[id] = nil
  }

  private func answer(_ command: [String]) {
    let name = command[0].uppercased()
    if master.password != nil, !isAuthenticated, !["AUTH", "HELLO", "RESET"].contains(name) {
      return outbox.writeError("NOAUTH Authentication required.")
    }
    let isSubscribed = !channels.isEmpty && version == .two
    if isSubscribed, !["SUBSCRIBE", "UNSUBSCRIBE", "PING", "RESET"].contains(name) {
      return outbox.writeError("ERR Can't execute '\(name.lowercased())': only ...")
    }
    if ["EXEC", "DISCARD"].contains(name), command.count > 1 { return answerMalformed(name) }
    if queued != nil, !["EXEC", "DISCARD", "MULTI", "WATCH", "RESET"].contains(name) {
      if isRefused(name) {
        isDirty = true
        return outbox.writeError(FakeConnection.readOnly)
      }
      queued?.append(command)
      return outbox.writeSimple("QUEUED")
    }
    if !answerConnection(name, command) { execute(name, command) }
  }

  private func answerMalformed(_ name: String) {
    let text = "wrong number of arguments for '\(name.lowercased())' command"
    guard name == "EXEC" else {
      isDirty = true
      return outbox.writeError("ERR \(text)")
    }
    (queued, watched) = (nil, [:])
    outbox.writeError("EXECABORT Transaction discarded because of: \(text)")
  }

  private func answerConnection(_ name: String, _ command: [String]) -> Bool {
    switch name {
    case "AUTH":
      isAuthenticated = command.last == master.password
      if isAuthenticated {
        outbox.writeSimple("OK")
      } else {
        outbox.writeError("WRONGPASS invalid username-password pair or user is disabled.")
      }
    case "HELLO":
      if command.count > 2 { isAuthenticated = command[4] == master.password }
      version = command.count > 1 && command[1] == "3" ? .three : .two
      outbox.writeMapHeader(1, version)
      outbox.writeBulk("proto")
      outbox.writeInteger(Int64(version.rawValue))
    case "CLIENT": answerClient(command)
    case "SELECT":
      guard let number = Int(command[1]), number < master.databasesMax else {
        outbox.writeError("ERR DB index is out of range")
        break
      }
      database = number
      outbox.writeSimple("OK")
    case "INFO": outbox.writeBulk("# Server\r\nredis_version:7.0.15\r\nrun_id:\(master.runID)\r\n")
    case "ROLE":
      outbox.writeArrayHeader(1)
      outbox.writeBulk(master.role)
    case "RESET":
      (database, version, channels, queued) = (0, .two, [], nil)
      (watched, isAuthenticated) = ([:], false)
      outbox.writeSimple("RESET")
    case "PING" where !channels.isEmpty && version == .two:
      outbox.writeArrayHeader(2)
      outbox.writeBulk("pong")
      outbox.writeBulk(command.count > 1 ? command[1] : "")
    case "PING":
      if command.count > 1 { outbox.writeBulk(command[1]) } else { outbox.writeSimple("PONG") }
    case "SUBSCRIBE", "UNSUBSCRIBE": subscribe(name, command)
    case "MULTI":
      queued = []
      isDirty = false
      outbox.writeSimple("OK")
    case "DISCARD":
      queued = nil
      watched = [:]
      outbox.writeSimple("OK")
    case "EXEC": executeQueued()
    case "WATCH":
      for key in command.dropFirst() { watched[key] = master.store.changes[key] ?? 0 }
      outbox.writeSimple("OK")
    case "UNWATCH":
      watched = [:]
      outbox.writeSimple("OK")
    default: return false
    }
    return true
  }

  private func answerClient(_ command: [String]) {
    switch command[1].uppercased() {
    case "ID": outbox.writeInteger(id)
    case "KILL":
      let victim = Int64(command[3]).flatMap { master.connections[$0] }
      victim?.end()
      outbox.writeInteger(victim == nil ? 0 : 1)
    default: outbox.writeSimple("OK")
    }
  }

  private func subscribe(_ name: String, _ command: [String]) {
    for channel in command.count > 1 ? Array(command.dropFirst()) : channels.sorted() {
      if name == "SUBSCRIBE" { channels.insert(channel) } else { channels.remove(channel) }
      outbox.writePushHeader(3, version)
      outbox.writeBulk(name.lowercased())
      outbox.writeBulk(channel)
      outbox.writeInteger(Int64(channels.count))
    }
  }

  private func executeQueued() {
    guard let commands = queued else { return outbox.writeError("ERR EXEC without MULTI") }
    queued = nil
    defer { watched = [:] }
    if isDirty {
      return outbox.writeError("EXECABORT Transaction discarded because of previous errors.")
    }
    if watched.contains(where: { (master.store.changes[$0.key] ?? 0) != $0.value }) {
      return outbox.writeNullArray(version)
    }
    if commands.contains(where: { isRefused($0[0].uppercased()) }) {
      return outbox.writeError(
        "EXECABORT Transaction discarded because of: \(FakeConnection.readOnly)")
    }
    outbox.writeArrayHeader(commands.count)
    for command in commands { execute(command[0].uppercased(), command) }
  }
}
