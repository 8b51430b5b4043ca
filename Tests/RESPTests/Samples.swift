// SPDX-License-Identifier: Apache-2.0
import RESP

enum Samples {
  struct Reply: Sendable {
    let stream: String
    let value: RESPValue
    var offset = 0
    var type: UInt8 { Array(stream.utf8)[offset] }
  }

  struct Malformed: Sendable {
    let stream: String
    let reason: String
  }

  static let replies: [Reply] = [
    Reply(stream: "+OK\r\n", value: .simple("OK")),
    Reply(stream: "+\r\n", value: .simple("")),
    Reply(
      stream: "+a line of more than eight bytes\r\n",
      value: .simple("a line of more than eight bytes")),
    Reply(stream: "-ERR no\r\n", value: .error("ERR no")),
    Reply(stream: ":0\r\n", value: .integer(0)),
    Reply(stream: ":+5\r\n", value: .integer(5)),
    Reply(stream: ":9223372036854775807\r\n", value: .integer(.max)),
    Reply(stream: ":-9223372036854775808\r\n", value: .integer(.min)),
    Reply(stream: "$3\r\na\r\n\r\n", value: .bulk(Array("a\r\n".utf8))),
    Reply(stream: "$0\r\n\r\n", value: .bulk([])),
    Reply(stream: "$-1\r\n", value: .null),
    Reply(stream: "*-1\r\n", value: .null),
    Reply(stream: "_\r\n", value: .null),
    Reply(stream: "*0\r\n", value: .array([])),
    Reply(stream: "*2\r\n*1\r\n:1\r\n$-1\r\n", value: .array([.array([.integer(1)]), .null])),
    Reply(stream: "*1\r\n*0\r\n", value: .array([.array([])])),
    Reply(stream: ",1.5\r\n", value: .double(1.5)),
    Reply(stream: ",-1e-3\r\n", value: .double(-0.001)),
    Reply(stream: ",10\r\n", value: .double(10)),
    Reply(stream: ",inf\r\n", value: .double(.infinity)),
    Reply(stream: ",-inf\r\n", value: .double(-.infinity)),
    Reply(stream: "#t\r\n", value: .boolean(true)),
    Reply(stream: "#f\r\n", value: .boolean(false)),
    Reply(stream: "!6\r\nERR\r\nx\r\n", value: .error("ERR\r\nx")),
    Reply(stream: "=7\r\ntxt:a\r\n\r\n", value: .verbatim("txt", Array("a\r\n".utf8))),
    Reply(
      stream: "(-3492890328409238509324850943850943825024385\r\n",
      value: .bigNumber("-3492890328409238509324850943850943825024385")),
    Reply(
      stream: "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
      value: .map([
        .init(key: .simple("a"), value: .integer(1)),
        .init(key: .simple("b"), value: .array([.integer(2)])),
      ])),
    Reply(stream: "%0\r\n", value: .map([])),
    Reply(stream: "~2\r\n:1\r\n#t\r\n", value: .set([.integer(1), .boolean(true)])),
    Reply(
      stream: ">2\r\n$10\r\ninvalidate\r\n_\r\n",
      value: .push([.bulk(Array("invalidate".utf8)), .null])),
    Reply(stream: "*1\r\n>1\r\n+x\r\n", value: .array([.push([.simple("x")])])),
    Reply(stream: "|1\r\n+ttl\r\n:9\r\n+OK\r\n", value: .simple("OK"), offset: 14),
    Reply(stream: "|0\r\n*0\r\n", value: .array([]), offset: 4),
    Reply(stream: "|1\r\n+a\r\n*1\r\n:1\r\n-ERR\r\n", value: .error("ERR"), offset: 16),
    Reply(stream: "|0\r\n|1\r\n+a\r\n|0\r\n+b\r\n>0\r\n", value: .push([]), offset: 20),
    Reply(
      stream: "*2\r\n:1\r\n|1\r\n+ttl\r\n:9\r\n:2\r\n",
      value: .array([.integer(1), .integer(2)])),
    Reply(stream: "*1\r\n|1\r\n+a\r\n%1\r\n:1\r\n:2\r\n|0\r\n*0\r\n", value: .array([.array([])])),
  ]

