// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Systemd

struct SocketActivationTests {
  /// A socket bound to the abstract address of the kernel's choosing.
  private static func unixSocket(_ type: __socket_type, isListening: Bool) throws -> CInt {
    let descriptor = socket(AF_UNIX, CInt(type.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sa_family_t>.size))
      }
    }
    try #require(code == 0)
    if isListening { try #require(listen(descriptor, 1) == 0) }
    return descriptor
  }

  @Test func aListeningStreamSocketIsTaken() throws {
    let descriptor = try Self.unixSocket(SOCK_STREAM, isListening: true)
    defer { close(descriptor) }
    let socket = try SocketActivation.checked(descriptor: descriptor, name: "web")
    #expect(socket == ActivatedSocket(descriptor: descriptor, name: "web"))
    #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
  }

  @Test func anythingElseIsRefused() throws {
    let bound = try Self.unixSocket(SOCK_STREAM, isListening: false)
    let datagram = try Self.unixSocket(SOCK_DGRAM, isListening: false)
    let file = open("/dev/null", O_RDONLY)
    defer { [bound, datagram, file].forEach { close($0) } }
    for descriptor in [bound, datagram, file, 1_000_000] {
      let error = #expect(throws: SocketActivationError.self) {
        try SocketActivation.checked(descriptor: descriptor, name: "web")
      }
      #expect(error?.description.contains("descriptor \(descriptor) (web) is not") == true)
    }
  }

  @Test func startedOtherwiseThereAreNone() throws {
    #expect(try SocketActivation.listeners() == [])
  }
}
