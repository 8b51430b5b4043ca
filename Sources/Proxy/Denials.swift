// SPDX-License-Identifier: Apache-2.0
import Sessions

/// Sessions that a client was told to be ended, where no replica has it yet: denied on this host, whatever a new
/// master says.
struct Denials {
  /// By handle, from when on.
  private var since: [String: Int64] = [:]
  /// In the order they came.
  private var order: [String] = []
  private let countMax: Int

  init(countMax: Int) {
    self.countMax = countMax
  }

  var isEmpty: Bool { since.isEmpty }

  func has(_ handle: String, at nowMilliseconds: Int64) -> Bool {
    since[handle].map { $0 <= nowMilliseconds } ?? false
  }

  /// The oldest make room where there are too many.
  mutating func add(_ handles: [String], since time: Int64) {
    for handle in handles where since.updateValue(time, forKey: handle) == nil {
      order.append(handle)
    }
    while since.count > countMax, let oldest = order.first {
      order.removeFirst()
      since[oldest] = nil
    }
  }

  mutating func remove(_ handles: [String]) {
    for handle in handles { since[handle] = nil }
    order.removeAll { since[$0] == nil }
  }
}

/// A denial that is to be made certain once more.
struct DenialRetry {
  let denial: PendingDenial
  let failures: Int
  let dueMilliseconds: Int64
}
