// SPDX-License-Identifier: Apache-2.0
import RESP
import Sessions

/// A native command that is not answered yet. An object, so that its operation goes on in place.
final class NativeRun {
  /// Whose it is.
  enum Purpose {
    /// A client's: it gets the reply.
    case client(isSilent: Bool)
    /// The daemon's: makes certain that what a client was told to be ended stays so.
    case denial(PendingDenial, failures: Int)
    /// The queue of locks': one call, whose answer it is told under this name.
    case call(ticket: UInt64)
    /// A client's, and the host answers it.
    case asked(isSilent: Bool)
  }

  /// What it waits for.
  enum Wait {
    /// The reply to its call, which is in a link's queue or waits to be sent again.
    case reply
    /// A master, or the end of a fence: its next call is not sent yet.
    case master
    /// Replicas.
    case confirmation
    /// This time.
    case time(Int64)
    /// The host: its queue of locks, or its console.
    case host
  }

  /// Nil where what comes next is decided outside of the shard.
  var operation: SessionOperation?
  let purpose: Purpose
  /// The call that it is about.
  var call: RedisCall?
  var wait = Wait.reply
  /// The generation that its script was loaded in, for it.
  var loadedGeneration: UInt64?

  init(operation: SessionOperation?, purpose: Purpose) {
    self.operation = operation
    self.purpose = purpose
  }

  /// Whether its next call is still to be sent, so that nothing of the same client may be sent before it.
  var isHeldBack: Bool {
    switch wait {
    case .reply, .confirmation: false
    case .master, .time, .host: true
    }
  }
}

extension RedisCall {
  /// As the data path has it.
  var replayClass: ReplayClass {
    switch replay {
    case .read: .read
    case .guarded: .guarded
    case .once: .once
    }
  }
}
