// SPDX-License-Identifier: Apache-2.0

/// Renders the header that gives a browser its session's id.
public struct SessionCookie: Sendable {
  /// Which requests of other sites carry it.
  public enum SameSite: String, Sendable {
    /// Those that a user followed a link for.
    case lax = "Lax"
    /// None.
    case strict = "Strict"
  }

  /// Why a cookie cannot be made.
  public enum Mistake: Error, Sendable, Equatable {
    /// The name has characters that no cookie's name may have.
    case name
    /// The path has characters that would begin another attribute or header.
    case path
  }

  /// The cookie's name.
  public let name: String
  /// Where it is sent.
  public let path: String
  /// How long browsers keep it, in seconds; nil: until they are closed.
  public let maxAgeSeconds: Int?
  /// See ``SameSite``.
  public let sameSite: SameSite
  /// Whether it is sent over TLS alone. False is for development.
  public let isSecure: Bool

  /// A cookie of these, checked: nothing of them can begin another attribute or header.
  public init(
    name: String = "session", path: String = "/", maxAgeSeconds: Int? = nil,
    sameSite: SameSite = .lax, isSecure: Bool = true
  ) throws(Mistake) {
    let separators = Set("()<>@,;:\\\"/[]?={} \t".utf8)
    guard !name.isEmpty,
      name.utf8.allSatisfy({ (0x21...0x7e).contains($0) && !separators.contains($0) })
    else { throw .name }
    guard path.hasPrefix("/"),
      path.utf8.allSatisfy({ (0x20...0x7e).contains($0) && $0 != UInt8(ascii: ";") })
    else { throw .path }
    self.name = name
    self.path = path
    self.maxAgeSeconds = maxAgeSeconds
    self.sameSite = sameSite
    self.isSecure = isSecure
  }

  /// The value of `Set-Cookie` after a request; nil where the browser has the right one already.
  public func header(after scope: RequestScope) async -> String? {
    let id = await scope.id
    guard id != scope.givenID else { return maxAgeSeconds == nil ? nil : id.map(header) }
    return id.map(header) ?? deletion
  }

  /// The value of `Set-Cookie` for a session.
  public func header(for id: SessionID) -> String {
    "\(name)=\(id.text)" + attributes + (maxAgeSeconds.map { "; Max-Age=\($0)" } ?? "")
  }

  /// The value of `Set-Cookie` that makes a browser forget it.
  public var deletion: String { "\(name)=" + attributes + "; Max-Age=0" }

  private var attributes: String {
    "; Path=\(path)\(isSecure ? "; Secure" : ""); HttpOnly; SameSite=\(sameSite.rawValue)"
  }
}
