// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import RESP
import RedisLab

@main
struct HoldfastLab: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "holdfast-lab",
    abstract: "Real Redis and Sentinel processes to see Holdfast at work, on this machine alone.",
    subcommands: [DemoCommand.self, TopologyCommand.self, FailoverCommand.self])
}

struct DemoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Session traffic through holdfastd while the master is killed.",
    discussion: """
      Starts a master, two replicas, three sentinels and holdfastd on ports and in a folder of their \
      own, kills the master under load and says what the traffic noticed. Exit status 1 if a \
      request failed or an acknowledged write is missing.
      """)

  @Flag(help: "End after the failover, instead of staying up to play with.")
  var once = false

  @Option(help: "The holdfastd to run; by default the one beside this program.")
  var daemon: String?

  func run() async throws {
    let terminal = Terminal()
    let passed: Bool
    do {
      passed = try await Interrupt.race {
        try await Demo(terminal, daemonPath: daemon).run(once: once)
      }
    } catch is CancellationError {
      terminal.say("Interrupted; everything was ended.")
      throw ExitCode(130)
    } catch {
      terminal.say("The demo failed: \(error)", .bad)
      throw ExitCode.failure
    }
    if !passed { throw ExitCode.failure }
  }
}

struct TopologyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "topology",
    abstract: "A master, two replicas and three sentinels alone, until Ctrl-C.",
    discussion: "Prints the folder, then name, port and process id of each.")

  func run() async throws {
    let terminal = Terminal()
    do {
      try await Interrupt.race {
        try await Topology.with { lab in
          terminal.line("folder \(lab.folder)")
          for node in lab.nodes + lab.sentinels {
            terminal.line("\(node.name) \(node.port) \(node.pid ?? 0)")
          }
          terminal.line("ready")
          await Interrupt.wait()
        }
      }
    } catch is CancellationError {
      throw ExitCode(130)
    }
  }
}

struct FailoverCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "failover", abstract: "Tells a sentinel of a running demo to fail over.")

  @Option(help: "The sentinel's port, as the demo printed it.")
  var sentinel: Int

  @Option(help: "The name that it monitors the master under.")
  var master = "mymaster"

  func run() async throws {
    let client = try await LabClient.connect(.tcp("127.0.0.1", sentinel))
    let reply = try await client.command("SENTINEL", "FAILOVER", master)
    guard reply == .simple("OK") else {
      throw ValidationError("the sentinel refused: \(reply)")
    }
    print("The failover has begun.")
  }
}
