// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions

// Ends of sessions that no replica has confirmed: denied here, and tried again until one has.
extension Shard {
  /// Denies sessions that another shard was told of, or that were denied before the daemon's restart.
  ///
  /// - Parameter isOwner: This shard is the one that makes it certain.
  public func deny(_ denial: PendingDenial, isOwner: Bool, nowMilliseconds: Int64) {
    now = nowMilliseconds
    deny(denial)
    if isOwner { retryLater(denial, failures: 0) }
  }

  /// A replica has it: Redis itself says that these sessions are over.
  public func allow(_ denial: PendingDenial) { denials.remove(denial.handles) }

  func deny(_ denial: PendingDenial) {
    denials.add(denial.handles, since: now + denial.delayMilliseconds)
  }

  func retryLater(_ denial: PendingDenial, failures: Int) {
    guard denialRetries.count < configuration.denialsMax else { return }
    let backoff: Int64 = min(60_000, Int64(1000) << Int64(min(failures, 6)))
    denialRetries.append(
      DenialRetry(
        denial: denial, failures: failures,
        dueMilliseconds: now + max(backoff, denial.delayMilliseconds)))
  }

  /// Begins what is due, a few at a time.
  func retryDenials() {
    guard !denialRetries.isEmpty, view.isServing, !isFenced else { return }
    let steward = steward
    while steward.natives.count < 16,
      let index = denialRetries.firstIndex(where: { $0.dueMilliseconds <= now })
    {
      let due = denialRetries.remove(at: index)
      guard var operation = SessionOperation.retry(due.denial, sessionContext) else {
        return
      }
      let step = operation.start(nowMilliseconds: now)
      begin(steward, operation, step, .denial(due.denial, failures: due.failures))
    }
  }

  /// The client in whose name the daemon runs native commands of its own. It has no connection.
  var steward: Client {
    if let client = stewardID.flatMap({ clients[$0] }) { return client }
    let client = clients.insert {
      Client(
        id: $0, peer: nil, entrance: .inside, configuration: configuration, nowMilliseconds: now)
    }
    client.isSteward = true
    client.durability = .async
    stewardID = client.id
    return client
  }

  /// Clients that have a connection.
  var connectedCount: Int { clients.count - (stewardID == nil ? 0 : 1) }
}
