// SPDX-License-Identifier: Apache-2.0
import Glibc
import Proxy
import Settings

/// Names of users and groups as the host has them.
enum AccessWiring {
  /// Throws for a rule about somebody whom the host does not know: it would silently be about nobody.
  static func policy(
    _ settings: Settings.Access, _ share: (Int) -> Int
  ) throws -> AccessPolicy {
    var policy = AccessPolicy()
    policy.adminUIDs = [0, geteuid()]
    if let group = settings.adminGroup, let gid = gid(group) { policy.adminGIDs = [gid] }
    for rule in settings.rules {
      var wired = AccessPolicy.Rule(text: rule.text)
      wired.uids = try Set(rule.users.map { try known(uid($0), "user \($0)", rule) })
      wired.gids = try Set(rule.groups.map { try known(gid($0), "group \($0)", rule) })
      wired.kinds = Set(rule.kinds.map(kind))
      wired.commands = Set(rule.commands)
      for name in rule.commands
      where !CommandTable.standard.specs.contains(where: { $0.name == name }) {
        throw WiringError(
          description: "access.rules: \(name) is no command in \"\(rule.text)\"; write CLIENT|LIST "
            + "for a subcommand")
      }
      wired.keyPrefixes = rule.keys.map { Array($0.utf8) }
      wired.databases = Set(rule.databases)
      wired.connectionsMax = rule.connections.map(share)
      wired.requestsMax = rule.requests
      wired.bytesMax = rule.bytes
      policy.rules.append(wired)
    }
    return policy
  }

  private static func kind(_ kind: AccessRule.Kind) -> AccessPolicy.Kind {
    switch kind {
    case .read: .read
    case .write: .write
    case .session: .session
    case .admin: .admin
    }
  }

  private static func known(_ id: UInt32?, _ what: String, _ rule: AccessRule) throws -> UInt32 {
    guard let id else {
      throw WiringError(
        description: "access.rules: no \(what) on this host, in \"\(rule.text)\"; create it, or "
          + "name another")
    }
    return id
  }

  private static func uid(_ name: String) -> UInt32? {
    UInt32(name) ?? getpwnam(name).map { $0.pointee.pw_uid }
  }

  private static func gid(_ name: String) -> UInt32? {
    UInt32(name) ?? getgrnam(name).map { $0.pointee.gr_gid }
  }
}
