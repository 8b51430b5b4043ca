// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@Suite("Requests written into room that is there")
struct RequestWriterTests {
  @Test("The same bytes as when it grows step by step, whatever the lengths")
  func likeWriteCommand() {
    let sizes = [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 1001, 9999, 10_000, 123_456]
    for size in sizes {
      let arguments = [bytes("SET"), [UInt8](repeating: 7, count: size), [], bytes("\r\n")]
      var expected: [UInt8] = []
      expected.writeCommand(arguments)
      let written = RequestWriter.request(argumentCount: 4, byteCount: size + 5) { writer in
        for argument in arguments { writer.write(argument) }
      }
      #expect(written == expected)
    }
  }

  @Test("Arguments that are encoded already stay as they are")
  func encoded() {
    var head: [UInt8] = []
    head.writeBulk("EVALSHA")
    let written = RequestWriter.request(argumentCount: 12, byteCount: head.count + 10) { writer in
      writer.write(encoded: head, count: 1)
      for _ in 0..<11 { writer.write([]) }
    }
    #expect(
      written == bytes("*12\r\n$7\r\nEVALSHA\r\n" + String(repeating: "$0\r\n\r\n", count: 11)))
  }
}
