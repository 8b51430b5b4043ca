// SPDX-License-Identifier: Apache-2.0

/// How many requests come in a millisecond, and at each turn.
///
/// A shard that is faster than its clients finds few requests at a time, and pays a turn and a write for each. It may
/// let them gather where there are many; one client alone never waits.
struct RequestPace {
  /// As many come in a millisecond where it is worth while.
  private static let worthWhile = 48
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
  func isGathering(_ nowMicroseconds: Int64) -> Bool {
    inLastWindow >= Self.worthWhile && inTurn < Self.enough && turnMicroseconds == nowMicroseconds
      && inTurn > 0
  }
}
