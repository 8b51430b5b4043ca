// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// What is told of a failover afterwards.
@Suite struct FailoverReports {
  private func timeline(_ number: UInt64) -> FailoverTimeline {
    var timeline = FailoverTimeline(
      number: number, kind: .crash, oldAddress: NodeAddress(host: "10.0.0.1", port: 6379),
      oldGeneration: 1)
    timeline.firstSignMilliseconds = 1_000
    timeline.fencedMilliseconds = 1_200
    timeline.cutOverMilliseconds = 1_500
    return timeline
  }

  @Test func waitsAreAddedUpOverShards() {
    var book = FailoverBook()
    var figures = FailoverFigures()
    for wait in 1...100 { figures.addWait(Int64(wait)) }
    book.record(figures, shard: 0, failover: 1)
    book.record(timeline(1))
    book.record(figures, shard: 1, failover: 1)
    book.record(figures, shard: 1, failover: 1)
    let report = book.reports[0]
    #expect(report.figures.waited == 200, "a shard's later figures replace its earlier ones")
    #expect(report.figures.wait(percentile: 50) == 50)
    #expect(report.figures.wait(percentile: 99) == 99)
    #expect(report.figures.longestMilliseconds == 100)
    #expect(report.steps.map(\.name) == ["fenced", "cut-over"])
    #expect(report.steps.map(\.milliseconds) == [200, 500])
    #expect(report.summary.contains("200 requests waited, 100 ms at most"))
  }

  @Test func onlyTheLastAreKept() {
    var book = FailoverBook()
    for number in 1...40 { book.record(timeline(UInt64(number))) }
    book.record(FailoverFigures(), shard: 0, failover: 1)
    #expect(book.reports.map(\.timeline.number) == Array(9...40))
  }

  @Test func requestsOfAFailoverAreCounted() {
    let rig = Rig.serving()
    let client = rig.connect()
    rig.send(client, "PING")
    rig.failoverNumber = 1
    rig.fence()
    rig.push(client, "SET a 1")
    rig.advance(400)
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    rig.advance(200)
    #expect(client.replies() == ["+OK"])
    rig.book.record(timeline(1))
    #expect(rig.book.reports[0].figures.waited == 1)
    #expect(rig.book.reports[0].figures.longestMilliseconds == 400)
    rig.shard.reports = rig.book.reports
    let reply = rig.send(client, "HOLDFAST.FAILOVERS")
    #expect(reply.count == 1 && reply[0].contains("wait-max-ms :400"))
    #expect(rig.send(client, "HOLDFAST.FAILOVERS 0") == ["[]"])
    #expect(rig.send(client, "HOLDFAST.FAILOVERS x")[0].hasPrefix("-ERR syntax"))
  }
}
