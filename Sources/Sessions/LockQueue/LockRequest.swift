// SPDX-License-Identifier: Apache-2.0
import RESP

/// A command about a lock.
enum LockRequest: Equatable {
  /// `SESSION.LOCK`.
  struct Take: Equatable {
    var name: LockName
    var ttlMilliseconds: Int64
    var waitMilliseconds: Int64 = 0
    var retries: Int64
    var isConnectionScope = false
  }

  case take(Take)
  case extend(name: LockName, token: [UInt8], milliseconds: Int64)
  case release(name: LockName, token: [UInt8])

  /// Reads one; `arguments[0]` is the command's name. Nil for an id that cannot be one.
  static func parse(
    _ arguments: [[UInt8]], _ configuration: LockConfiguration, _ sessions: SessionConfiguration
  ) -> Result<LockRequest?, Refusal> {
    RequestArguments.withView(of: arguments) { view in
      Result { () throws(Refusal) in try parse(view, configuration, sessions) }
    }
  }

  private static func parse(
    _ arguments: RequestArguments, _ configuration: LockConfiguration,
    _ sessions: SessionConfiguration
  ) throws(Refusal) -> LockRequest? {
    guard let command = arguments.argument(0).flatMap({ SessionCommand.named($0) }) else {
      throw Refusal("ERR unknown SESSION command; SESSION.HELP lists them")
    }
    var reader = try ArgumentReader(command, arguments)
    let id = SessionID(reader.next())
    let name = id.map {
      LockName(SessionKeys(prefix: sessions.prefix).lock($0.stored(as: sessions.idStorage)))
    }
    let request: LockRequest
    switch command.name {
    case "SESSION.LOCK": request = .take(try take(&reader, name ?? LockName([]), configuration))
    case "SESSION.EXTEND":
      let token = try Self.token(&reader)
      let time = try reader.number(
        of: "ms", in: 1...configuration.ttlMillisecondsMax, unit: "milliseconds")
      request = .extend(name: name ?? LockName([]), token: token, milliseconds: time)
    case "SESSION.UNLOCK": request = .release(name: name ?? LockName([]), token: try token(&reader))
    default: throw reader.failure("is no command about locks")
    }
    try reader.finish()
    return name == nil ? nil : request
  }

  private static func take(
    _ reader: inout ArgumentReader, _ name: LockName, _ configuration: LockConfiguration
  ) throws(Refusal) -> Take {
    var take = Take(
      name: name, ttlMilliseconds: configuration.ttlMilliseconds, retries: configuration.retries)
    while let option = try reader.option() {
      switch option {
      case "TTL":
        take.ttlMilliseconds = try reader.number(
          of: option, in: 1...configuration.ttlMillisecondsMax, unit: "milliseconds")
      case "WAIT":
        take.waitMilliseconds = try reader.number(
          of: option, in: 0...configuration.waitMillisecondsMax, unit: "milliseconds")
      case "RETRIES":
        take.retries = try reader.number(of: option, in: 0...1_000_000, unit: "attempts")
      case "SCOPE":
        guard let scope = reader.keyword(["PROCESS", "CONNECTION"]) else {
          throw reader.failure("SCOPE takes PROCESS or CONNECTION")
        }
        take.isConnectionScope = scope == "CONNECTION"
      default: throw reader.unknown("TTL, WAIT, RETRIES, SCOPE")
      }
    }
    return take
  }

  private static func token(_ reader: inout ArgumentReader) throws(Refusal) -> [UInt8] {
    let token = reader.next()
    guard (1...256).contains(token.count) else {
      throw reader.failure("the token is what SESSION.LOCK answered")
    }
    return token
  }
}
