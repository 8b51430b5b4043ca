// SPDX-License-Identifier: Apache-2.0

/// Names one element of a ``SlotTable``; one that was removed is never mistaken for its successor.
public struct SlotID<Element>: Hashable, Sendable {
  /// Index of the slot.
  public let slot: Int32
  /// Which element of that slot.
  public let serial: UInt32

  /// An id; only tests make their own.
  public init(slot: Int32, serial: UInt32) {
    self.slot = slot
    self.serial = serial
  }
}

/// Elements in reused slots, found by index and checked by serial number.
struct SlotTable<Element: AnyObject> {
  private var elements: [Element?] = []
  private var serials: [UInt32] = []
  private var free: [Int32] = []
  private(set) var count = 0

  mutating func insert(_ make: (SlotID<Element>) -> Element) -> Element {
    let slot = free.popLast() ?? Int32(elements.count)
    if Int(slot) == elements.count {
      elements.append(nil)
      serials.append(0)
    }
    serials[Int(slot)] &+= 1
    let element = make(SlotID(slot: slot, serial: serials[Int(slot)]))
    elements[Int(slot)] = element
    count += 1
    return element
  }

  mutating func remove(_ id: SlotID<Element>) {
    guard self[id] != nil else { return }
    elements[Int(id.slot)] = nil
    free.append(id.slot)
    count -= 1
  }

  subscript(_ id: SlotID<Element>) -> Element? {
    let index = Int(id.slot)
    guard index < serials.count, serials[index] == id.serial else { return nil }
    return elements[index]
  }

  /// Every element, in slot order.
  var all: [Element] { elements.compactMap { $0 } }
}
