// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

#if canImport(Glibc)
  import Glibc
#endif

// `COMMAND` and its subcommands, from the table.
extension Shard {
  func describeCommands(
    _ client: Client, _ command: LocalCommand, _ arguments: RequestArguments
  ) {
    let version = client.version
    let tops = table.specs.filter { !$0.name.contains("|") }
    reply(client) { out in
      if command == .commandCount {
        out.writeInteger(Int64(tops.count))
      } else if command == .commandList {
        out.writeArrayHeader(tops.count)
        for spec in tops { out.writeBulk(spec.name.lowercased()) }
      } else if command == .commandInfo && arguments.count > 2 {
        out.writeArrayHeader(arguments.count - 2)
        for index in 2..<arguments.count {
          let found = self.table.find(name: arguments[index], subcommand: nil)
          if let found {
            self.write(self.table[found], &out)
          } else {
            out.writeNull(version)
          }
        }
      } else {
        out.writeArrayHeader(tops.count)
        for spec in tops { self.write(spec, &out) }
      }
    }
  }

  private func write(_ spec: CommandSpec, _ out: inout [UInt8]) {
    out.writeArrayHeader(6)
    out.writeBulk(spec.name.lowercased())
    out.writeInteger(Int64(spec.arity))
    out.writeArrayHeader(1)
    out.writeSimple(spec.isWrite ? "write" : "readonly")
    out.writeInteger(Int64(spec.keys.first))
    out.writeInteger(Int64(spec.keys.last))
    out.writeInteger(Int64(spec.keys.step))
  }

  /// The only clock here that is not an event's: `TIME` answers with the host's own.
  func wallClockMicroseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}
