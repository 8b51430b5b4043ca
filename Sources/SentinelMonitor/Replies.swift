// SPDX-License-Identifier: Apache-2.0

import Failover
import RESP

// Replies of Sentinel and Redis as the tracker's observations.

extension MasterRecord {
  /// From the flat map of `SENTINEL MASTER`.
  init?(_ value: RESPValue) {
    guard let fields = value.dictionary,
      let epoch = fields["config-epoch"]?.integerValue, epoch >= 0,
      let flags = fields["flags"]?.text
    else { return nil }
    self.init(
      configEpoch: UInt64(epoch), flags: .parse(flags),
      failoverState: fields["failover-state"]?.text,
      quorum: Int(fields["quorum"]?.integerValue ?? 1),
      otherSentinels: Int(fields["num-other-sentinels"]?.integerValue ?? 0))
  }
}

extension PeerSentinel {
  /// From an element of `SENTINEL SENTINELS`.
  init?(_ value: RESPValue) {
    guard let fields = value.dictionary, let id = fields["runid"]?.text, !id.isEmpty,
      let address = NodeAddress(fields: fields)
    else { return nil }
    self.init(address: address, id: id, flags: .parse(fields["flags"]?.text ?? ""))
  }
}

extension ReplicaRecord {
  /// From an element of `SENTINEL REPLICAS`.
  init?(_ value: RESPValue) {
    guard let fields = value.dictionary, let address = NodeAddress(fields: fields) else {
      return nil
    }
    self.init(
      address: address, flags: .parse(fields["flags"]?.text ?? ""),
      priority: Int(fields["slave-priority"]?.integerValue ?? 100),
      isLinkedToMaster: fields["master-link-status"]?.text == "ok",
      offset: UInt64(max(0, fields["slave-repl-offset"]?.integerValue ?? 0)))
  }
}

extension NodeAddress {
  /// From `ip` and `port` (the `ip` is a name where `resolve-hostnames` is on).
  init?(fields: [String: RESPValue]) {
    guard let host = fields["ip"]?.text, let port = fields["port"]?.text else { return nil }
    self.init(host: host, portText: port)
  }
}

extension SentinelPoll {
  /// The commands of a poll; with the lists of peers and replicas if wanted.
  static func commands(masterName: String, withLists: Bool) -> [[String]] {
    var commands = [
      ["SENTINEL", "MYID"],
      ["SENTINEL", "MASTER", masterName],
      ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName],
      ["SENTINEL", "MASTER", masterName],
    ]
    if withLists {
      commands.append(["SENTINEL", "SENTINELS", masterName])
      commands.append(["SENTINEL", "REPLICAS", masterName])
    }
    return commands
  }

  /// Reads the replies to `commands`.
  init(address: NodeAddress, replies: [RESPValue]) throws(ConnectionError) {
    guard replies.count >= 4, let id = try Self.known(replies[0])?.text else {
      throw ConnectionError(failure: .malformed("no MYID: not a Sentinel of 6.2 or later"))
    }
    self.init(
      address: address, id: id, before: try Self.record(replies[1]),
      master: try Self.address(replies[2]), after: try Self.record(replies[3]))
    if replies.count >= 6 {
      peers = (try Self.known(replies[4])?.elements ?? []).compactMap { PeerSentinel($0) }
      replicas = (try Self.known(replies[5])?.elements ?? []).compactMap { ReplicaRecord($0) }
    }
  }

  /// Nil when the sentinel does not know the name.
  private static func known(_ reply: RESPValue) throws(ConnectionError) -> RESPValue? {
    switch reply {
    case .error(let message):
      if message.hasPrefix("ERR No such master") { return nil }
      throw .classify(message)
    case .null: return nil
    case .simple, .integer, .bulk, .array, .map, .set, .double, .boolean, .bigNumber, .verbatim,
      .push:
      return reply
    }
  }

  private static func record(_ reply: RESPValue) throws(ConnectionError) -> MasterRecord? {
    guard let reply = try known(reply) else { return nil }
    guard let record = MasterRecord(reply) else {
      throw ConnectionError(failure: .malformed("SENTINEL MASTER without epoch or flags"))
    }
    return record
  }

  private static func address(_ reply: RESPValue) throws(ConnectionError) -> NodeAddress? {
    guard let words = try known(reply)?.elements else { return nil }
    guard words.count == 2, let host = words[0].text, let port = words[1].text,
      let address = NodeAddress(host: host, portText: port)
    else {
      throw ConnectionError(failure: .malformed("GET-MASTER-ADDR-BY-NAME without an address"))
    }
    return address
  }
}

extension NodeIdentity {
  /// The commands of a probe. ROLE comes last: it is what changes.
  static let commands = [["INFO", "server"], ["INFO", "replication"], ["ROLE"]]

  /// Reads the replies to `commands`.
  init(replies: [RESPValue]) throws(ConnectionError) {
    for reply in replies {
      if case .error(let message) = reply { throw .classify(message) }
    }
    guard replies.count == 3, let server = replies[0].text, let replication = replies[1].text,
      let role = replies[2].elements, let word = role.first?.text
    else { throw ConnectionError(failure: .malformed("no ROLE")) }
    guard let runID = Self.field("run_id", of: server) else {
      throw ConnectionError(failure: .malformed("INFO server without run_id"))
    }
    self.init(
      role: word, runID: runID, replicationID: Self.field("master_replid", of: replication) ?? "",
      secondReplicationID: Self.field("master_replid2", of: replication) ?? "",
      secondOffset: Self.field("second_repl_offset", of: replication).flatMap { Int64($0) } ?? -1)
    readRole(role)
  }

  /// master: role, offset, replicas; slave: role, host, port, state, offset.
  private mutating func readRole(_ words: [RESPValue]) {
    let place = isMaster ? 1 : 4
    guard place < words.count else { return }
    offset = UInt64(max(0, words[place].integerValue ?? 0))
    if isMaster {
      replicaCount = words.count > 2 ? words[2].elements?.count ?? 0 : 0
    } else if let host = words[1].text, let port = words[2].integerValue {
      master = NodeAddress(host: host, portText: "\(port)")
      isLinkedToMaster = words[3].text == "connected"
    }
  }

  private static func field(_ name: String, of info: String) -> String? {
    let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
    return line.map { String($0.dropFirst(name.utf8.count + 1)) }
  }
}
