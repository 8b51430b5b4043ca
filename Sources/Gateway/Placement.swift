// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import Proxy

/// How many clients each shard serves, so that a new one goes where there are fewest.
///
/// All shards wait on the same listening socket, and the kernel wakes mostly the same one: left to that, one thread would
/// serve nearly all.
final class Placement: Sendable {
  private let counts: NIOLockedValueBox<[Int]>
  private let shards = NIOLockedValueBox<[NIOLoopBound<ShardLoop>]>([])

  init(shardCount: Int) {
    counts = NIOLockedValueBox([Int](repeating: 0, count: shardCount))
  }

  /// Which shard is to serve a client that this one has accepted; itself where no other serves fewer.
  func place(acceptedBy index: Int) -> Int {
    counts.withLockedValue { counts in
      var place = index
      for other in counts.indices where counts[other] < counts[place] { place = other }
      counts[place] += 1
      return place
    }
  }

  /// A client of this shard has gone.
  func left(_ index: Int) { counts.withLockedValue { $0[index] -= 1 } }

  /// From here on clients can be handed over.
  func follow(_ shards: [NIOLoopBound<ShardLoop>]) { self.shards.withLockedValue { $0 = shards } }

  /// Has another shard serve a client.
  func hand(_ descriptor: CInt, _ entrance: Entrance, to index: Int) {
    let shard = shards.withLockedValue { $0[index] }
    shard.eventLoop.execute { shard.value.serve(descriptor, entrance) }
  }
}
