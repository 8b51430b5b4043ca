// SPDX-License-Identifier: Apache-2.0
import RESP

/// An operator's command; who sent it may administer.
public struct ConsoleAsk: Sendable {
  /// The command's words.
  public let words: [String]
  /// What its connection speaks.
  public let version: RESPVersion
}

/// What an operator is answered.
public struct ConsoleAnswer: Sendable {
  /// The reply.
  public var reply: RESPValue
  /// Whether the connection is pushed events from now on, or no longer; nil: as before.
  public var isWatching: Bool?

  /// An answer of these.
  public init(_ reply: RESPValue, isWatching: Bool? = nil) {
    self.reply = reply
    self.isWatching = isWatching
  }
}