  static let malformedReplies: [Malformed] = [
    Malformed(stream: "x", reason: "unknown reply type 'x'"),
    Malformed(stream: "\r\n", reason: "unknown reply type '\\r'"),
    Malformed(stream: "*1\r\n\u{1}", reason: "unknown reply type '\\x01'"),
    Malformed(stream: "$?\r\n", reason: "streamed replies are not supported"),
    Malformed(stream: "*?\r\n", reason: "streamed replies are not supported"),
    Malformed(stream: "%?\r\n", reason: "streamed replies are not supported"),
    Malformed(stream: ";4\r\n", reason: "streamed replies are not supported"),
    Malformed(stream: ".\r\n", reason: "streamed replies are not supported"),
    Malformed(stream: "$-2\r\n", reason: "invalid bulk length"),
    Malformed(stream: "$\r\n", reason: "invalid bulk length"),
    Malformed(stream: "$01\r\n", reason: "invalid bulk length"),
    Malformed(stream: "$+1\r\n", reason: "invalid bulk length"),
    Malformed(stream: "$536870913\r\n", reason: "invalid bulk length"),
    Malformed(stream: "!-1\r\n", reason: "invalid bulk length"),
    Malformed(stream: "=-1\r\n", reason: "invalid bulk length"),
    Malformed(stream: "$1\r\nabc", reason: "expected CRLF after bulk"),
    Malformed(stream: "$1\r\na\rc", reason: "expected CRLF after bulk"),
    Malformed(stream: "*-2\r\n", reason: "invalid multibulk length"),
    Malformed(stream: "*1x", reason: "invalid multibulk length"),
    Malformed(stream: "%-1\r\n", reason: "invalid multibulk length"),
    Malformed(stream: "~-1\r\n", reason: "invalid multibulk length"),
    Malformed(stream: ">-1\r\n", reason: "invalid multibulk length"),
    Malformed(stream: "|-1\r\n", reason: "invalid multibulk length"),
    Malformed(stream: "%524289\r\n", reason: "invalid multibulk length"),
    Malformed(stream: "*1048577\r\n", reason: "invalid multibulk length"),
    Malformed(stream: ":\r\n", reason: "invalid integer"),
    Malformed(stream: ":1.5\r\n", reason: "invalid integer"),
    Malformed(stream: ":?\r\n", reason: "invalid integer"),
    Malformed(stream: ":--1\r\n", reason: "invalid integer"),
    Malformed(stream: ":9223372036854775808\r\n", reason: "invalid integer"),
    Malformed(stream: ":-9223372036854775809\r\n", reason: "invalid integer"),
    Malformed(stream: "#x\r\n", reason: "invalid boolean"),
    Malformed(stream: "#tt\r\n", reason: "invalid boolean"),
    Malformed(stream: "#\r\n", reason: "invalid boolean"),
    Malformed(stream: "_1\r\n", reason: "invalid null"),
    Malformed(stream: ",\r\n", reason: "invalid double"),
    Malformed(stream: ",.\r\n", reason: "invalid double"),
    Malformed(stream: ",1e\r\n", reason: "invalid double"),
    Malformed(stream: ",0x1\r\n", reason: "invalid double"),
    Malformed(stream: ",1.5.\r\n", reason: "invalid double"),
    Malformed(stream: ",infinity\r\n", reason: "invalid double"),
    Malformed(stream: "(\r\n", reason: "invalid big number"),
    Malformed(stream: "(1a\r\n", reason: "invalid big number"),
    Malformed(stream: "=3\r\n", reason: "invalid verbatim string"),
    Malformed(stream: "=5\r\ntxt;a\r\n", reason: "invalid verbatim string"),
    Malformed(stream: "+a\rb", reason: "expected LF after CR"),
    Malformed(stream: "+" + String(repeating: "a", count: 65_537), reason: "too big line"),
  ]

  static let requests: [String] = [
    "*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$20\r\n01234567890123456789\r\n",
    "*1\r\n$4\r\nPING\r\n", "*0\r\n", "*-1\r\n", "PING\r\n", "\r\n", "set k \"a b\\n\"\n",
    "*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n", "*12\r\n" + String(repeating: "$1\r\nx\r\n", count: 12),
  ]

  static let malformedRequests: [String] = [
    "*x\r\n", "*1\r\n:1\r\n", "*1\r\n$-1\r\n", "*1\r\n$1\r\nab\r\n", "*1\r\n$1\r\na\rb",
    "a \"b\r\n",
    "*1\rx", "*99999999999999999999\r\n",
  ]
}
