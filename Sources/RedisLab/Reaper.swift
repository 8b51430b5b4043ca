// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Ends what the lab started even when the lab itself is killed.
///
/// A small shell holds the read end of a pipe whose only write end is here. It notes process ids
/// and folders; when the pipe ends, for whatever reason, it kills and removes what is still noted.
/// (A death signal would not do: the kernel ties it to the thread that forked, not to the process.)
final class Reaper: Sendable {
  /// The one of this process; nil where it could not be started.
  static let shared = try? Reaper()

  private static let script = """
    trap '' INT TERM HUP
    pids=' ' ; folders=
    while read -r kind value; do
      case $kind in
        watch) pids="$pids$value " ;;
        forget) pids="${pids%% $value *} ${pids#* $value }" ;;
        folder) folders="$folders $value" ;;
      esac
    done
    for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
    for folder in $folders; do
      for try in 1 2 3 4 5; do rm -rf -- "$folder" && break; sleep 0.1; done
    done
    """

  private let pipe: Int32
  private let writing = Mutex(())

  private init() throws {
    var ends: [Int32] = [-1, -1]
    guard Glibc.pipe(&ends) == 0 else { throw LabError.last("pipe") }
    defer { close(ends[0]) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    pipe = ends[1]
    // A write to a reaper that is gone must be an error, not the end of this process.
    signal(SIGPIPE, SIG_IGN)
    _ = try ChildProcess.start(
      "/bin/sh", arguments: ["sh", "-c", Self.script, "redis-lab-reaper"], input: ends[0],
      watched: false)
  }

  /// This process dies with the lab.
  func watch(_ pid: pid_t) { tell("watch \(pid)") }

  /// This process was waited for; its id may belong to another one from now on.
  func forget(_ pid: pid_t) { tell("forget \(pid)") }

  /// This folder goes with the lab. Paths of the lab's own making: no spaces in them.
  func remove(folder: String) { tell("folder \(folder)") }

  private func tell(_ line: String) {
    // One write below PIPE_BUF is atomic; the lock keeps the order of watch and forget.
    writing.withLock { _ in
      let bytes = Array("\(line)\n".utf8)
      _ = write(pipe, bytes, bytes.count)
    }
  }
}
