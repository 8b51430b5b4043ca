// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Failover

struct TLSFailureTests {
  @Test(arguments: [
    (
      "handshakeFailed(NIOSSL.BoringSSLError.sslError([Error: 268435581 error:1000007d:SSL "
        + "routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at /build/ssl/handshake.cc:298]))",
      "TLS: certificate verify failed"
    ),
    (
      "NIOSSLExtraError.failedToValidateHostname: Couldn't find <none> in certificate from peer",
      "TLS: the certificate does not name the host connected to"
    ),
    ("uncleanShutdown", "TLS: the handshake failed"),
  ]) func isReadable(description: String, text: String) {
    #expect(TLSFailure.text(description) == text)
  }
}
