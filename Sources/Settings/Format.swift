// SPDX-License-Identifier: Apache-2.0

/// How a kind of value is read and written, and how to say what it allows.
struct Format<Value: Sendable>: Sendable {
  /// Completes "give …".
  let allowed: String
  let isList: Bool
  /// The value; `wrong` has the index of the text that does not fit.
  let parse: @Sendable (_ texts: [String]) -> Parsed
  /// As ``parse`` reads it; `nil` where there is no value.
  let text: @Sendable (Value) -> String?

  enum Parsed {
    case value(Value)
    case wrong(index: Int)
  }

  init(
    _ allowed: String, text: @escaping @Sendable (Value) -> String?,
    parse: @escaping @Sendable (String) -> Value?
  ) {
    self.allowed = allowed
    self.isList = false
    self.text = text
    self.parse = { texts in
      guard texts.count == 1, let value = parse(texts[0]) else { return .wrong(index: 0) }
      return .value(value)
    }
  }

  private init(
    list allowed: String, text: @escaping @Sendable (Value) -> String?,
    parse: @escaping @Sendable ([String]) -> Parsed
  ) {
    self.allowed = allowed
    self.isList = true
    self.text = text
    self.parse = parse
  }

  /// Any number of `element`, up to `most`.
  static func list<Element>(of element: Format<Element>, most: Int = 64) -> Format
  where Value == [Element] {
    Format(
      list: "a list of at most \(most), each \(element.allowed)",
      text: { "[" + $0.compactMap(element.text).joined(separator: ", ") + "]" },
      parse: { texts in
        var values: [Element] = []
        for (index, text) in texts.enumerated() {
          guard index < most, case .value(let value) = element.parse([text]) else {
            return .wrong(index: index)
          }
          values.append(value)
        }
        return .value(values)
      })
  }

  /// The same, and no value by default.
  static func optional<Wrapped>(_ wrapped: Format<Wrapped>) -> Format where Value == Wrapped? {
    Format(wrapped.allowed, text: { $0.flatMap(wrapped.text) }) { text in
      guard case .value(let value) = wrapped.parse([text]) else { return nil }
      return value
    }
  }
}

extension Format where Value == Int {
  static func integer(_ range: ClosedRange<Int>) -> Format {
    Format(
      "a whole number from \(range.lowerBound) to \(range.upperBound)", text: { "\($0)" }
    ) { text in Int(text).flatMap { range.contains($0) ? $0 : nil } }
  }

  /// Plain bytes, or a number with KiB, MiB or GiB.
  static func bytes(_ range: ClosedRange<Int>) -> Format {
    Format(
      "a size from \(Bytes.text(range.lowerBound)) to \(Bytes.text(range.upperBound)), "
        + "in bytes or with KiB, MiB or GiB",
      text: { Bytes.text($0) }
    ) { text in Bytes.parse(text).flatMap { range.contains($0) ? $0 : nil } }
  }
}

extension Format where Value == Int? {
  /// A number, or the word `all` for nil.
  static func allOr(_ range: ClosedRange<Int>) -> Format {
    Format(
      "all, or a whole number from \(range.lowerBound) to \(range.upperBound)",
      text: { $0.map { "\($0)" } ?? "all" },
      parse: { text in
        if text == "all" { return .some(nil) }
        return Int(text).flatMap { range.contains($0) ? .some($0) : nil }
      })
  }
}

extension Format where Value == Bool {
  static var flag: Format {
    Format("true or false", text: { "\($0)" }) { text in Bool(text) }
  }
}

