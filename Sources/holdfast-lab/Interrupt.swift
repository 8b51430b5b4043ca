// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Glibc

/// Ctrl-C and SIGTERM as the cancellation of a task, so that what was started is ended in order.
enum Interrupt {
  /// Runs the body; a signal cancels it.
  /// - Throws: `CancellationError` after a signal, or what the body throws.
  static func race<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T
  {
    let (signals, continuation) = AsyncStream.makeStream(of: Void.self)
    let sources = [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { continuation.yield() }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    let work = Task { try await body() }
    let watch = Task {
      for await _ in signals { work.cancel() }
    }
    defer { watch.cancel() }
    return try await work.value
  }

  /// Waits for a signal, that is, for the cancellation of the task.
  static func wait() async {
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }
}
