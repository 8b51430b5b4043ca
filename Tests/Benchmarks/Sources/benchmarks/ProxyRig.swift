// SPDX-License-Identifier: Apache-2.0
import Failover
import Proxy
import RESP

/// A shard between clients that all send the same command and a master that answers from a can.
///
/// One turn is a turn of the event loop: every client sends, the commands leave, the replies come and leave.
final class ProxyRig {
  private static let runID = "0123456789012345678901234567890123456789"
  /// What one read from a socket brings at most.
  private static let readBytes = 64 << 10

  private let shard: Shard
  private var clients: [ClientID] = []
  private let sent: [UInt8]
  /// What one command has on its way to the master.
  private var commandBytes = 0
  private let replyBytes: Int
  /// Enough replies for all commands of one turn.
  private let replies: [UInt8]
  private let expectedBytes: Int
  private var now: Int64 = 1_000
  private var due: [(link: LinkID, count: Int)] = []

  init(clients count: Int, pipeline: Int, request: [UInt8], reply: [UInt8]) throws {
    sent = Sample.repeated(request, pipeline)
    replyBytes = reply.count
    replies = Sample.repeated(reply, count * pipeline)
    expectedBytes = count * pipeline * reply.count
    shard = Shard(configuration: ProxyConfiguration())
    shard.masterChanged(
      MasterView(
        generation: 1, address: NodeAddress(host: "127.0.0.1", port: 6379), runID: Self.runID,
        state: .serving(isProvisional: false)), nowMilliseconds: now)
    try connectLinks()
    for _ in 0..<count {
      clients.append(shard.clientConnected(peer: nil, nowMilliseconds: now))
    }
    try sendFirst(request)
  }

  /// One command, so that what it needs is connected, and shows what becomes of it.
  private func sendFirst(_ request: [UInt8]) throws {
    guard let client = clients.first else { return }
    request.withUnsafeBytes { shard.clientReceived(client, $0, nowMilliseconds: now) }
    var sent: [(link: LinkID, bytes: [UInt8])] = []
    shard.takeLinkOutput { sent.append(($0, Array($1))) }
    if sent.isEmpty {
      try connectLinks { sent.append(($0, $1)) }
    }
    guard let (link, bytes) = sent.first, sent.count == 1 else {
      throw BenchmarkError(description: "the first command did not leave")
    }
    commandBytes = bytes.count
    answer(link, 1)
    shard.takeClientOutput { _, _ in }
  }

  /// Every client's commands, through the shard and back.
  func turn() throws {
    now += 1
    sent.withUnsafeBytes { bytes in
      for client in clients { shard.clientReceived(client, bytes, nowMilliseconds: now) }
    }
    shard.takeLinkOutput { link, bytes in
      self.due.append((link, bytes.count / self.commandBytes))
    }
    for (link, count) in due { answer(link, count) }
    due.removeAll(keepingCapacity: true)
    var outputBytes = 0
    shard.takeClientOutput { outputBytes += $1.count }
    shard.takeActions { _ in }
    guard outputBytes == expectedBytes else {
      throw BenchmarkError(
        description: "clients got \(outputBytes) bytes of replies instead of \(expectedBytes)")
    }
  }

  /// In reads as they come, which cut replies in two.
  private func answer(_ link: LinkID, _ count: Int) {
    replies.withUnsafeBytes { bytes in
      var offset = 0
      let end = count * replyBytes
      while offset < end {
        let next = min(end, offset + Self.readBytes)
        shard.linkReceived(
          link, UnsafeRawBufferPointer(rebasing: bytes[offset..<next]), nowMilliseconds: now)
        offset = next
      }
    }
  }

  // MARK: Coming up

  /// Connects whatever the shard wants connected. `sent`: what leaves then that is no greeting.
  private func connectLinks(_ sent: (LinkID, [UInt8]) -> Void = { _, _ in }) throws {
    for _ in 0..<4 {
      var wanted: [LinkID] = []
      shard.takeActions { if case .connect(let link, _) = $0 { wanted.append(link) } }
      for link in wanted { shard.linkConnected(link, credentials: nil, nowMilliseconds: now) }
      var output: [(link: LinkID, bytes: [UInt8])] = []
      shard.takeLinkOutput { output.append(($0, Array($1))) }
      for (link, bytes) in output {
        let answers = try greet(bytes)
        guard !answers.isEmpty else {
          sent(link, bytes)
          continue
        }
        answers.withUnsafeBytes { shard.linkReceived(link, $0, nowMilliseconds: now) }
      }
    }
    guard shard.statistics.linksReady > 0 else {
      throw BenchmarkError(description: "the shard did not accept the canned master")
    }
  }

  /// Answers a handshake; calls of scripts are left to be answered from the can.
  private func greet(_ request: [UInt8]) throws -> [UInt8] {
    var answers: [UInt8] = []
    var scanner = RequestScanner(limits: ScanLimits())
    try request.withUnsafeBytes { bytes in
      var offset = 0
      while let command = try scanner.next(in: bytes, from: offset) {
        let words = scanner.arguments.map {
          String(decoding: bytes[(offset + $0.start)..<(offset + $0.end)], as: UTF8.self)
        }
        answer(words, &answers)
        offset += command.byteCount
      }
    }
    return answers
  }

  private func answer(_ words: [String], _ answers: inout [UInt8]) {
    guard words.first != "EVALSHA" else { return }
    switch words.prefix(2) {
    case ["CLIENT", "ID"]: answers.writeInteger(7)
    case ["INFO", "server"]: answers.writeBulk("redis_version:7.0.15\r\nrun_id:\(Self.runID)\r\n")
    case ["ROLE"]:
      answers.writeArrayHeader(3)
      answers.writeBulk("master")
      answers.writeInteger(0)
      answers.writeArrayHeader(0)
    default: answers.writeSimple("OK")
    }
  }
}