extension Format where Value == String {
  /// A word such as a user or host name.
  static func word(_ what: String, bytesMax: Int = 255) -> Format {
    Format("\(what) without spaces, at most \(bytesMax) bytes", text: { $0.isEmpty ? nil : $0 }) {
      text in
      let printable = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f }
      return !text.isEmpty && text.utf8.count <= bytesMax && printable ? text : nil
    }
  }

  /// An absolute path; `bytesMax` is 107 for sockets, by the size of `sun_path`.
  static func path(bytesMax: Int = 4095) -> Format {
    Format("an absolute path of at most \(bytesMax) bytes", text: { $0 }) { text in
      let fits = text.hasPrefix("/") && text.utf8.count <= bytesMax
      return fits && !text.hasSuffix("/") && !text.utf8.contains(0) ? text : nil
    }
  }

  /// A command's name, also with its subcommand; read in any case, with a space or a bar.
  static var command: Format {
    Format("a command's name, such as FLUSHDB or CONFIG|SET", text: { $0 }) { text in
      let parts = text.uppercased().split(
        omittingEmptySubsequences: false, whereSeparator: { $0 == " " || $0 == "|" })
      let areNames = parts.allSatisfy { part in
        !part.isEmpty && part.utf8.count <= 64
          && part.unicodeScalars.allSatisfy {
            "A"..."Z" ~= $0 || "0"..."9" ~= $0 || "-._".unicodeScalars.contains($0)
          }
      }
      return parts.count <= 2 && areNames ? parts.joined(separator: "|") : nil
    }
  }
}

extension Format where Value == UInt32 {
  /// Permission bits, always octal.
  static var mode: Format {
    Format("octal permission bits from 0600 to 0777", text: { "0" + String($0, radix: 8) }) {
      text in
      guard text.utf8.count <= 5, text.utf8.allSatisfy({ 48...55 ~= $0 }) else { return nil }
      return UInt32(text, radix: 8).flatMap { 0o600...0o777 ~= $0 ? $0 : nil }
    }
  }
}

extension Format where Value == HostPort {
  static func address(port: Int) -> Format {
    Format(
      "host:port, such as 10.0.0.1:\(port), redis1.example.net:\(port) or [fd00::1]:\(port)",
      text: { $0.description }
    ) { text in HostPort(text) }
  }
}

extension Format where Value == HostPort {
  /// Nobody outside of this host may connect.
  static var loopback: Format {
    Format("127.0.0.1:port, [::1]:port or localhost:port", text: { $0.description }) { text in
      HostPort(text).flatMap { ["127.0.0.1", "::1", "localhost"].contains($0.host) ? $0 : nil }
    }
  }
}

extension Format where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  static var choice: Format {
    let names = Value.allCases.map(\.rawValue)
    let allowed = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    return Format(allowed, text: { $0.rawValue }) { text in Value(rawValue: text) }
  }
}

/// Sizes with binary suffixes.
enum Bytes {
  private static let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

  static func text(_ bytes: Int) -> String {
    for (suffix, size) in units where bytes >= size && bytes % size == 0 {
      return "\(bytes / size)\(suffix)"
    }
    return "\(bytes)"
  }

  static func parse(_ text: String) -> Int? {
    guard let unit = units.first(where: { text.hasSuffix($0.0) }) else { return Int(text) }
    var digits = text.dropLast(unit.0.count)
    while digits.last == " " { digits.removeLast() }
    guard let count = Int(digits) else { return nil }
    let (bytes, overflows) = count.multipliedReportingOverflow(by: unit.1)
    return overflows ? nil : bytes
  }
}

extension Format where Value == AccessRule {
  /// A rule about clients.
  static var accessRule: Format {
    Format(
      "words of the form uid=NAME+NAME, gid=NAME, allow=read+write+session+admin, "
        + "commands=NAME+NAME, keys=PREFIX+PREFIX, databases=0+1, connections=N, requests=N or "
        + "bytes=N, with a uid or gid among them",
      text: { $0.text }, parse: { AccessRule($0) })
  }
}

extension Format where Value == String {
  /// A loopback address with its port, or a socket's path.
  static var metricsAddress: Format {
    Format("127.0.0.1:port, [::1]:port, localhost:port or a path", text: { $0 }) { text in
      if text.hasPrefix("/") { return text.utf8.count <= 107 ? text : nil }
      guard let address = HostPort(text) else { return nil }
      return ["127.0.0.1", "::1", "localhost"].contains(address.host) ? text : nil
    }
  }
}
