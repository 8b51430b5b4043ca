// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Keeps one connection, and makes another when it is gone.
actor Connector {
  private let configuration: HoldfastClient.Configuration
  private let group: any EventLoopGroup
  private var current: (number: Int, task: Task<Connection, any Error>)?
  private var count = 0
  private var failures = 0
  private var failedAt = ContinuousClock.now

  init(_ configuration: HoldfastClient.Configuration, _ group: any EventLoopGroup) {
    self.configuration = configuration
    self.group = group
  }

  /// An open connection; all callers share one attempt.
  func connection() async throws -> Connection {
    while true {
      let attempt = try current ?? begin()
      do {
        let connection = try await attempt.task.value
        if connection.isOpen {
          failures = 0
          return connection
        }
        forget(attempt.number)
      } catch {
        if forget(attempt.number) {
          failures += 1
          failedAt = .now
        }
        throw error
      }
    }
  }

  /// Not at once again where the last attempts have failed.
  private func begin() throws -> (number: Int, task: Task<Connection, any Error>) {
    let pause = failures == 0 ? 0 : min(1000, 10 << min(failures, 7))
    guard failedAt.duration(to: .now) >= .milliseconds(pause) || failures == 0 else {
      throw HoldfastError.unreachable("\(configuration.path): the last attempt failed just now")
    }
    count += 1
    let (configuration, group) = (configuration, group)
    let attempt = (
      count, Task<Connection, any Error> { try await Connection.open(configuration, group) }
    )
    current = attempt
    return attempt
  }

  @discardableResult private func forget(_ number: Int) -> Bool {
    guard current?.number == number else { return false }
    current = nil
    return true
  }

  func close() async {
    let task = current?.task
    current = nil
    if let connection = try? await task?.value { await connection.close() }
  }
}
