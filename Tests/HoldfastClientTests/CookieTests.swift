// SPDX-License-Identifier: Apache-2.0
import HoldfastClient
import Testing

/// The header that carries an id, and what must never get into it.
@Suite struct SessionCookieTests {
  private let id = String(repeating: "ab", count: 32)

  @Test func rendersAllThatProtectsIt() throws {
    let id = try #require(SessionID(id))
    let closing = try SessionCookie()
    #expect(
      closing.header(for: id) == "session=\(id.text); Path=/; Secure; HttpOnly; SameSite=Lax")
    #expect(closing.deletion == "session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    let lasting = try SessionCookie(
      name: "__Host-s", maxAgeSeconds: 60, sameSite: .strict, isSecure: true)
    #expect(
      lasting.header(for: id)
        == "__Host-s=\(id.text); Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60")
    #expect(try !SessionCookie(isSecure: false).header(for: id).contains("Secure"))
  }

  @Test(arguments: ["", "a b", "a=b", "a;b", "a\r\nSet-Cookie: x", "ä", "a,b"])
  func refusesNames(_ name: String) {
    #expect(throws: SessionCookie.Mistake.name) { try SessionCookie(name: name) }
  }

  @Test(arguments: ["", "x", "/a;b", "/a\r\nx", "/ä"])
  func refusesPaths(_ path: String) {
    #expect(throws: SessionCookie.Mistake.path) { try SessionCookie(path: path) }
  }

  @Test(arguments: [
    "", "ab", String(repeating: "AB", count: 32), String(repeating: "zz", count: 32),
  ])
  func onlyWhatHoldfastMakesIsAnID(_ text: String) {
    #expect(SessionID(text) == nil)
  }

  @Test func secretsPrintNothing() throws {
    let id = try #require(SessionID(id))
    var text = ""
    dump(id, to: &text)
    #expect(!"\(id) \(text) \([id])".contains("abab"))
  }
}
