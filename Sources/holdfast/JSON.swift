// SPDX-License-Identifier: Apache-2.0
import RESP

extension RESPValue {
  /// As JSON, indented by two.
  func json(_ indent: String = "") -> String {
    switch self {
    case .simple, .bulk, .verbatim: return Self.quoted(text ?? "")
    case .error(let text): return Self.quoted(text)
    case .bigNumber(let digits): return digits
    case .integer(let number): return "\(number)"
    case .double(let number): return number.isFinite ? "\(number)" : "null"
    case .boolean(let isTrue): return isTrue ? "true" : "false"
    case .null: return "null"
    case .array(let elements), .set(let elements), .push(let elements):
      return Self.block(elements.map { $0.json(indent + "  ") }, "[", "]", indent)
    case .map(let pairs):
      return Self.block(
        pairs.map { "\(Self.quoted($0.key.text ?? "")): \($0.value.json(indent + "  "))" }, "{",
        "}",
        indent)
    }
  }

  private static func block(
    _ items: [String], _ open: String, _ close: String, _ indent: String
  ) -> String {
    guard !items.isEmpty else { return open + close }
    let lines = items.map { "\(indent)  \($0)" }.joined(separator: ",\n")
    return "\(open)\n\(lines)\n\(indent)\(close)"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
