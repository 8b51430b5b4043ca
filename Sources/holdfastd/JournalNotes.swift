// SPDX-License-Identifier: Apache-2.0
import Failover
import Systemd

extension JournalEvent {
  /// What the tracker notes, as the journal has it.
  init(_ note: TrackerNote) {
    self.init(
      priority: Self.priority(note.severity), messageID: Self.kind(note), message: "\(note)",
      fields: Self.fields(note))
  }

  private static func priority(_ severity: TrackerNote.Severity) -> Priority {
    switch severity {
    case .info: .info
    case .notice: .notice
    case .warning: .warning
    case .error: .error
    }
  }

  private static func kind(_ note: TrackerNote) -> Event {
    switch note {
    case .masterSwitched: .masterSwitched
    case .generationAbandoned: .generationAbandoned
    case .fenceRaised: .writesFenced
    case .fenceLifted: .writesUnfenced
    case .generationConfirmed: .generationConfirmed
    case .masterReachable: .masterReachable
    case .masterUnreachableFromHere: .masterUnreachable
    case .staleMasterRefused: .staleMasterRefused
    case .hopeless: .masterLost
    case .failoverStarted: .failoverStarted
    case .failoverAborted: .failoverAborted
    case .subjectivelyDown: .masterSubjectivelyDown
    case .objectivelyDown: .masterObjectivelyDown
    case .masterUp: .masterUp
    case .sentinelLost, .masterNameUnknown: .sentinelLost
    case .sentinelBack: .sentinelBack
    case .quorumLost: .quorumLost
    case .quorumRestored: .quorumRestored
    case .sentinelsDisagree: .sentinelsDisagree
    case .sentinelSetChanged: .sentinelSetChanged
    case .tilt: .sentinelTilt
    case .replicaChanged: .replicaChanged
    case .authenticationFailed(_, _, let message):
      message.hasPrefix(TLSFailure.prefix) ? .tlsFailed : .authenticationFailed
    }
  }

  private static func fields(_ note: TrackerNote) -> [(String, String)] {
    switch note {
    case .masterSwitched(let old, let new, let epoch, let generation, let evidence):
      [
        ("HOLDFAST_OLD_MASTER", old.map { "\($0)" } ?? ""), ("HOLDFAST_MASTER", "\(new)"),
        ("HOLDFAST_EPOCH", "\(epoch)"), ("HOLDFAST_GENERATION", "\(generation)"),
        ("HOLDFAST_EVIDENCE", evidence),
      ]
    case .masterReachable(let node, let generation):
      [("HOLDFAST_MASTER", "\(node)"), ("HOLDFAST_GENERATION", "\(generation)")]
    case .masterUnreachableFromHere(let node, _), .staleMasterRefused(let node, _),
      .replicaChanged(let node, _), .authenticationFailed(let node, _, _):
      [("HOLDFAST_NODE", "\(node)")]
    case .subjectivelyDown(let node, let sentinel), .objectivelyDown(let node, let sentinel),
      .masterUp(let node, let sentinel):
      [("HOLDFAST_NODE", "\(node)"), ("HOLDFAST_SENTINEL", "\(sentinel)")]
    case .failoverStarted(let sentinel), .failoverAborted(let sentinel, _),
      .sentinelLost(let sentinel, _), .sentinelBack(let sentinel), .tilt(let sentinel, _),
      .masterNameUnknown(let sentinel):
      [("HOLDFAST_SENTINEL", "\(sentinel)")]
    case .generationConfirmed(let generation): [("HOLDFAST_GENERATION", "\(generation)")]
    case .quorumLost(let alive, let needed), .quorumRestored(let alive, let needed):
      [("HOLDFAST_SENTINELS_ALIVE", "\(alive)"), ("HOLDFAST_SENTINELS_NEEDED", "\(needed)")]
    case .sentinelsDisagree(let epoch, let masters):
      [
        ("HOLDFAST_EPOCH", "\(epoch)"),
        ("HOLDFAST_MASTERS", masters.map(\.description).joined(separator: " ")),
      ]
    case .sentinelSetChanged(let sentinels):
      [("HOLDFAST_SENTINELS", sentinels.map(\.description).joined(separator: " "))]
    case .generationAbandoned(let generation, let node):
      [("HOLDFAST_NODE", "\(node)"), ("HOLDFAST_GENERATION", "\(generation)")]
    case .fenceRaised(let number, _), .fenceLifted(let number, _):
      [("HOLDFAST_FENCE", "\(number)")]
    case .hopeless: []
    }
  }
}
