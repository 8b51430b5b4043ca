// SPDX-License-Identifier: Apache-2.0
import RESP

extension Topology {
  /// Waits until every node and sentinel that answers sees the same: one master, all other nodes its
  /// linked replicas, all sentinels connected to each other.
  /// - Throws: `LabError.timeout`, with what did not agree last.
  public func waitUntilAgreed(timeoutMilliseconds: Int = 40_000) async throws {
    try await eventually("agreement of all", within: timeoutMilliseconds, every: 50) {
      let master = try await self.currentMaster()
      try await self.checkNodes(under: master)
      for sentinel in self.sentinels where sentinel.isAnswering {
        try await self.check(sentinel, master: master)
      }
      return true
    }
  }

  private func checkNodes(under master: Node) async throws {
    let offset = try await advance(master)
    for node in nodes where node.isAnswering && node !== master {
      let role = try await role(of: node)
      guard role.count > 4, role[2].integerValue == Int64(master.port),
        role[3].text == "connected", role[4].integerValue ?? 0 >= offset
      else { throw LabError.failed("\(node) under \(master) at \(offset) says \(role)") }
    }
  }

  /// Sends replicas something that leaves no trace; returns the offset behind it.
  ///
  /// A replica says "connected" up to a second before the master streams to it: where its first acknowledgement came
  /// before the end of the process that wrote the RDB was noticed, the next one is waited for
  /// (`replication.c`, `repl_start_cmd_stream_on_ack`). Promoted in that second it would lack all of it.
  private func advance(_ master: Node) async throws -> Int64 {
    let published = try await master.query(["PUBLISH", "lab:agreement", ""])
    let role = try await role(of: master)
    guard case .integer = published, role.count > 1, role[0].text == "master",
      let offset = role[1].integerValue
    else { throw LabError.failed("\(master) says \(published) and \(role)") }
    return offset
  }

  private func check(_ sentinel: Node, master: Node) async throws {
    guard try await self.master(by: sentinel) === master else {
      throw LabError.failed("\(sentinel) does not name \(master)")
    }
    // A sentinel's or replica's flags are its kind alone where it is well.
    let entries = try await [
      list(sentinel, "SENTINELS"), list(sentinel, "REPLICAS"),
      [sentinel.query(["SENTINEL", "MASTER", options.masterName])],
    ].joined()
    var seen: Set<Int> = []
    for entry in entries {
      guard let fields = entry.dictionary, let port = fields["port"]?.integerValue else {
        throw LabError.failed("\(sentinel) says \(entry)")
      }
      seen.insert(Int(port))
      // What is known to be down may look as it likes.
      guard let other = node(port: Int(port)), other.isAnswering else { continue }
      let flags = fields["flags"]?.text ?? ""
      let link = fields["master-link-status"]?.text ?? "ok"
      guard ["master", "slave", "sentinel"].contains(flags), link == "ok" else {
        throw LabError.failed("\(sentinel) sees \(other) as \(flags), link \(link)")
      }
    }
    let expected = (nodes + sentinels).filter { $0.isAnswering && $0 !== sentinel }
    if let missing = expected.first(where: { !seen.contains($0.port) }) {
      throw LabError.failed("\(sentinel) does not know \(missing)")
    }
  }

  private func list(_ sentinel: Node, _ what: String) async throws -> [RESPValue] {
    try await sentinel.query(["SENTINEL", what, options.masterName]).elements ?? []
  }
}
