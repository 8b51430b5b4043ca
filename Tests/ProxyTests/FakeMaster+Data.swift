// SPDX-License-Identifier: Apache-2.0
import RESP

// The data commands of the fake Redis.
extension FakeConnection {
  private static let writes: Set<String> = [
    "SET", "SETEX", "DEL", "INCR", "APPEND", "EXPIRE", "RPUSH", "BLPOP", "EVALSHA", "MSET",
  ]

  static let wait = "(WAIT)"
  static let readOnly = "READONLY You can't write against a read only replica."

  func isRefused(_ name: String) -> Bool {
    Self.writes.contains(name) && master.role != "master"
  }

  func execute(_ name: String, _ command: [String]) {
    let isWrite = Self.writes.contains(name)
    if isRefused(name) { return outbox.writeError(Self.readOnly) }
    master.store.executed.append(command.joined(separator: " "))
    if isWrite, command.count > 1 { master.store.changes[command[1], default: 0] += 1 }
    let key = command.count > 1 ? command[1] : ""
    let value = self[key]
    switch name {
    case "GET": write(value)
    case "PING": outbox.writeSimple("PONG")
    case "SET":
      if command.dropFirst(3).contains("NX"), value != nil { return write(nil) }
      self[key] = command[2]
      outbox.writeSimple("OK")
    case "MSET":
      for index in stride(from: 1, to: command.count - 1, by: 2) {
        self[command[index]] = command[index + 1]
      }
      outbox.writeSimple("OK")
    case "SETEX":
      self[key] = command[3]
      outbox.writeSimple("OK")
    case "DEL":
      self[key] = nil
      outbox.writeInteger(value == nil ? 0 : 1)
    case "INCR":
      let next = (Int64(value ?? "0") ?? 0) + 1
      self[key] = "\(next)"
      outbox.writeInteger(next)
    case "APPEND":
      self[key] = (value ?? "") + command[2]
      outbox.writeInteger(Int64((self[key] ?? "").utf8.count))
    case "EXPIRE": outbox.writeInteger(value == nil ? 0 : 1)
    case "RPUSH", "BLPOP": executeList(name, key, command)
    case "SCAN": scan(command)
    case "PUBLISH": outbox.writeInteger(0)
    case "WAIT" where master.isHoldingWaits: blockedOn = FakeConnection.wait
    case "WAIT": outbox.writeInteger(Int64(master.replicaCount))
    case "SCRIPT", "EVALSHA": executeScript(name, command)
    case "EVAL": outbox.writeSimple("OK")
    case "CONFIG" where command[1] == "SET":
      master.keyspaceEvents = command[3]
      outbox.writeSimple("OK")
    case "CONFIG":
      outbox.writeMapHeader(1, version)
      outbox.writeBulk(command[2])
      outbox.writeBulk(master.keyspaceEvents)
    default: outbox.writeError("ERR unknown command '\(command[0])'")
    }
  }

  private subscript(_ key: String) -> String? {
    get { master.store.values[database]?[key] }
    set { master.store.values[database, default: [:]][key] = newValue }
  }

  private func write(_ value: String?) {
    if let value { outbox.writeBulk(value) } else { outbox.writeNull(version) }
  }

  private func executeList(_ name: String, _ key: String, _ command: [String]) {
    if name == "BLPOP" {
      guard let value = self[key] else {
        // "0" blocks; anything else has timed out at once.
        if command.last == "0" { blockedOn = key } else { outbox.writeNullArray(version) }
        return
      }
      self[key] = nil
      return pop(key, value)
    }
    outbox.writeInteger(1)
    let waiting = master.readyConnections.first { $0.blockedOn == key }
    guard let waiting else { return self[key] = command[2] }
    waiting.blockedOn = nil
    waiting.pop(key, command[2])
  }

  private func pop(_ key: String, _ value: String) {
    outbox.writeArrayHeader(2)
    outbox.writeBulk(key)
    outbox.writeBulk(value)
  }

  /// Two keys a step; the cursor is how many were given.
  private func scan(_ command: [String]) {
    let keys = (master.store.values[database] ?? [:]).keys.sorted()
    let start = Int(command[1]) ?? 0
    let end = min(start + 2, keys.count)
    outbox.writeArrayHeader(2)
    outbox.writeBulk(end == keys.count ? "0" : "\(end)")
    outbox.writeArrayHeader(end - start)
    for key in keys[start..<end] { outbox.writeBulk(key) }
  }

  /// A script's digest is its text, padded; it sets its first key to that text.
  private func executeScript(_ name: String, _ command: [String]) {
    if name == "SCRIPT" {
      let digest = master.digest(command[2])
      master.scripts.insert(digest)
      return outbox.writeBulk(digest)
    }
    guard master.scripts.contains(command[1].lowercased()) else {
      _ = master.store.executed.popLast()
      return outbox.writeError("NOSCRIPT No matching script. Please use EVAL.")
    }
    if let answer = master.scriptAnswer?(command) { return outbox.append(contentsOf: answer) }
    if command.count > 3 { self[command[3]] = "scripted" }
    outbox.writeBulk("ran")
  }

  static func digest(of script: String) -> String {
    String((script + String(repeating: "0", count: 40)).prefix(40))
  }
}
