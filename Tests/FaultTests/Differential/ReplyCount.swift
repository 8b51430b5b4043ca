// SPDX-License-Identifier: Apache-2.0
import RESP

/// How many frames answer a request: mostly one. Follows what the client told its server, and what
/// the plain Redis said to it.
struct ReplyCount {
  private var isSilent = false
  private var isNextSkipped = false
  /// By the command that subscribes.
  private var subscriptions: [String: Set<[UInt8]>] = [:]

  /// Takes the frames that answer a request, by `next`; fewer at the end of the stream.
  mutating func take(
    for request: Request, next: () throws -> [UInt8]?
  ) rethrows -> [[UInt8]] {
    guard isAnswered(request) else { return [] }
    guard let first = try next() else { return [] }
    let kind = request.word(0)
    if kind == "RESET", first.first == UInt8(ascii: "+") { self = ReplyCount() }
    guard kind.hasSuffix("SUBSCRIBE"), first.first != UInt8(ascii: "-"),
      first.first != UInt8(ascii: "+")
    else { return [first] }
    var frames = [first]
    for _ in 1..<messageCount(request, kind) {
      guard let frame = try next() else { break }
      frames.append(frame)
    }
    return frames
  }

  private mutating func isAnswered(_ request: Request) -> Bool {
    let wasSkipped = isNextSkipped
    isNextSkipped = false
    if request.arguments.count == 3, request.name == "CLIENT|REPLY" {
      switch request.word(2) {
      case "ON":
        isSilent = false
        return true
      case "OFF":
        isSilent = true
        return false
      case "SKIP":
        isNextSkipped = !isSilent
        return false
      default: break
      }
    }
    let isReset = request.word(0) == "RESET" && request.arguments.count == 1
    return !wasSkipped && (!isSilent || isReset)
  }

  /// A message for each name; without names for each subscription of that kind, and one for none.
  private mutating func messageCount(_ request: Request, _ kind: String) -> Int {
    let names = request.arguments.dropFirst()
    let isEnd = kind.hasSuffix("UNSUBSCRIBE")
    let begin = isEnd ? kind.dropLast("UNSUBSCRIBE".count) + "SUBSCRIBE" : kind
    let before = subscriptions[begin] ?? []
    if !isEnd {
      subscriptions[begin] = before.union(names)
    } else {
      subscriptions[begin] = names.isEmpty ? [] : before.subtracting(names)
    }
    return max(1, names.isEmpty ? before.count : names.count)
  }
}
