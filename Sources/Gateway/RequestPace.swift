// SPDX-License-Identifier: Apache-2.0

/// How many requests come in a millisecond, of how many clients, and how many at each turn.
///
/// A shard that is faster than its clients finds few requests at a time, and pays a turn and a write for each. It may
/// let them gather where many clients ask at the same time; a few never wait.
struct RequestPace {
  /// As many come in a millisecond where it is worth while.
  private static let worthWhile = 24
  /// Of as many clients, each of which waits for the others anyway.
  private static let crowd = 12
  /// As many at one turn are gathered already.
  private static let enough = 40

  private struct Window {
    var requests = 0
    var clients = 0
  }

  private var windowMicroseconds: Int64 = 0
  private var windowNumber: UInt32 = 0
  private var window = Window()
  private var lastWindow = Window()
  private var turnMicroseconds: Int64 = 0
  private var inTurn = 0

  /// A client's bytes have come: one request, or many of a pipeline. All of one turn have the same time.
  ///
  /// - Parameter seenIn: In which millisecond its client was last seen; kept with the client, 0 at first.
  mutating func note(_ nowMicroseconds: Int64, seenIn: inout UInt32) {
    if nowMicroseconds != turnMicroseconds {
      turnMicroseconds = nowMicroseconds
      inTurn = 0
    }
    if nowMicroseconds - windowMicroseconds >= 1000 {
      let isNext = nowMicroseconds - windowMicroseconds < 2000
      lastWindow = isNext ? window : Window()
      windowMicroseconds = nowMicroseconds
      windowNumber &+= 1
      window = Window()
    }
    window.requests += 1
    inTurn += 1
    if seenIn != windowNumber {
      seenIn = windowNumber
      window.clients += 1
    }
  }

  /// Asked at the end of a turn; one without requests has nothing to wait for.
  func isGathering(_ nowMicroseconds: Int64) -> Bool {
    lastWindow.requests >= Self.worthWhile && lastWindow.clients >= Self.crowd
      && inTurn < Self.enough && turnMicroseconds == nowMicroseconds && inTurn > 0
  }
}
