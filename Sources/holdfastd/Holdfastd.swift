// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import Settings
import Systemd

/// The daemon's command line. What is given here overrides environment and file.
@main
struct Holdfastd: AsyncParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "holdfastd",
    abstract: "Keeps web sessions reachable while Redis moves.",
    discussion: """
      Follows the master that Redis Sentinel names, and serves this host's apps on one Unix-domain \
      socket that speaks Redis' own protocol. Without --config, \(Settings.defaultFile) is read if \
      it exists. Every setting can also be given in the environment: HOLDFAST_SENTINEL_MASTER for \
      sentinel.master. Secrets are only read from files.
      """,
    version: "holdfastd \(version)")

  @Option(help: "The settings file.")
  var config: String?

  @Option(help: "The socket to listen on (listen.path).")
  var listen: String?

  @Option(help: "Sentinels, as host:port,host:port,… (sentinel.addresses).")
  var sentinels: String?

  @Option(help: "The master's name in sentinel monitor (sentinel.master).")
  var master: String?

  @Option(help: "A single Redis to use without Sentinel, as host:port (redis.address).")
  var redis: String?

  @Option(name: .customLong("set"), help: "Any setting, as key=value; may be repeated.")
  var assignments: [String] = []

  @Flag(help: "Check the settings, show those in force, and exit.")
  var checkConfig = false

  func run() async throws {
    let flags = try flags()
    let environment = Self.environment()
    let live: LiveSettings
    do {
      live = try LiveSettings(file: config, environment: environment, flags: flags)
      if checkConfig {
        // As far as it can be told without starting: users and groups of rules, certificates, passwords.
        _ = try Wiring(settings: live.current)
        print(try Settings.explain(file: config, environment: environment, flags: flags))
        return
      }
    } catch {
      try Self.refuse("\(error)")
    }
    do {
      try await Daemon(live: live).run()
    } catch {
      try Self.refuse("\(error)")
    }
  }

  private func flags() throws -> [(key: String, value: String)] {
    var flags: [(key: String, value: String)] = []
    for (key, value) in [
      ("listen.path", listen), ("sentinel.addresses", sentinels), ("sentinel.master", master),
      ("redis.address", redis),
    ] {
      if let value { flags.append((key, value)) }
    }
    for assignment in assignments {
      guard let equals = assignment.firstIndex(of: "=") else {
        throw ValidationError("--set takes key=value, such as pool.shards=2")
      }
      flags.append(
        (String(assignment[..<equals]), String(assignment[assignment.index(after: equals)...])))
    }
    return flags
  }

  private static func environment() -> [String: String] {
    var result: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let pair = String(cString: text).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
      entry += 1
    }
    return result
  }

  /// Says why on standard error, whoever reads it, and ends with EX_CONFIG.
  private static func refuse(_ reason: String) throws -> Never {
    let text = reason.split(separator: "\n").map { "holdfastd: \($0)\n" }.joined()
    _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    throw ExitCode(78)
  }
}
