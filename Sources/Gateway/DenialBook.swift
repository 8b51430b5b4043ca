// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Proxy
import Sessions

/// Ended sessions that no replica has confirmed: told to every shard, and kept across a restart.
final class DenialBook: Sendable {
  private struct State {
    var denials: [PendingDenial] = []
    var shards: [NIOLoopBound<ShardLoop>] = []
    var isSaving = false
    var hasFailed = false
  }

  private let state = NIOLockedValueBox(State())
  private let file: DenialFile?
  private let countMax: Int
  private let note: @Sendable (GatewayNote) -> Void

  init(
    stateDirectory: String?, countMax: Int, note: @escaping @Sendable (GatewayNote) -> Void
  ) {
    file = stateDirectory.map { DenialFile(path: "\($0)/denials") }
    self.countMax = countMax
    self.note = note
  }

  /// Tells these shards from here on, and the first one what the daemon before this one left to be done.
  func follow(_ shards: [NIOLoopBound<ShardLoop>]) {
    let left = file?.load() ?? []
    state.withLockedValue {
      $0.shards = shards
      $0.denials = left
    }
    for (index, shard) in shards.enumerated() {
      shard.eventLoop.execute {
        for denial in left { shard.value.deny(denial, isOwner: index == 0) }
      }
    }
  }

  /// A shard denies this, and makes it certain.
  func add(_ denial: PendingDenial, from index: Int) {
    let others = change(from: index) { denials in
      denials.append(denial)
      if denials.count > countMax { denials.removeFirst() }
    }
    for shard in others {
      shard.eventLoop.execute { shard.value.deny(denial, isOwner: false) }
    }
  }

  /// A replica has it.
  func remove(_ denial: PendingDenial, from index: Int) {
    let others = change(from: index) { denials in
      if let place = denials.firstIndex(of: denial) { denials.remove(at: place) }
    }
    for shard in others { shard.eventLoop.execute { shard.value.allow(denial) } }
  }

  private func change(
    from index: Int, _ body: (inout [PendingDenial]) -> Void
  ) -> [NIOLoopBound<ShardLoop>] {
    let (others, mustSave) = state.withLockedValue { state in
      body(&state.denials)
      let mustSave = file != nil && !state.isSaving
      if mustSave { state.isSaving = true }
      let others = state.shards.enumerated().filter { $0.offset != index }.map(\.element)
      return (others, mustSave)
    }
    // Never on a shard's loop: a disk may be slow.
    if mustSave { NIOThreadPool.singleton.submit { _ in self.save() } }
    return others
  }

  /// Writes what is there now; changes that came meanwhile are written by the next turn.
  private func save() {
    guard let file else { return }
    let denials = state.withLockedValue {
      $0.isSaving = false
      return $0.denials
    }
    let error = file.save(denials)
    let isNew = state.withLockedValue { state in
      defer { state.hasFailed = error != nil }
      return error != nil && !state.hasFailed
    }
    if let error, isNew { note(.denialsNotSaved(error)) }
  }
}
