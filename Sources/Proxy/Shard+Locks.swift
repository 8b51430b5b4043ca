// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Sessions

// Locks belong to the host, not to a shard: their commands go to its queue of locks, which asks for calls and answers.
extension Shard {
  /// Hands a command about a lock to the queue of locks. False: it must wait.
  ///
  /// What came before is done with by then, and what comes after begins when it is answered.
  func takeLock(_ client: Client, _ arguments: RequestArguments) -> Bool {
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    guard !mayStillExecute(client) else { return awaitMaster(client) }
    client.hasLocks = true
    actions.append(.lock(ask(client, arguments)))
    return true
  }

  /// A command that is answered outside of the shard; what comes after it waits.
  func ask(_ client: Client, _ arguments: RequestArguments) -> HostAsk {
    let position = client.order.issue()
    counters.commands += 1
    client.block = .settle
    let run = NativeRun(operation: nil, purpose: .asked(isSilent: isSilent(client)))
    run.wait = .host
    client.natives.append(run, at: position)
    return HostAsk(
      client: client.id, position: position, peer: client.peer, version: client.version,
      arguments: (0..<arguments.count).map { Array(arguments[$0]) })
  }

  /// The host answers a client.
  public func answerAsk(
    _ id: ClientID, _ position: UInt64, _ answer: SessionReply, nowMilliseconds: Int64
  ) {
    now = nowMilliseconds
    guard let client = clients[id], let run = client.natives[position] else { return }
    finishNative(client, position, run, answer)
    runResumeQueue()
  }

  /// The queue of locks asks Redis; the answer is ``Action/callAnswered(ticket:_:)``.
  public func run(_ call: RedisCall, ticket: UInt64, nowMilliseconds: Int64) {
    now = nowMilliseconds
    begin(steward, nil, .call(call), .call(ticket: ticket))
  }

  func endCall(_ client: Client, _ position: UInt64, _ run: NativeRun, _ value: RESPValue) {
    if case .call(let ticket) = run.purpose {
      actions.append(.callAnswered(ticket: ticket, value))
    }
    finishNative(client, position, run, .value(value))
  }

  // MARK: Ends of owners

  /// A process is gone: told back once nothing of it can reach Redis any more.
  public func processGone(_ key: UInt64, nowMilliseconds: Int64) {
    now = nowMilliseconds
    endings.append(Ending(owner: .process(key), deadlineMilliseconds: now + 1000))
    settleEndings()
  }

  /// A connection that has taken locks is gone.
  func noteConnectionEnd(_ client: Client) {
    guard client.hasLocks else { return }
    actions.append(.connectionGone(client.id))
    endings.append(Ending(owner: .connection(client.id), deadlineMilliseconds: now))
    settleEndings()
  }

  /// Ends are settled when all has been answered that was on its way to Redis when the last connection closed. What
  /// was to be sent again is dropped with its client.
  func settleEndings() {
    guard !endings.isEmpty else { return }
    var kept: [Ending] = []
    for var ending in endings {
      if ending.marks == nil, !isConnected(ending.owner) || ending.deadlineMilliseconds <= now {
        ending.marks = links.compactMap { link in
          link.flatMap { $0.queue.isEmpty ? nil : ($0.id, $0.queue.countAtEnd) }
        }
      }
      let isOver = ending.marks.map { $0.allSatisfy(isPassed) } ?? false
      guard isOver else {
        kept.append(ending)
        continue
      }
      switch ending.owner {
      case .process(let key): actions.append(.processSettled(key))
      case .connection(let id): actions.append(.connectionSettled(id))
      }
    }
    endings = kept
  }

  private func isPassed(_ mark: (link: LinkID, count: UInt64)) -> Bool {
    link(mark.link).map { $0.queue.answeredCount >= mark.count } ?? true
  }

  private func isConnected(_ owner: Ending.Owner) -> Bool {
    switch owner {
    case .process(let key): clients.all.contains { $0.peer?.processKey == key }
    case .connection(let id): clients[id] != nil
    }
  }
}

/// The end of an owner of locks, until nothing of it is under way.
struct Ending {
  enum Owner {
    case process(UInt64)
    case connection(ClientID)
  }

  let owner: Owner
  /// Its connections may be somebody else's too: not waited for longer than this.
  let deadlineMilliseconds: Int64
  /// What each link must have answered; nil while connections of it are open.
  var marks: [(link: LinkID, count: UInt64)]?
}

/// A command that the host answers, not the shard: about locks, or an operator's.
public struct HostAsk: Sendable, Equatable {
  /// Who asks; the answer goes to ``Shard/answerAsk(_:_:_:nowMilliseconds:)`` with both.
  public let client: ClientID
  /// Which of its commands it is.
  public let position: UInt64
  /// The process behind it, if known.
  public let peer: Peer?
  /// What its connection speaks.
  public let version: RESPVersion
  /// The command's words.
  public var arguments: [[UInt8]]
}
