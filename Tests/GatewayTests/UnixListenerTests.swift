// SPDX-License-Identifier: Apache-2.0
import Gateway
import Glibc
import Testing

/// The daemon's own socket: whose file is replaced, and who may connect.
@Suite struct UnixListenerTests {
  private let path = "/tmp/holdfast-listener-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"

  private func open(mode: UInt32 = 0o660, group: String? = nil) throws -> CInt {
    try UnixListener.open(path: path, mode: mode, group: group, backlog: 16)
  }

  @Test(arguments: [0o600, 0o660, 0o666] as [UInt32])
  func hasTheModeAskedFor(mode: UInt32) throws {
    let descriptor = try open(mode: mode)
    defer { clean(descriptor) }
    var status = stat()
    #expect(lstat(path, &status) == 0)
    #expect(status.st_mode & 0o777 == mode)
    #expect(status.st_mode & S_IFMT == S_IFSOCK)
  }

  @Test func replacesTheFileOfADeadDaemon() throws {
    close(try open())
    clean(try open())
  }

  @Test func neverReplacesALiveDaemon() throws {
    let descriptor = try open()
    defer { clean(descriptor) }
    let error = #expect(throws: ListenError.self) { try open() }
    #expect(error?.description.contains("another process listens there") == true)
    #expect(access(path, F_OK) == 0)
  }

  @Test func neverReplacesAnotherFile() throws {
    close(creat(path, 0o600))
    defer { unlink(path) }
    let error = #expect(throws: ListenError.self) { try open() }
    #expect(error?.description.contains("is not a socket") == true)
    #expect(access(path, F_OK) == 0)
  }

  @Test func saysWhichGroupIsMissing() {
    let error = #expect(throws: ListenError.self) { try open(group: "no-such-group-here") }
    #expect(error?.description.contains("listen.group no-such-group-here does not exist") == true)
    #expect(access(path, F_OK) != 0, "nothing is left behind")
  }

  @Test(arguments: ["", "/tmp/" + String(repeating: "x", count: 200)])
  func saysHowLongAPathMayBe(path: String) {
    let error = #expect(throws: ListenError.self) {
      try UnixListener.open(path: path, mode: 0o600, group: nil, backlog: 1)
    }
    #expect(error?.description.contains("must have 1 to 107 bytes") == true)
  }

  private func clean(_ descriptor: CInt) {
    close(descriptor)
    unlink(path)
  }
}
