// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The server program: an installed one, or the one that Debian's redis-tools hides.
public struct RedisServer: Equatable, Sendable {
  /// The file that is run.
  public let executable: String
  /// The name it is run under. `redis-check-rdb` is the same binary as `redis-server` and decides
  /// by its own name what to be.
  public let name: String

  /// `HOLDFAST_REDIS_SERVER`, else `redis-server` or `valkey-server` in PATH, else `redis-check-rdb`.
  /// - Throws: `LabError.failed`, which names what to install.
  public static func find() throws -> RedisServer {
    if let path = environmentValue("HOLDFAST_REDIS_SERVER") {
      guard access(path, X_OK) == 0 else {
        throw LabError.failed(
          "HOLDFAST_REDIS_SERVER is \(path), which is no program that can be run")
      }
      return RedisServer(executable: path, name: name(of: path))
    }
    let folders = (environmentValue("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
    for program in ["redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb"] {
      for folder in folders {
        let path = "\(folder)/\(program)"
        if access(path, X_OK) == 0 { return RedisServer(executable: path, name: name(of: path)) }
      }
    }
    throw LabError.failed(
      "no redis-server, valkey-server or redis-check-rdb in PATH: install redis-tools "
        + "(no service is needed), or name a server in HOLDFAST_REDIS_SERVER")
  }

  private static func name(of path: String) -> String {
    path.contains("valkey") ? "valkey-server" : "redis-server"
  }
}
