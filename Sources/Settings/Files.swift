// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Reading small files.
enum Files {
  /// What tells two states of a file apart.
  struct Stamp: Equatable {
    let device: UInt64
    let inode: UInt64
    let size: Int64
    let seconds: Int
    let nanoseconds: Int

    init(_ status: stat) {
      device = UInt64(status.st_dev)
      inode = UInt64(status.st_ino)
      size = Int64(status.st_size)
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
    }
  }

  /// Why a file cannot be read, in words.
  struct Failure: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    init(errno code: CInt) { self.reason = strerror(code).map { String(cString: $0) } ?? "\(code)" }
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func stamp(_ path: String) throws(Failure) -> Stamp {
    var status = stat()
    guard stat(path, &status) == 0 else { throw Failure(errno: errno) }
    return Stamp(status)
  }

  /// A regular file's bytes, and its state before they were read.
  static func read(_ path: String, bytesMax: Int) throws(Failure) -> (bytes: [UInt8], stamp: Stamp)
  {
    // A FIFO without a writer must not block the start.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Failure(errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure(errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Failure("Is not a regular file") }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure(errno: errno) }
      if count == 0 { return (bytes, Stamp(status)) }
      bytes.append(contentsOf: chunk[..<count])
      guard bytes.count <= bytesMax else { throw Failure("Is larger than \(bytesMax) bytes") }
    }
  }
}
