// SPDX-License-Identifier: Apache-2.0
import RESP

/// Which connections `CLIENT LIST` shows.
public struct ClientFilter: Sendable, Equatable {
  /// Of this user; nil: of all.
  public var uid: UInt32?
  /// Subscribed ones (`pubsub`), the others (`normal`), or those of servers, of which there are none.
  private var kind: String?
  private var numbers: Set<Int64>?

  init(uid: UInt32?) { self.uid = uid }

  /// A filter from its ``text``.
  public init(_ text: String) {
    for word in text.split(separator: " ") {
      let value = word.drop { $0 != "=" }.dropFirst()
      switch word.prefix(while: { $0 != "=" }) {
      case "uid": uid = UInt32(value)
      case "kind": kind = String(value)
      case "ids": numbers = Set(value.split(separator: "+").compactMap { Int64($0) })
      default: break
      }
    }
  }

  /// On its way to the host's console.
  var text: String {
    var words = uid.map { ["uid=\($0)"] } ?? []
    if let kind { words.append("kind=\(kind)") }
    if let numbers { words.append("ids=" + numbers.map { "\($0)" }.joined(separator: "+")) }
    return words.joined(separator: " ")
  }

  /// Reads `TYPE kind` or `ID id ...`; what is wrong with them, in Redis' words (`networking.c`, `clientCommand`).
  mutating func read(_ arguments: RequestArguments) -> [UInt8]? {
    if arguments.count == 2 { return nil }
    if arguments.matches(2, "TYPE"), arguments.count == 4 {
      let kinds = ["normal", "master", "replica", "slave", "pubsub"]
      let asked = String(decoding: arguments[3], as: UTF8.self).lowercased()
      guard kinds.contains(asked) else {
        return ErrorReply.quoting("ERR Unknown client type ", arguments[3], "")
      }
      kind = asked
      return nil
    }
    guard arguments.matches(2, "ID"), arguments.count > 3 else {
      return Array("-ERR syntax error\r\n".utf8)
    }
    let asked = (3..<arguments.count).map { arguments.integer($0) }
    guard asked.allSatisfy({ $0 != nil }) else {
      return Array("-ERR Invalid client ID\r\n".utf8)
    }
    numbers = Set(asked.compactMap { $0 })
    return nil
  }

  func fits(uid: UInt32?, number: Int64, isSubscribed: Bool) -> Bool {
    let isKind = kind == nil || kind == (isSubscribed ? "pubsub" : "normal")
    return (self.uid == nil || self.uid == uid) && isKind && numbers?.contains(number) != false
  }
}
