// SPDX-License-Identifier: Apache-2.0
import RESP
import Testing

@Suite struct ReplyWriterTests {
  private func written(_ write: (inout [UInt8]) -> Void) -> String {
    var buffer = bytes("before")
    write(&buffer)
    return String(decoding: buffer.dropFirst(6), as: UTF8.self)
  }

  @Test func lines() {
    #expect(written { $0.writeSimple("OK") } == "+OK\r\n")
    let text = "a\r\nb"
    #expect(written { $0.writeSimple(text) } == "+a  b\r\n")
    #expect(written { $0.writeSimple("é") } == "+é\r\n")
    #expect(written { $0.writeError("ERR a\r\n+OK") } == "-ERR a  +OK\r\n")
  }

  @Test(arguments: [0, 1, -1, 10, 1_234_567_890, Int64.max, Int64.min])
  func integers(value: Int64) {
    #expect(written { $0.writeInteger(value) } == ":\(value)\r\n")
  }

  @Test func bulks() {
    #expect(written { $0.writeBulk("é") } == "$2\r\né\r\n")
    #expect(written { $0.writeBulk([]) } == "$0\r\n\r\n")
    #expect(
      written { buffer in [1, 2].withUnsafeBytes { buffer.writeBulk($0) } }.hasPrefix("$16\r\n"))
    #expect(written { $0.writeBulk(bytes("a\r\n")) } == "$3\r\na\r\n\r\n")
  }

  @Test(arguments: [RESPVersion.two, .three])
  func substitutesOfRESP2(version: RESPVersion) {
    let isThree = version == .three
    #expect(written { $0.writeNull(version) } == (isThree ? "_\r\n" : "$-1\r\n"))
    #expect(written { $0.writeNullArray(version) } == (isThree ? "_\r\n" : "*-1\r\n"))
    #expect(written { $0.writeArrayHeader(12) } == "*12\r\n")
    #expect(written { $0.writeMapHeader(2, version) } == (isThree ? "%2\r\n" : "*4\r\n"))
    #expect(written { $0.writeSetHeader(2, version) } == (isThree ? "~2\r\n" : "*2\r\n"))
    #expect(written { $0.writePushHeader(2, version) } == (isThree ? ">2\r\n" : "*2\r\n"))
    #expect(written { $0.writeBoolean(true, version) } == (isThree ? "#t\r\n" : ":1\r\n"))
    #expect(written { $0.writeBoolean(false, version) } == (isThree ? "#f\r\n" : ":0\r\n"))
    #expect(
      written { $0.writeVerbatim("é", version) } == (isThree ? "=6\r\ntxt:é\r\n" : "$2\r\né\r\n"))
  }

  @Test(arguments: [
    (1.5, "1.5"), (3.0, "3"), (-0.001, "-0.001"), (1e100, "1e+100"), (0, "0"),
    (Double.infinity, "inf"), (-Double.infinity, "-inf"), (Double.nan, "nan"),
    (-Double.nan, "nan"),
  ])
  func doubles(value: Double, text: String) throws {
    #expect(written { $0.writeDouble(value, .three) } == ",\(text)\r\n")
    #expect(written { $0.writeDouble(value, .two) } == "$\(text.utf8.count)\r\n\(text)\r\n")
    if !value.isNaN { #expect(try parse(",\(text)\r\n") == .double(value)) }
  }

  @Test func commands() {
    #expect(written { $0.writeCommand(["GET", ""]) } == "*2\r\n$3\r\nGET\r\n$0\r\n\r\n")
    #expect(written { $0.writeCommand([bytes("PING")]) } == "*1\r\n$4\r\nPING\r\n")
  }
}
