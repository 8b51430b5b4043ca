// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization
import Testing

@testable import Gateway

/// A process is known for as long as it lives, and its end is heard of.
@Suite struct ProcessWatchTests {
  private final class Ended: Sendable {
    let keys = Mutex<[UInt64]>([])
  }

  private func sleeper() throws -> pid_t {
    var pid: pid_t = 0
    let words = [strdup("sleep"), strdup("1000")]
    defer { for word in words { free(word) } }
    #expect(posix_spawnp(&pid, "sleep", nil, nil, words + [nil], environ) == 0)
    return pid
  }

  private func end(_ pid: pid_t) {
    kill(pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  private func wait(_ condition: () -> Bool) -> Bool {
    for _ in 0..<10_000 {
      if condition() { return true }
      usleep(1000)
    }
    return false
  }

  @Test func tellsOfTheEndOfAProcess() throws {
    let ended = Ended()
    let watch = ProcessWatch(countMax: 10) { key in ended.keys.withLock { $0.append(key) } }
    defer { watch.stop() }
    let (first, second) = (try sleeper(), try sleeper())
    defer { end(second) }
    let key = try #require(watch.key(of: first))
    #expect(watch.key(of: first) == key, "one name, however many connections it has")
    #expect(watch.key(of: second) != key)
    #expect(watch.pid(of: key) == first)
    end(first)
    #expect(wait { ended.keys.withLock { $0 } == [key] })
    #expect(watch.pid(of: key) == nil)
    #expect(watch.key(of: first) == nil, "it is gone")
  }

  @Test func thereIsALimit() throws {
    let watch = ProcessWatch(countMax: 1) { _ in }
    defer { watch.stop() }
    let (first, second) = (try sleeper(), try sleeper())
    defer {
      end(first)
      end(second)
    }
    #expect(watch.key(of: first) != nil)
    #expect(watch.key(of: second) == nil)
    #expect(watch.key(of: 0) == nil, "another pid namespace")
  }
}
