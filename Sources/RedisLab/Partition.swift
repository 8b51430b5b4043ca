// SPDX-License-Identifier: Apache-2.0

extension Topology {
  /// The address that clients of the relays come from, the daemon among them.
  public static let clientSource = "127.0.0.1"

  /// Cuts the network in two: what is in `side` reaches only each other, and so do the others. Takes
  /// back what an earlier cut did. Needs ``TopologyOptions/relayed``.
  /// - Parameter clients: who reaches the clients, the daemon among them: only this part.
  public func partition(_ side: [Node], clients: Reach) {
    for node in nodes + sentinels {
      let isInside = side.contains { $0 === node }
      let others = (nodes + sentinels).filter { other in
        side.contains { $0 === other } != isInside
      }
      var cut = Set(others.compactMap(\.source))
      switch clients {
      case .all: break
      case .side: if !isInside { cut.insert(Self.clientSource) }
      case .others: if isInside { cut.insert(Self.clientSource) }
      }
      node.relay?.cutSources = cut
    }
  }

  /// Which part of a cut network clients reach.
  public enum Reach: Sendable {
    /// Both parts.
    case all
    /// The part that was named.
    case side
    /// The rest.
    case others
  }

  /// Cuts clients alone off from some nodes; the nodes see each other. Takes back what an earlier cut
  /// did.
  public func cutClients(from cut: [Node]) {
    for node in nodes + sentinels {
      node.relay?.cutSources = cut.contains { $0 === node } ? [Self.clientSource] : []
    }
  }

  /// Mends the network; what got stuck arrives late.
  public func heal() {
    for node in nodes + sentinels { node.relay?.cutSources = [] }
  }
}
