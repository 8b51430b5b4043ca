// SPDX-License-Identifier: Apache-2.0

/// What was found out about a deployment. Nil or empty: not known, and then not judged.
public struct DeploymentFacts: Sendable, Equatable {
  /// One sentinel or one Redis node.
  public struct Server: Sendable, Equatable {
    /// Where it listens.
    public var host: String
    /// Where it listens.
    public var port: Int
    /// Why it gave no answer; nil: it did.
    public var failure: String?
    /// The lines of `INFO`.
    public var info: [String: String] = [:]
    /// A node's `CONFIG GET`, or what a sentinel's `SENTINEL MASTER` says.
    public var settings: [String: String] = [:]
    /// How far its clock is ahead of this host's, in milliseconds; nil: it does not say.
    public var skewMilliseconds: Int64?

    /// A server of which nothing is known yet.
    public init(host: String, port: Int) {
      self.host = host
      self.port = port
    }

    /// Its address, as people write it.
    public var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    /// What it says it is: `master`, `slave` or `sentinel`.
    public var role: String { info["role"] ?? "" }

    func number(_ name: String) -> Int64? { settings[name].flatMap { Int64($0) } }
  }

  /// The name that the sentinels know the master by; nil: one fixed Redis without sentinels.
  public var masterName: String?
  /// All sentinels known.
  public var sentinels: [Server] = []
  /// The master and its replicas.
  public var nodes: [Server] = []
  /// How long requests wait for a master, in milliseconds.
  public var waitMilliseconds: Int64 = 15_000
  /// Whether writes are acknowledged only once replicas have them.
  public var isDurabilityReplicated = false
  /// Whether connections to Redis, and to sentinels, are encrypted.
  public var isRedisEncrypted = false
  /// Whether connections to Redis authenticate.
  public var isAuthenticated = false
  /// Networks that the unit lets the daemon talk to, as in IPAddressAllow=; nil: all, or not known.
  public var allowedNetworks: [String]?

  /// Nothing known yet.
  public init() {}

  var reachableSentinels: [Server] { sentinels.filter { $0.failure == nil } }
  var reachableNodes: [Server] { nodes.filter { $0.failure == nil } }
  var master: Server? { reachableNodes.first { $0.role == "master" } }
  var replicas: [Server] { reachableNodes.filter { $0.role == "slave" } }
}

/// One thing that was found, and what to do about it.
public struct Finding: Sendable, Equatable {
  /// How grave it is.
  public enum Severity: Int, Sendable, Comparable, CaseIterable {
    /// Worth knowing.
    case advice
    /// Will hurt in a failover, or soon.
    case warning
    /// Sessions are at risk now.
    case critical

    /// The less grave is the smaller.
    public static func < (left: Severity, right: Severity) -> Bool {
      left.rawValue < right.rawValue
    }

    /// The exit status of a program that found it.
    public var exitCode: Int { rawValue }

    /// Its name.
    public var name: String {
      switch self {
      case .advice: "advice"
      case .warning: "warning"
      case .critical: "critical"
      }
    }
  }

  /// How grave it is.
  public let severity: Severity
  /// Names this kind of finding, for programs.
  public let code: String
  /// What it is about: an address, or the whole deployment.
  public let subject: String
  /// What is.
  public let title: String
  /// What to change, and why.
  public let advice: String

  init(
    _ severity: Severity, _ code: String, _ subject: String, _ title: String, _ advice: String
  ) {
    self.severity = severity
    self.code = code
    self.subject = subject
    self.title = title
    self.advice = advice
  }
}

/// Judges a deployment.
public enum Doctor {
  /// All findings, the gravest first.
  public static func examine(_ facts: DeploymentFacts) -> [Finding] {
    let checks = sentinelChecks + replicationChecks + memoryChecks + accessChecks
    return checks.flatMap { $0(facts) }.enumerated()
      .sorted { left, right in
        left.element.severity == right.element.severity
          ? left.offset < right.offset : left.element.severity > right.element.severity
      }
      .map(\.element)
  }

  typealias Check = @Sendable (DeploymentFacts) -> [Finding]
  static let deployment = "deployment"
}
