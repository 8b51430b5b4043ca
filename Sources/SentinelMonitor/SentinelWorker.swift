// SPDX-License-Identifier: Apache-2.0

import Failover
import NIOCore
import RESP

/// Watches one sentinel: polls it when told to, and holds a subscription. A sentinel that stays
/// silent delays nobody but its own worker.
struct SentinelWorker: Sendable {
  enum Request: Sendable {
    /// Whom it names.
    case plain
    /// The lists of sentinels and replicas too.
    case withLists
  }

  let address: NodeAddress
  let masterName: String
  let configuration: MonitorConfiguration
  let group: any EventLoopGroup
  let inbox: Inbox
  /// Each element asks for one poll; its end ends the worker.
  let requests: AsyncStream<Request>
  let subscription: SubscriptionCheck

  func run() async {
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await pollWhenAsked() }
      tasks.addTask { await keepSubscribed() }
      await tasks.next()
      tasks.cancelAll()
    }
  }

  private var dialer: Dialer {
    Dialer(
      address: address, tls: configuration.sentinelTLS,
      credentials: configuration.sentinelCredentials, timings: configuration.timings, group: group)
  }

  // MARK: Polls

  private func pollWhenAsked() async {
    var connection = KeptConnection(dialer: dialer)
    for await request in requests {
      let withLists = request == .withLists
      do throws(ConnectionError) {
        let replies = try await connection.ask(
          SentinelPoll.commands(masterName: masterName, withLists: withLists),
          timeoutMilliseconds: configuration.timings.queryTimeoutMilliseconds)
        let poll = try SentinelPoll(address: address, replies: replies)
        inbox.post(.sentinelPolled(poll))
      } catch {
        connection.failed(error)
        if !Task.isCancelled { inbox.post(.sentinelFailed(address, error.failure)) }
      }
    }
    connection.close()
  }

  // MARK: Subscription

  private func keepSubscribed() async {
    var dialer = dialer
    var failures = 0
    var notedRefusal: String?
    while !Task.isCancelled {
      do throws(ConnectionError) {
        try await subscribe(&dialer) { failures = 0 }
        notedRefusal = nil
      } catch {
        if case .authentication(let message) = error.failure, notedRefusal != message {
          notedRefusal = message
          inbox.post(.note(.authenticationFailed(address, isSentinel: true, message: message)))
        }
      }
      let wait = Backoff.milliseconds(
        failures: failures, max: configuration.timings.backoffMaxMilliseconds)
      failures += 1
      try? await Task.sleep(for: .milliseconds(wait))
    }
  }

  /// Returns when the subscription ends.
  private func subscribe(
    _ dialer: inout Dialer, onSubscribed: () -> Void
  ) async throws(ConnectionError) {
    let (values, continuation) = AsyncStream<RESPValue>.makeStream(
      bufferingPolicy: .bufferingOldest(512))
    let connection = try await dialer.open(
      onPush: { value in
        if case .enqueued = continuation.yield(value) { return true }
        return false
      },
      onClose: { continuation.finish() })
    defer { connection.close() }
    let replies = try await connection.ask(
      [["PSUBSCRIBE", "*"]], timeoutMilliseconds: configuration.timings.queryTimeoutMilliseconds)
    if case .error(let message) = replies.first {
      let error = ConnectionError.classify(message)
      dialer.remember(error)
      throw error
    }
    onSubscribed()
    inbox.post(.subscribed(address))
    subscription.begin(connection)
    defer { subscription.end() }
    for await value in values {
      subscription.heard()
      announce(value)
    }
  }

  /// `pmessage`, pattern, channel, payload; everything else is a pong.
  private func announce(_ value: RESPValue) {
    guard let words = value.elements, words.count == 4, words[0].text == "pmessage",
      let name = words[2].text, let payload = words[3].text
    else { return }
    inbox.post(.announced(sentinel: address, name: name, payload: payload))
  }
}
