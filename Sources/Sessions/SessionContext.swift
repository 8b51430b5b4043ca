// SPDX-License-Identifier: Apache-2.0
import RESP

/// What native commands are read and run with: a configuration, and what follows from it, once for all of them.
public final class SessionContext: Sendable {
  let configuration: SessionConfiguration
  let keys: SessionKeys
  // As scripts are given them.
  let slidingPercent: [UInt8]
  let tombstone: [UInt8]

  /// The context of a configuration.
  public init(_ configuration: SessionConfiguration) {
    self.configuration = configuration
    keys = SessionKeys(prefix: configuration.prefix)
    slidingPercent = bytes(configuration.slidingPercent)
    tombstone = bytes(configuration.tombstoneSeconds * 1000)
  }

  /// The work of one command. Its own arguments are read in order, then its options.
  func work(
    for command: SessionCommand, _ reader: inout ArgumentReader,
    _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    switch command.name {
    case "SESSION.CREATE": return try create(&reader, &random)
    case "SESSION.GET": return try get(&reader)
    case "SESSION.SET": return try set(&reader, &random)
    case "SESSION.TOUCH": return try touch(&reader)
    case "SESSION.REGENERATE": return try regenerate(&reader, &random)
    case "SESSION.DESTROY": return destroy(&reader, &random)
    case "SESSION.BIND": return try bind(&reader)
    case "SESSION.LIST": return try list(&reader)
    case "SESSION.KILL": return try kill(&reader, &random)
    case "SESSION.LOGOUTALL": return try logoutAll(&reader, &random)
    case "SESSION.ATTACH": return try attach(&reader)
    case "SESSION.LOGIN": return try login(&reader, &random)
    case "SESSION.STATS": return try statistics(&reader)
    case "SESSION.SWEEP": return try sweep(&reader)
    case "SESSION.HELP": return try help(&reader)
    default: throw reader.failure("is answered elsewhere, by the queue of locks")
    }
  }

  /// The next argument as a session; nil for what can be none.
  func target(_ reader: inout ArgumentReader) -> SessionTarget? {
    SessionID(reader.next()).map { SessionTarget($0, configuration.idStorage) }
  }

  func nonce(_ random: inout some RandomNumberGenerator) -> [UInt8] {
    Hexadecimal.random(bytes: 8, &random)
  }

  var prefix: [UInt8] { keys.prefix }

  func tooBig(_ data: [UInt8]) -> Refusal? {
    data.count <= configuration.dataBytesMax
      ? nil
      : Refusal(
        "TOOBIG the data have \(data.count) bytes; at most \(configuration.dataBytesMax) are kept")
  }

  func help(_ reader: inout ArgumentReader) throws(Refusal) -> any SessionWork {
    let name = reader.next()
    let all = SessionCommand.all
    guard !name.isEmpty else { return Settled(reply: .text(all.map(\.help).joined())) }
    let prefixed = SessionCommand.named(name) ?? .named(Array("SESSION.".utf8) + name)
    guard let prefixed else { throw reader.failure("there is no such command") }
    return Settled(reply: .text(prefixed.help))
  }
}

extension SessionReply {
  static func text(_ text: String) -> SessionReply {
    .value(.verbatim("txt", Array(text.utf8)))
  }

  static func map(_ pairs: [(String, RESPValue)]) -> SessionReply {
    .value(.map(pairs.map { RESPValue.Pair(key: .bulk(Array($0.0.utf8)), value: $0.1) }))
  }
}
