// SPDX-License-Identifier: Apache-2.0

/// What a TLS library says of a failed handshake, as an operator wants to read it.
public enum TLSFailure {
  /// How texts about TLS begin, so that they can be told from refused passwords.
  public static let prefix = "TLS: "

  /// The reasons in OpenSSL's words, without codes, places in source files and type names.
  public static func text(_ description: String) -> String {
    var reasons: [String] = []
    for part in description.split(separator: ":") {
      let word = part.prefix { $0 == "_" || $0.isUppercase || $0.isNumber }
      let isReason = word.count > 6 && word.contains("_") && !word.hasPrefix("OPENSSL")
      if isReason {
        reasons.append(word.lowercased().map { $0 == "_" ? " " : String($0) }.joined())
      }
    }
    if reasons.isEmpty, description.contains("failedToValidateHostname") {
      reasons = ["the certificate does not name the host connected to"]
    }
    return prefix + (reasons.isEmpty ? "the handshake failed" : reasons.joined(separator: ", "))
  }
}
