// SPDX-License-Identifier: Apache-2.0
import RESP

/// Arguments that cannot be accepted. The text names option and what is allowed, and repeats nothing
/// of what was given: it may be an id, a token or data.
struct Refusal: Error, Equatable {
  let text: String
  init(_ text: String) { self.text = text }
}

/// Reads a command's arguments from left to right.
struct ArgumentReader {
  /// Ten years; far below the point where milliseconds lose precision in Lua.
  static let secondsMax: Int64 = 315_360_000

  let command: SessionCommand
  /// The database that the client selected; nil where nobody did.
  let clientDatabase: Int64?
  private let arguments: RequestArguments
  private var position = 1
  private var given: Set<String> = []

  /// Checks their number.
  init(
    _ command: SessionCommand, _ arguments: RequestArguments, clientDatabase: Int64? = nil
  ) throws(Refusal) {
    self.command = command
    self.clientDatabase = clientDatabase
    self.arguments = arguments
    guard arguments.count >= command.arity.lowerBound else {
      throw Refusal("ERR too few arguments: \(command.name) \(command.usage)")
    }
    guard arguments.count <= command.arity.upperBound else {
      throw Refusal("ERR too many arguments: \(command.name) \(command.usage)")
    }
  }

  /// The next argument, which the arity promises.
  mutating func next() -> [UInt8] {
    defer { position += 1 }
    return arguments.argument(position).map { Array($0) } ?? []
  }

  /// The next option's name in upper case; nil at the end.
  mutating func option() throws(Refusal) -> String? {
    guard position < arguments.count else { return nil }
    let word = Self.word(arguments[position])
    guard given.insert(word).inserted else { throw failure("an option is given twice") }
    position += 1
    return word
  }

  /// The option just read is none of these.
  func unknown(_ allowed: String) -> Refusal {
    failure("argument \(position - 1) is no option here; allowed: \(allowed)")
  }

  /// The value behind an option.
  mutating func value(of option: String) throws(Refusal) -> [UInt8] {
    guard position < arguments.count else { throw failure("\(option) needs a value") }
    return next()
  }

  /// A whole number behind an option.
  mutating func number(
    of option: String, in range: ClosedRange<Int64>, unit: String
  ) throws(Refusal) -> Int64 {
    let text = try value(of: option)
    guard text.count <= 19, !text.isEmpty, text.allSatisfy({ (0x30...0x39).contains($0) }),
      let number = Int64(String(decoding: text, as: UTF8.self)), range.contains(number)
    else {
      throw failure(
        "\(option) takes a whole number of \(unit), \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// The next argument if it is one of these words.
  mutating func keyword(_ allowed: [String]) -> String? {
    guard position < arguments.count else { return nil }
    let word = Self.word(arguments[position])
    guard allowed.contains(word) else { return nil }
    position += 1
    return word
  }

  /// A user's name.
  mutating func user(_ configuration: SessionConfiguration) throws(Refusal) -> [UInt8] {
    guard position < arguments.count else { throw failure("USER needs a value") }
    let user = next()
    guard (1...configuration.userBytesMax).contains(user.count) else {
      throw failure("a user's name has 1 to \(configuration.userBytesMax) bytes")
    }
    return user
  }

  /// The address behind `IP`.
  mutating func address() throws(Refusal) -> Address {
    guard let address = Address(try value(of: "IP")) else {
      throw failure("IP takes an IPv4 or IPv6 address")
    }
    return address
  }

  /// A network and, if it follows, the mode.
  mutating func binding() throws(Refusal) -> Binding {
    guard let network = Network(try value(of: "BIND")) else {
      throw failure("BIND takes an IPv4 or IPv6 address, or a network as address/length")
    }
    let mode = keyword(["ENFORCE", "REPORT"]).flatMap { Binding.Mode(rawValue: $0) }
    return Binding(network: network, mode: mode ?? .enforce)
  }

  /// Nothing may be left.
  func finish() throws(Refusal) {
    guard position >= arguments.count else {
      throw failure("argument \(position) is one too many; usage: \(command.name) \(command.usage)")
    }
  }

  /// An error about this command.
  func failure(_ text: String) -> Refusal { Refusal("ERR \(command.name): \(text)") }

  private static func word(_ bytes: UnsafeRawBufferPointer) -> String {
    // No option is longer; what is longer need not be turned into a text.
    bytes.count > 16 ? "" : String(decoding: bytes, as: UTF8.self).uppercased()
  }
}
