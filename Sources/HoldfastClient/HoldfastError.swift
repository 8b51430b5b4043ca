// SPDX-License-Identifier: Apache-2.0

/// Why a command failed. No case holds an id, a token or data.
public enum HoldfastError: Error, Sendable, Equatable {
  /// There is no such session (any more).
  case noSession
  /// Somebody else has written since this version was read; the version is this one now.
  case conflict(version: Int64?)
  /// The lock is no longer held; nothing was written.
  case lockLost
  /// Another holds the lock, as far as is known for so many milliseconds more.
  case lockBusy(remainingMilliseconds: Int64?)
  /// The session is bound to other addresses.
  case bindingMismatch
  /// The user has as many sessions as allowed.
  case sessionLimit
  /// The data are too large.
  case tooBig(String)
  /// No master within the daemon's wait: nothing was done. Try again, or answer 503.
  case noMaster(String)
  /// It was sent, and nobody knows whether it was done.
  case uncertain(String)
  /// It was done, but not confirmed by enough replicas in time.
  case unreplicated(String)
  /// Too much at a time, here or in the daemon; nothing was done.
  case overloaded(String)
  /// Not allowed.
  case denied(String)
  /// Any other error of the daemon or of Redis.
  case other(word: String, message: String)
  /// The daemon cannot be reached.
  case unreachable(String)
  /// The connection broke before the reply; whether the command may have been done.
  case connectionLost(mayHaveRun: Bool)
  /// The daemon's answer is not what was asked for.
  case unexpectedAnswer

  /// Reads an error reply.
  init(reply text: String) {
    let word = text.prefix { $0 != " " }
    let message = String(text.dropFirst(word.count + 1))
    let number = message.split(separator: " ").lazy.compactMap { Int64($0) }.first
    switch word {
    case "NOSESSION": self = .noSession
    case "CONFLICT": self = .conflict(version: number)
    case "LOCKLOST": self = .lockLost
    case "LOCKBUSY": self = .lockBusy(remainingMilliseconds: number)
    case "BINDMISMATCH": self = .bindingMismatch
    case "SESSIONLIMIT": self = .sessionLimit
    case "TOOBIG": self = .tooBig(message)
    case "NOMASTER": self = .noMaster(message)
    case "UNCERTAIN": self = .uncertain(message)
    case "UNREPLICATED": self = .unreplicated(message)
    case "OVERLOADED": self = .overloaded(message)
    case "DENIED": self = .denied(message)
    default: self = .other(word: String(word), message: message)
    }
  }
}
