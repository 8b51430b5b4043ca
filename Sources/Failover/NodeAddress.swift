// SPDX-License-Identifier: Apache-2.0

/// Where a Redis or Sentinel process listens: a host name or address literal, and a TCP port.
public struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
  /// A host name, an IPv4 literal, or an IPv6 literal without brackets.
  public var host: String
  /// 1 to 65535.
  public var port: Int

  /// Makes an address from parts that are known to be good.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port`, or `[v6]:port`; nil when a part is missing or the port is out of range.
  public static func parse(_ text: String) -> NodeAddress? {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]"), host.count > 2 else { return nil }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      // An IPv6 literal without brackets: where it ends is a guess.
      return nil
    }
    return NodeAddress(host: String(host), portText: String(text[text.index(after: colon)...]))
  }

  /// Joins a host with a port as Sentinel prints them; nil when either is no good.
  public init?(host: String, portText: String) {
    guard !host.isEmpty, host.utf8.count <= 253,
      host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }),
      !portText.isEmpty, portText.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
      let port = Int(portText), (1...65535).contains(port)
    else { return nil }
    self.init(host: host, port: port)
  }

  /// `host:port`, an IPv6 literal in brackets.
  public var description: String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
