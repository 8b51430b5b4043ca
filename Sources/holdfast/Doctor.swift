// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks the deployment, and says what to change and why.",
    discussion: """
      The daemon asks every sentinel and every node with its own credentials; what those do not \
      allow is not checked, and said. Exit status: 0 nothing to do or advice only, 1 warnings, 2 \
      critical findings.
      """)

  @OptionGroup var common: Common
  @OptionGroup var format: JSONFlag

  func run() throws {
    let networks = Self.allowedNetworks()
    let words = ["HOLDFAST.DOCTOR"] + (networks.isEmpty ? [] : ["ALLOW"] + networks)
    let answer = try common.ask(words, timeoutSeconds: 60)
    put(
      format.json
        ? answer.json() + "\n"
        : FindingList(drawing: .forOutput).text((answer.elements ?? []).map { Fields($0) }))
    let codes = (answer.elements ?? []).map { Fields($0).number("exit-code") }
    if let worst = codes.max(), worst > 0 { throw ExitCode(Int32(clamping: worst)) }
  }

  /// What the unit lets the daemon talk to; empty: everybody, or there is no such unit here.
  private static func allowedNetworks() -> [String] {
    func property(_ name: String) -> [String] {
      guard
        let pipe = popen("systemctl show --value -p \(name) holdfastd.service 2>/dev/null", "r")
      else { return [] }
      defer { pclose(pipe) }
      var line = [CChar](repeating: 0, count: 4096)
      guard fgets(&line, Int32(line.count), pipe) != nil else { return [] }
      let bytes = line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      return String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0.isNewline }
        .map(String.init)
    }
    return property("IPAddressDeny").isEmpty ? [] : property("IPAddressAllow")
  }
}

/// Findings, the gravest first.
struct FindingList {
  var drawing = Drawing()

  func text(_ findings: [Fields]) -> String {
    guard !findings.isEmpty else { return drawing.paint("nothing to change was found\n", .good) }
    return findings.map { finding in
      let severity = finding.text("severity")
      let tone: Tone? =
        switch severity {
        case "critical": .bad
        case "warning": .warning
        case "ok": .good
        default: nil
        }
      return "\(drawing.paint(drawing.padded(severity.uppercased(), 8), tone))  "
        + "\(finding.text("subject")): \(finding.text("title"))\n"
        + "          \(finding.text("advice"))  [\(finding.text("code"))]\n"
    }.joined()
  }
}
