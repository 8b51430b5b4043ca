// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
  import Glibc
#endif

// Who may reach Redis, and whom this host may reach.
extension Doctor {
  static let accessChecks: [Check] = [authentication, encryption, addressFilter, leastPrivilege]

  private static let authentication: Check = { facts in
    guard !facts.isAuthenticated else { return [] }
    let exposed = facts.reachableNodes.filter { !isLoopback($0.host) }
    guard let first = exposed.first else { return [] }
    return [
      Finding(
        .warning, "no-password", first.address, "Redis asks for no password",
        "Whoever reaches its port reads every session. Set requirepass and masterauth, or an ACL user, "
          + "and redis.passwordFile here.")
    ]
  }

  private static let encryption: Check = { facts in
    guard !facts.isRedisEncrypted else { return [] }
    return facts.nodes.compactMap { node in
      guard let network = IPNetwork(node.host), !network.isPrivate else { return nil }
      return Finding(
        .warning, "no-tls", node.address, "sessions cross a public network unencrypted",
        "Set tls-port at Redis and redis.tls.enabled: true here.")
    }
  }

  private static let addressFilter: Check = { facts in
    guard let allowed = facts.allowedNetworks else { return [] }
    let networks = allowed.compactMap { IPNetwork($0) }
    return (facts.sentinels + facts.nodes).compactMap { server in
      guard !isLoopback(server.host), let address = IPNetwork(server.host),
        !networks.contains(where: { $0.contains(address) })
      else { return nil }
      return Finding(
        .critical, "address-filtered", server.address,
        "the unit's IPAddressAllow= does not name it",
        "The daemon cannot reach it. Add a drop-in: [Service] IPAddressAllow=\(server.host)")
    }
  }

  private static let leastPrivilege: Check = { facts in
    guard facts.isAuthenticated, let master = facts.master, master.info["acl-user"] == "default"
    else { return [] }
    return [
      Finding(
        .advice, "acl-default-user", deployment,
        "the daemon is Redis' default user, who may do everything",
        "ACL SETUSER holdfast on >PASSWORD ~* &* +@all -@admin -@dangerous +info +role +client|id "
          + "+client|kill +client|setname +client|setinfo +sort; and at the sentinels: "
          + "ACL SETUSER holdfast on >PASSWORD &* +auth +hello +ping +info +psubscribe +sentinel|myid "
          + "+sentinel|master +sentinel|get-master-addr-by-name +sentinel|sentinels +sentinel|replicas."
      )
    ]
  }
}

/// An address or a network, of IPv4 or IPv6, in numbers.
struct IPNetwork: Equatable {
  let bytes: [UInt8]
  let prefix: Int

  /// `10.0.0.0/8`, `fd00::/8`, a single address, or `any` and `localhost` as systemd has them; nil: a name.
  init?(_ text: String) {
    let named = ["localhost": "127.0.0.0/8", "link-local": "169.254.0.0/16", "any": "0.0.0.0/0"]
    let parts = (named[text] ?? text).split(separator: "/", maxSplits: 1)
    guard let first = parts.first, let bytes = Self.bytes(String(first)) else { return nil }
    self.bytes = bytes
    guard parts.count == 2 else {
      prefix = bytes.count * 8
      return
    }
    guard let length = Int(parts[1]), 0...bytes.count * 8 ~= length else { return nil }
    prefix = length
  }

  func contains(_ other: IPNetwork) -> Bool {
    guard bytes.count == other.bytes.count, prefix <= other.prefix else { return false }
    return (0..<prefix).allSatisfy { bit in
      let mask = UInt8(0x80) >> UInt8(bit % 8)
      return bytes[bit / 8] & mask == other.bytes[bit / 8] & mask
    }
  }

  /// Of nobody's but the site's: loopback, private and link-local.
  var isPrivate: Bool {
    [
      "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1",
      "fc00::/7", "fe80::/10",
    ].contains { IPNetwork($0)?.contains(self) ?? false }
  }

  private static func bytes(_ text: String) -> [UInt8]? {
    let isSix = text.contains(":")
    var bytes = [UInt8](repeating: 0, count: isSix ? 16 : 4)
    return inet_pton(isSix ? AF_INET6 : AF_INET, text, &bytes) == 1 ? bytes : nil
  }
}
