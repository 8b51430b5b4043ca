// SPDX-License-Identifier: Apache-2.0
import Glibc
import Sessions
import Testing

@testable import Gateway

/// What stays denied across a restart is read back as it was written, by the daemon alone.
@Suite struct DenialFileTests {
  private let path = "/tmp/holdfast-denials-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

  @Test func readsWhatItWrote() {
    defer { unlink(path) }
    let denials = [
      PendingDenial(members: [Array("s:ab".utf8), [0, 255, 10]]),
      PendingDenial(
        members: [], epoch: .init(user: Array("a b:c".utf8), former: [], current: [1])),
    ]
    let file = DenialFile(path: path)
    #expect(file.load() == [])
    #expect(file.save(denials) == nil)
    #expect(file.load() == denials)
    var status = stat()
    #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(file.save([]) == nil)
    #expect(file.load() == [])
  }

  @Test(arguments: ["x", "-", "- zz", "- abc", "ab:cd 00", "ab:cd:ef:01 00", ""])
  func aBadLineCostsOnlyItself(_ line: String) {
    defer { unlink(path) }
    let good = PendingDenial(members: [[1, 2]])
    let text = "holdfast-denials 1\n\(line)\n\(DenialFile.line(good))\n"
    let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
    #expect(write(descriptor, text, text.utf8.count) == text.utf8.count)
    close(descriptor)
    #expect(DenialFile(path: path).load().contains(good))
  }

  @Test func anotherFileIsNotRead() {
    defer { unlink(path) }
    close(creat(path, 0o600))
    #expect(DenialFile(path: path).load() == [])
  }

  @Test func saysWhyItCannotWrite() {
    let error = DenialFile(path: "/nowhere/denials").save([])
    #expect(error?.contains("cannot create /nowhere/denials.new") == true)
  }
}
