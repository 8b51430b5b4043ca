// SPDX-License-Identifier: Apache-2.0
import RESP

/// The errors of Holdfast's own: a stable first word, then what happened and what to do.
enum ErrorReply {
  static func noMaster(_ reason: String) -> String { "NOMASTER \(reason); nothing was executed" }

  static let uncertain =
    "UNCERTAIN the connection to the master was lost after this command was sent; "
    + "it may or may not have been executed"

  static func unreplicated(_ count: Int) -> String {
    "UNREPLICATED the master has executed this, \(count) replicas are known to have it; "
      + "it may be lost in a failover"
  }

  static let overtaken =
    "NOMASTER the master could not execute this command, and executed a later one of this "
    + "connection; nothing was executed"

  static let overloaded =
    "OVERLOADED too many commands are waiting for the master; nothing was executed, try again later"

  static let noLease =
    "OVERLOADED no connection is free for a command that needs one of its own "
    + "(pool.leasedPerShard); nothing was executed"

  static let transactionLost =
    "EXECABORT Transaction discarded because the connection to the master was lost before EXEC; "
    + "nothing was executed"

  static let transactionPoisoned =
    "EXECABORT Transaction discarded because of previous errors."

  static func refused(_ name: String, _ alternative: StaticString) -> String {
    "DENIED \(name) is refused: \(alternative); the setting commands.open opens it"
  }

  static let keyspaceEventsRefused =
    "DENIED CONFIG SET notify-keyspace-events is refused: set it in redis.conf on every node; the "
    + "setting commands.keyspaceEvents opens it, and tells it to each new master"

  static func forbidden(_ name: String, _ reason: StaticString) -> String {
    "DENIED \(name) is refused: \(reason)"
  }

  static let noAuthentication = "NOAUTH Authentication required."

  static let helloWithoutAuthentication =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    + "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
    + "protocol version at the same time"

  static let wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."

  static let noPasswordIsSet =
    "ERR AUTH <password> called without any password configured for the default user. Are you "
    + "sure your configuration is correct?"

  static let badName = "ERR Client names cannot contain spaces, newlines or special characters."

  /// An error that quotes a client's bytes as they are: up to a NUL, and on one line, as Redis does.
  static func quoting(
    _ before: String, _ bytes: UnsafeRawBufferPointer, bytesMax: Int = .max, _ after: String
  ) -> [UInt8] {
    let quoted = bytes.prefix { $0 != 0 }.prefix(bytesMax).map { byte in
      byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n") ? UInt8(ascii: " ") : byte
    }
    return Array("-\(before)'".utf8) + quoted + Array("'\(after)\r\n".utf8)
  }

  static func unknownSubcommand(_ arguments: RequestArguments) -> [UInt8] {
    let name = String(decoding: arguments[0], as: UTF8.self).uppercased()
    return quoting(
      "ERR unknown subcommand ",
      arguments.argument(1) ?? UnsafeRawBufferPointer(start: nil, count: 0),
      bytesMax: 128, ". Try \(name) HELP.")
  }

  static func arity(_ name: String) -> String {
    let text = "wrong number of arguments for '\(name.lowercased())' command"
    // A malformed EXEC ends the transaction (`server.c`, `rejectCommand`).
    return name == "EXEC"
      ? "EXECABORT Transaction discarded because of: \(text)" : "ERR \(text)"
  }

  static func subscribed(_ name: String) -> String {
    "ERR Can't execute '\(name.lowercased())': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
      + "QUIT / RESET are allowed in this context"
  }
}
