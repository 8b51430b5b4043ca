// SPDX-License-Identifier: Apache-2.0

import CSystemd
import Glibc

/// A listening socket that the service manager opened.
public struct ActivatedSocket: Sendable, Equatable {
  /// Close-on-exec; the receiver closes it.
  public let descriptor: CInt
  /// `FileDescriptorName=` of the socket unit, by default the unit's name.
  public let name: String
}

/// Why a socket that was handed over cannot be used.
public struct SocketActivationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was wrong with which socket, and what to do.
  public let description: String
}

/// Sockets handed over by systemd.
public enum SocketActivation {
  /// The sockets, in the order of the unit; empty when started otherwise.
  ///
  /// Once only: the variables are unset, so that no child takes the sockets for its own. Call it before any thread
  /// starts. Throws a ``SocketActivationError`` for anything but a listening stream socket.
  public static func listeners() throws(SocketActivationError) -> [ActivatedSocket] {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    let count = sd_listen_fds_with_names(1, &names)
    guard count >= 0 else {
      throw SocketActivationError(
        description: "socket activation: LISTEN_FDS is unusable: \(text(ofError: -count))")
    }
    defer { free(names) }
    var sockets: [ActivatedSocket] = []
    for index in 0..<Int(count) {
      let name = names?[index]
      defer { free(name) }
      sockets.append(
        try checked(
          descriptor: CInt(index) + 3, name: name.map { String(cString: $0) } ?? "unknown"))
    }
    return sockets
  }

  static func checked(
    descriptor: CInt, name: String
  ) throws(SocketActivationError) -> ActivatedSocket {
    let isStream = sd_is_socket(descriptor, AF_UNSPEC, CInt(SOCK_STREAM.rawValue), 1)
    let families = [AF_UNIX, AF_INET, AF_INET6]
    let isKnown = families.contains { sd_is_socket(descriptor, $0, 0, -1) > 0 }
    guard isStream > 0, isKnown else {
      let reason = isStream < 0 ? " (\(text(ofError: -isStream)))" : ""
      throw SocketActivationError(
        description: "socket activation: descriptor \(descriptor) (\(name)) is not a listening "
          + "stream socket\(reason); give the socket unit ListenStream= and Accept=no")
    }
    guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
      throw SocketActivationError(
        description:
          "socket activation: descriptor \(descriptor) (\(name)): \(text(ofError: errno))"
      )
    }
    return ActivatedSocket(descriptor: descriptor, name: name)
  }

  private static func text(ofError code: CInt) -> String {
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
  }
}
