// SPDX-License-Identifier: Apache-2.0

/// What `AUTH` and `HELLO` send: a user name and password, or a password alone. Never prints the password.
public struct Credentials: Sendable, Equatable, CustomStringConvertible,
  CustomDebugStringConvertible, CustomReflectable
{
  /// The ACL user; nil for the default user.
  public var username: String?
  /// The password.
  public var password: String

  /// Makes credentials.
  public init(username: String?, password: String) {
    self.username = username
    self.password = password
  }

  /// The user; never the password.
  public var description: String { "Credentials(user: \(username ?? "default"))" }
  /// The user; never the password.
  public var debugDescription: String { description }
  /// No children: `dump` shows nothing.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
