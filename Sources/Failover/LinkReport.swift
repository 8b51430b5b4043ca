// SPDX-License-Identifier: Apache-2.0

/// What a shard saw on a link to the master. Each one but `ready` makes the node suspect.
public enum LinkEvent: Hashable, Sendable {
  /// A link connected, authenticated and verified `ROLE`.
  case ready
  /// An established link was closed by the peer or reset.
  case closed
  /// Connecting failed (refused, unreachable, no address).
  case connectFailed
  /// Connecting, or a command, took longer than its timeout.
  case timedOut
  /// A command was answered with READONLY (or UNBLOCKED, after a demotion).
  case readOnly
  /// A command was answered with MASTERDOWN.
  case masterDown
  /// `ROLE` on a new link did not say master; the role it said.
  case notMaster(role: String)
  /// A command was answered with LOADING.
  case loading
  /// A command was answered with BUSY, or the node is at its client limit.
  case busy
  /// A new link found another run_id than the generation's: the process was restarted.
  case runIDChanged(String)
  /// AUTH failed, or the node asks for it (NOAUTH, WRONGPASS, NOPERM); the node's message.
  case authenticationFailed(String)
}

/// A link event with the generation that the link belonged to.
public struct LinkReport: Hashable, Sendable {
  /// The generation of the link; reports of older generations are ignored.
  public var generation: UInt64
  /// What was seen.
  public var event: LinkEvent

  /// Makes a report.
  public init(generation: UInt64, event: LinkEvent) {
    self.generation = generation
    self.event = event
  }
}
