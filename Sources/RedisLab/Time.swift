// SPDX-License-Identifier: Apache-2.0

extension Duration {
  /// The duration in milliseconds, with its fraction.
  public var inMilliseconds: Double {
    Double(components.seconds) * 1000 + Double(components.attoseconds) / 1e15
  }
}

/// Asks again and again until the answer is there; a thrown error counts as "not yet".
///
/// - Throws: `LabError.timeout` with `what` and the last error seen, or `CancellationError`.
public func eventually<T: Sendable>(
  _ what: String, within timeoutMilliseconds: Int = 20_000, every stepMilliseconds: Int = 20,
  _ attempt: @Sendable () async throws -> T?
) async throws -> T {
  let deadline = ContinuousClock.now + .milliseconds(timeoutMilliseconds)
  var lastError: (any Error)?
  repeat {
    do {
      if let answer = try await attempt() { return answer }
      lastError = nil
    } catch {
      lastError = error
    }
    try await Task.sleep(for: .milliseconds(stepMilliseconds))
  } while ContinuousClock.now < deadline
  let detail = lastError.map { " (last: \($0))" } ?? ""
  throw LabError.timeout("\(what): not within \(timeoutMilliseconds) ms\(detail)")
}

/// As ``eventually(_:within:every:_:)``, for a plain condition.
public func eventually(
  _ what: String, within timeoutMilliseconds: Int = 20_000, every stepMilliseconds: Int = 20,
  holds condition: @Sendable () async throws -> Bool
) async throws {
  _ = try await eventually(what, within: timeoutMilliseconds, every: stepMilliseconds) {
    try await condition() ? true : nil
  }
}
