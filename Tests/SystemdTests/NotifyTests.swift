// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import Systemd

/// One at a time: they change the process' environment.
@Suite(.serialized) struct NotifyTests {
  @Test func nothingHappensWithoutAManager() {
    unsetenv("NOTIFY_SOCKET")
    Notify.ready(status: "x")
    #expect(Notify.watchdogMicroseconds == nil)
  }

  @Test func theManagerHearsEachState() throws {
    let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let path = "/tmp/holdfast-notify-\(getpid()).sock"
    unlink(path)
    defer { unlink(path) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(code == 0)
    setenv("NOTIFY_SOCKET", path, 1)
    defer { unsetenv("NOTIFY_SOCKET") }

    func received() -> String {
      var buffer = [UInt8](repeating: 0, count: 1024)
      let count = recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
      return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
    Notify.ready(status: "serving\nREADY=0")
    #expect(received() == "READY=1\nSTATUS=serving READY=0")
    Notify.status("x")
    #expect(received() == "STATUS=x")
    Notify.stopping()
    #expect(received() == "STOPPING=1")
    Notify.watchdog()
    #expect(received() == "WATCHDOG=1")
    Notify.reloading()
    let parts = received().split(separator: "\n")
    #expect(parts.first == "RELOADING=1")
    #expect(parts.count == 2)
    let microseconds = parts.last.flatMap { Int($0.dropFirst("MONOTONIC_USEC=".count)) }
    #expect((microseconds ?? 0) > 0)
  }
}
