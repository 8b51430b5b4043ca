// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import RESP

struct Drill: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rehearses a failover: commands one, and measures what apps saw.",
    discussion: """
      A key of its own (holdfast:drill, one minute) is written and read through the socket all the \
      while. Afterwards it is checked that no acknowledged write is missing.

        holdfast drill --planned         says whether a replica lags, asks, then commands SENTINEL FAILOVER
        holdfast drill --report          shows what the last failover cost, and commands nothing
      """)

  @OptionGroup var common: Common
  @Flag(help: "Command a failover.") var planned = false
  @Flag(help: "Only report the last failover.") var report = false
  @Flag(help: "Do not ask first.") var yes = false

  func validate() throws {
    guard planned != report else { throw ValidationError("give --planned or --report") }
  }

  func run() throws {
    let connection = try common.connect(timeoutSeconds: 60)
    if report { return try showReport(connection, after: 0) }
    let status = Fields(try connection.ask(["HOLDFAST.STATUS"]))
    guard status.text("state") == "serving" else {
      throw fail("there is no settled master now: \(status.text("reason"))", 1)
    }
    try warnOfLag()
    try confirm(status)
    let before = lastNumber(try connection.ask(["HOLDFAST.FAILOVERS", "1"]))
    let probe = try common.connect(timeoutSeconds: 60)
    var load = DrillLoad(connection: probe)
    try load.step()
    _ = try connection.ask(["HOLDFAST.DRILL", "PLANNED"])
    let end = DrillLoad.now + 60_000
    while DrillLoad.now < end {
      try load.step()
      let answer = try connection.ask(["HOLDFAST.FAILOVERS", "1"])
      if lastNumber(answer) > before, isOver(answer) { break }
    }
    put(load.text)
    try showReport(connection, after: before)
    if load.isLossy { throw ExitCode(1) }
  }

  /// A replica says that it is connected up to a second before it is streamed to; promoted then, it lacks all of that.
  private func warnOfLag() throws {
    let connection = try common.connect(timeoutSeconds: 60)
    _ = try connection.ask([
      "HOLDFAST.DURABILITY", "REPLICATED", "REPLICAS", "ALL", "TIMEOUT", "2000",
    ])
    let write = ["SET", DrillLoad.key, "0", "PX", "60000"]
    guard case .error(let text)? = try? connection.command(write), text.hasPrefix("UNREPLICATED")
    else { return }
    put(
      "Not every replica that may be promoted has this command's first write after 2 s. One that lags would lose what "
        + "it lacks: see holdfast doctor.\n")
  }

  private func confirm(_ status: Fields) throws {
    guard !yes else { return }
    put("The master \(status.text("master")) will hand over to one of its replicas. Go on? [y/N] ")
    guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
      throw fail("nothing was done", 1)
    }
  }

  private func lastNumber(_ answer: RESPValue) -> Int64 {
    answer.elements?.first.map { Fields($0).number("number") } ?? 0
  }

  private func isOver(_ answer: RESPValue) -> Bool {
    answer.elements?.first.map { Fields($0).text("outcome") != "underway" } ?? false
  }

  private func showReport(_ connection: DaemonConnection, after number: Int64) throws {
    let answer = try connection.ask(["HOLDFAST.FAILOVERS", "1"])
    guard let last = answer.elements?.first, lastNumber(answer) > number else {
      throw fail("no failover was seen", 1)
    }
    put(Timeline(drawing: .forOutput).text(Fields(last)))
  }
}

/// An app's view: one counter that is written and read as fast as it goes.
struct DrillLoad {
  static let key = "holdfast:drill"

  let connection: DaemonConnection
  private var written: Int64 = 0
  private var requests = 0
  private var errors: [String] = []
  private var wrong = 0
  private var longestMilliseconds: Int64 = 0

  init(connection: DaemonConnection) { self.connection = connection }

  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Whether a request failed, or what was acknowledged is not there.
  var isLossy: Bool { wrong > 0 || !errors.isEmpty }

  mutating func step() throws {
    let start = Self.now
    let answer = try send(["SET", Self.key, "\(written + 1)", "PX", "60000"])
    var mayBeWritten = false
    if case .error(let text) = answer {
      errors.append(text)
      mayBeWritten = true
    } else {
      written += 1
    }
    let read = try send(["GET", Self.key])
    if case .error(let text) = read {
      errors.append(text)
    } else if mayBeWritten, read.integerValue == written + 1 {
      written += 1
    } else if read.integerValue != written {
      wrong += 1
      written = read.integerValue ?? written
    }
    requests += 2
    longestMilliseconds = max(longestMilliseconds, Self.now - start)
  }

  private func send(_ words: [String]) throws -> RESPValue {
    do { return try connection.command(words) } catch { throw fail("\(error)", 2) }
  }

  var text: String {
    "This command's own \(requests) requests: \(errors.count) failed, \(wrong) acknowledged writes "
      + "missing, the longest pair took \(longestMilliseconds) ms\n"
      + (errors.first.map { "  the first error: \(clean($0))\n" } ?? "")
  }
}
