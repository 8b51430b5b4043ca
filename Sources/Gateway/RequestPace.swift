// SPDX-License-Identifier: Apache-2.0

/// How many requests come in a millisecond, and at each turn.
///
/// A shard that is faster than its clients finds few requests at a time, and pays a turn and a write for each. It may
/// let them gather where there are many; a few clients never wait.
struct RequestPace {
  /// As many come in a millisecond where it is worth while.
  private static let worthWhile = 24
  /// As many clients have no reply yet, each of which waits for the others anyway.
  private static let crowd = 12
  /// As many at one turn are gathered already.
  private static let enough = 40

  private var windowMicroseconds: Int64 = 0
  private var inWindow = 0
  private var inLastWindow = 0
  private var turnMicroseconds: Int64 = 0
  private var inTurn = 0

  /// A request has come. All of one turn have the same time.
  mutating func note(_ nowMicroseconds: Int64) {
    if nowMicroseconds != turnMicroseconds {
      turnMicroseconds = nowMicroseconds
      inTurn = 0
    }
    if nowMicroseconds - windowMicroseconds >= 1000 {
      let isNext = nowMicroseconds - windowMicroseconds < 2000
      inLastWindow = isNext ? inWindow : 0
      windowMicroseconds = nowMicroseconds
      inWindow = 0
    }
    inWindow += 1
    inTurn += 1
  }

  /// Asked at the end of a turn; one without requests has nothing to wait for.
  func isGathering(_ nowMicroseconds: Int64, waiting: @autoclosure () -> Int) -> Bool {
    inLastWindow >= Self.worthWhile && inTurn < Self.enough
      && turnMicroseconds == nowMicroseconds && inTurn > 0 && waiting() >= Self.crowd
  }
}
