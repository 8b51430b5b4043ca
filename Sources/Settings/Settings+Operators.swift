// SPDX-License-Identifier: Apache-2.0

extension Settings {
  /// Who may do what on the socket.
  public struct Access: Sendable, Equatable {
    /// Whose members may use `HOLDFAST.*`, besides root and the daemon's own user.
    public var adminGroup: String? = "holdfast-admin"
    /// What others may do; the first that names a client's user or group counts.
    public var rules: [AccessRule] = []

    /// The defaults.
    public init() {}
  }

  /// Figures for Prometheus.
  public struct Metrics: Sendable, Equatable {
    /// `host:port` of the loopback, or the path of a socket; `nil`: nowhere.
    public var listen: String?

    /// The defaults.
    public init() {}
  }
}

/// What the clients of some users or groups may do, as `uid=33 allow=read+session keys=cart: connections=100`.
public struct AccessRule: Sendable, Equatable {
  /// Kinds of commands.
  public enum Kind: String, Sendable, CaseIterable {
    case read
    case write
    case session
    case admin
  }

  /// The rule as it was written; refusals quote it.
  public let text: String
  /// Names or numbers of users.
  public private(set) var users: [String] = []
  /// Names or numbers of groups.
  public private(set) var groups: [String] = []
  /// Kinds of commands that are allowed; all but `admin` where none is named.
  public private(set) var kinds: [Kind] = [.read, .write, .session]
  /// Commands that are allowed besides, in upper case.
  public private(set) var commands: [String] = []
  /// Prefixes that keys must have; empty: any key.
  public private(set) var keys: [String] = []
  /// Databases; empty: all.
  public private(set) var databases: [Int] = []
  /// Connections at one time; `nil`: as for all.
  public private(set) var connections: Int?
  /// Unanswered requests of one connection; `nil`: as for all.
  public private(set) var requests: Int?
  /// Bytes of one connection's unanswered requests; `nil`: as for all.
  public private(set) var bytes: Int?

  /// A rule of this text; `nil` where it is none.
  public init?(_ text: String) {
    self.text = text
    for word in text.split(separator: " ") {
      guard let equals = word.firstIndex(of: "=") else { return nil }
      let values = word[word.index(after: equals)...].split(separator: "+").map(String.init)
      guard !values.isEmpty, take(String(word[..<equals]), values) else { return nil }
    }
    guard !users.isEmpty || !groups.isEmpty else { return nil }
  }

  private mutating func take(_ name: String, _ values: [String]) -> Bool {
    switch name {
    case "uid": users = values
    case "gid": groups = values
    case "allow":
      kinds = values.compactMap { Kind(rawValue: $0) }
      return kinds.count == values.count
    case "commands": commands = values.map { $0.uppercased() }
    case "keys": keys = values
    case "databases":
      databases = values.compactMap { Int($0) }
      return databases.count == values.count && databases.allSatisfy { 0...1_000_000 ~= $0 }
    case "connections": return take(values, into: \.connections)
    case "requests": return take(values, into: \.requests)
    case "bytes": return take(values, into: \.bytes)
    default: return false
    }
    return true
  }

  private mutating func take(_ values: [String], into path: WritableKeyPath<Self, Int?>) -> Bool {
    guard values.count == 1, let number = Int(values[0]), number > 0 else { return false }
    self[keyPath: path] = number
    return true
  }
}
