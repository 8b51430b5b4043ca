// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@testable import holdfast

/// What operators see, from answers as the daemon gives them.
struct ScreenTests {
  private static func status(_ changes: [(String, RESPValue)] = []) -> Fields {
    var fields: [(String, RESPValue)] = [
      ("version", .text("0.1.0")), ("pid", .integer(7)), ("uptime-seconds", .integer(93_784)),
      ("state", .text("serving")), ("reason", .text("")), ("mode", .text("sentinel")),
      ("master-name", .text("main")), ("master", .text("10.0.0.1:6379")),
      ("generation", .integer(3)), ("epoch", .integer(9)), ("fence", .null), ("fenced-ms", .null),
      ("sentinels-reachable", .integer(2)), ("sentinels-known", .integer(3)),
      (
        "sentinels",
        .array([
          .fields([
            ("address", .text("10.0.0.2:26379")), ("reachable", .boolean(false)),
            ("master", .null), ("epoch", .null), ("id", .text("0123456789abcdef")),
          ])
        ])
      ), ("replicas", .array([])), ("clients", .integer(4)), ("waiting", .integer(0)),
    ]
    for (name, value) in changes {
      fields.removeAll { $0.0 == name }
      fields.append((name, value))
    }
    return Fields(.fields(fields))
  }

  @Test func statusSaysWhatIs() {
    let text = StatusScreen().text(Self.status())
    for part in [
      "SERVING\n", "10.0.0.1:6379, generation 3", "'main' by epoch 9", "up 1 d 2 h",
      "2 of 3 answer", "10.0.0.2:26379", "01234567", "none: a failover is impossible",
      "Failovers: none",
    ] {
      #expect(text.contains(part), "\(part)")
    }
    #expect(!text.contains("\u{1B}"), "no colour was asked for")
  }

  @Test(arguments: [
    ("waiting", "WAITING for a master: the reason"), ("no-master", "NO MASTER: the reason"),
    ("provisional", "SERVING, provisional"),
  ]) func statusNamesTheTrouble(state: String, words: String) {
    let status = Self.status([("state", .text(state)), ("reason", .text("the reason"))])
    #expect(StatusScreen().text(status).contains(words))
  }

  @Test func statusShowsAFence() {
    let status = Self.status([("fence", .text("a leader")), ("fenced-ms", .integer(1500))])
    #expect(StatusScreen().text(status).contains("FENCED      writes wait since 1.5 s: a leader"))
  }

  @Test func whatOthersSentCannotSteerTheTerminal() {
    let status = Self.status([("master", .text("\u{1B}[2Jevil\nline"))])
    let text = StatusScreen().text(status)
    #expect(!text.contains("\u{1B}") && text.contains(" [2Jevil line"))
  }

  @Test func timelineIsInOrderAndFull() throws {
    let failover = Fields(
      .fields([
        ("number", .integer(2)), ("kind", .text("crash")), ("old", .text("a:1")),
        ("new", .text("b:2")), ("outcome", .text("switched")), ("evidence", .text("it said so")),
        ("odown-ms", .integer(100)), ("cut-over-ms", .integer(400)), ("ended-ms", .integer(800)),
        ("waited", .integer(5)), ("wait-p50-ms", .integer(1)), ("wait-p99-ms", .integer(2)),
        ("wait-max-ms", .integer(3)), ("resent", .integer(4)), ("uncertain", .integer(0)),
        ("nomaster", .integer(0)), ("possibly-lost-writes", .integer(0)),
      ]))
    let lines = Timeline().text(failover).split(separator: "\n")
    #expect(lines[0] == "Failover 2, crash: a:1 to b:2, switched")
    let bars = lines.filter { $0.contains("●") }
    #expect(bars.count == 4, "three steps and the first sign")
    let places = bars.map {
      $0.distance(from: $0.startIndex, to: $0.firstIndex(of: "●") ?? $0.endIndex)
    }
    #expect(places == places.sorted() && Set(places).count == 4)
    #expect(lines.last?.contains("5 requests waited (p50 1, p99 2, longest 3 ms)") == true)
  }

  @Test func topShowsRates() {
    func answer(_ time: Int64, _ count: Int64) -> Fields {
      Fields(
        .fields([
          ("time-ms", .integer(time)), ("state", .text("serving")), ("master", .text("a:1")),
          (
            "classes",
            .array([
              .fields([
                ("class", .text("read")), ("commands", .integer(count)), ("p50-us", .integer(70)),
              ])
            ])
          ),
          ("commands", .array([.fields([("command", .text("GET")), ("count", .integer(count))])])),
        ]))
    }
    let text = TopScreen().text(answer(3000, 700), after: answer(1000, 200))
    #expect(text.contains("read   250.0       -       70"), "\(text)")
    #expect(text.contains("GET      250.0       700"), "\(text)")
  }

  @Test func json() {
    let value = RESPValue.fields([
      ("text", .text("a \"b\"\n\u{1}\\")), ("list", .array([.integer(1), .null, .boolean(true)])),
      ("empty", .array([])), ("number", .double(1.5)),
    ])
    #expect(
      value.json() == """
        {
          "text": "a \\"b\\"\\n\\u0001\\\\",
          "list": [
            1,
            null,
            true
          ],
          "empty": [],
          "number": 1.5
        }
        """)
  }

  @Test func findings() {
    let text = FindingList().text([
      Fields(
        .fields([
          ("severity", .text("critical")), ("subject", .text("a:1")), ("title", .text("bad")),
          ("advice", .text("do this")), ("code", .text("bad-thing")),
        ]))
    ])
    #expect(text == "CRITICAL  a:1: bad\n          do this  [bad-thing]\n")
    #expect(FindingList().text([]) == "nothing to change was found\n")
  }

  @Test(arguments: [
    (Int64(250), "250 ms"), (1500, "1.5 s"), (65_000, "1 min 5 s"), (3_660_000, "1 h 1 min"),
    (90_000_000, "1 d 1 h"),
  ]) func durations(milliseconds: Int64, text: String) {
    #expect(duration(milliseconds: milliseconds) == text)
  }

  @Test(arguments: [(Int64(0), "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB")])
  func sizes(bytes: Int64, text: String) { #expect(size(bytes: bytes) == text) }
}
