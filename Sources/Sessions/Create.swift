// SPDX-License-Identifier: Apache-2.0
import RESP

extension SessionContext {
  func create(
    _ reader: inout ArgumentReader, _ random: inout some RandomNumberGenerator
  ) throws(Refusal) -> any SessionWork {
    let data = reader.next()
    if let tooBig = tooBig(data) { throw tooBig }
    var options = CreateOptions(configuration)
    while let option = try reader.option() { try options.read(option, &reader, configuration) }
    if options.limit > 0 && options.user.isEmpty {
      throw reader.failure("LIMIT counts a user's sessions: give USER as well")
    }
    let target = SessionTarget(SessionID(random: &random), configuration.idStorage)
    let stored = StoredData(packing: data, from: configuration.compressionBytesMin)
    let id = target.id.text
    let arguments =
      [
        prefix, target.stored, stored.bytes, stored.expandedBytes.map { bytes($0) } ?? [],
        bytes(options.idleSeconds * 1000), bytes(options.absoluteSeconds * 1000), options.user,
        nonce(&random), options.address.map { bytes($0.text) } ?? [], options.meta,
      ] + Binding.scriptArguments(options.binding)
      + [bytes(options.limit), bytes(options.policy), tombstone]
    return SingleCall(SessionScript.create, keys: [keys.session(target.stored)], arguments) {
      switch $0.word {
      case .ok:
        let evicted = ($0[0].text ?? "").split(separator: ",").map { RESPValue.text(String($0)) }
        return .fields([
          .init("id", .bulk(id)), .init("version", .integer(1)), .init("evicted", .array(evicted)),
        ])
      case .limit:
        return .error("SESSIONLIMIT the user has as many sessions as LIMIT allows; end one first")
      case .none, .moved, .mismatch, .conflict, .lockLost: return nil
      }
    }
  }
}

private struct CreateOptions {
  var user: [UInt8] = []
  var idleSeconds: Int64
  var absoluteSeconds: Int64
  var address: Address?
  var binding: Binding?
  var meta: [UInt8] = []
  var limit: Int64 = 0
  var policy = ""

  init(_ configuration: SessionConfiguration) {
    idleSeconds = configuration.idleSeconds
    absoluteSeconds = configuration.absoluteSeconds
  }

  mutating func read(
    _ option: String, _ reader: inout ArgumentReader, _ configuration: SessionConfiguration
  ) throws(Refusal) {
    let seconds = 1...ArgumentReader.secondsMax
    switch option {
    case "USER": user = try reader.user(configuration)
    case "IDLE": idleSeconds = try reader.number(of: option, in: seconds, unit: "seconds")
    case "ABSOLUTE": absoluteSeconds = try reader.number(of: option, in: seconds, unit: "seconds")
    case "IP": address = try reader.address()
    case "BIND": binding = try reader.binding()
    case "META":
      meta = try reader.value(of: option)
      guard (1...configuration.metaBytesMax).contains(meta.count) else {
        throw reader.failure("META has 1 to \(configuration.metaBytesMax) bytes")
      }
    case "LIMIT":
      limit = try reader.number(of: option, in: 1...10_000, unit: "sessions")
      guard let word = reader.keyword(["EVICT", "REJECT"]) else {
        throw reader.failure("LIMIT n is followed by EVICT or REJECT")
      }
      policy = word
    default: throw reader.unknown("USER, IDLE, ABSOLUTE, IP, BIND, META, LIMIT")
    }
  }
}
