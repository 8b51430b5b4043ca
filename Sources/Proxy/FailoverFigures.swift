// SPDX-License-Identifier: Apache-2.0

/// What a shard's requests went through in one failover.
public struct FailoverFigures: Sendable, Equatable {
  /// Waits are kept one by one up to so many.
  static let waitsMax = 20_000

  /// Milliseconds that requests waited, one by one, in no order.
  public private(set) var waits: [Int32] = []
  /// How many requests waited.
  public private(set) var waited = 0
  /// The longest wait, in milliseconds.
  public private(set) var longestMilliseconds: Int64 = 0
  /// Commands sent again.
  public var resent = 0
  /// Commands answered `UNCERTAIN`.
  public var uncertain = 0
  /// Commands answered `NOMASTER`.
  public var noMaster = 0
  /// Commands answered `OVERLOADED`.
  public var overloaded = 0
  /// Commands answered `UNREPLICATED`.
  public var unreplicated = 0
  /// Writes acknowledged by a provisional generation that was given up.
  public internal(set) var possiblyLost = ProvisionalWrites()

  /// Nothing happened.
  public init() {}

  /// Rises with everything that is added.
  var total: Int {
    waited + resent + uncertain + noMaster + overloaded + unreplicated + possiblyLost.count
  }

  mutating func addWait(_ milliseconds: Int64) {
    waited += 1
    longestMilliseconds = max(longestMilliseconds, milliseconds)
    if waits.count < Self.waitsMax { waits.append(Int32(clamping: milliseconds)) }
  }

  mutating func add(_ writes: ProvisionalWrites) { possiblyLost.add(writes) }

  /// What was added since these were as `earlier`.
  func without(_ earlier: FailoverFigures) -> FailoverFigures {
    var later = self
    later.waits.removeFirst(min(earlier.waits.count, waits.count))
    later.waited -= earlier.waited
    later.longestMilliseconds = later.waits.max().map { Int64($0) } ?? 0
    later.resent -= earlier.resent
    later.uncertain -= earlier.uncertain
    later.noMaster -= earlier.noMaster
    later.overloaded -= earlier.overloaded
    later.unreplicated -= earlier.unreplicated
    later.possiblyLost = ProvisionalWrites()
    return later
  }

  /// The wait that so many of a hundred did not exceed, in milliseconds; 0 where nobody waited.
  public func wait(percentile: Double) -> Int64 {
    guard !waits.isEmpty else { return 0 }
    let sorted = waits.sorted()
    let rank = Int((percentile / 100 * Double(sorted.count)).rounded(.up)) - 1
    return Int64(sorted[max(0, min(rank, sorted.count - 1))])
  }

  /// Adds another shard's.
  public static func += (left: inout FailoverFigures, right: FailoverFigures) {
    left.waits += right.waits.prefix(Self.waitsMax - left.waits.count)
    left.waited += right.waited
    left.longestMilliseconds = max(left.longestMilliseconds, right.longestMilliseconds)
    left.resent += right.resent
    left.uncertain += right.uncertain
    left.noMaster += right.noMaster
    left.overloaded += right.overloaded
    left.unreplicated += right.unreplicated
    left.possiblyLost.add(right.possiblyLost)
  }
}
