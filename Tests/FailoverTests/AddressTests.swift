// SPDX-License-Identifier: Apache-2.0

import Failover
import Testing

@Suite struct AddressTests {
  @Test(arguments: [
    ("redis:6379", "redis", 6379), ("10.0.0.1:1", "10.0.0.1", 1), ("[::1]:65535", "::1", 65535),
  ])
  func goodAddressesRoundTrip(text: String, host: String, port: Int) {
    let address = NodeAddress.parse(text)
    #expect(address == NodeAddress(host: host, port: port))
    #expect(address?.description == text)
  }

  @Test(arguments: [
    "", ":", "redis", "redis:", ":6379", "redis:0", "redis:65536", "redis:-1", "redis:+1",
    "redis:99999999999999999999", "::1:6379", "[::1:6379", "[]:6379", "[::1]", "a b:1", "a:1 ",
  ])
  func badAddressesAreRefused(text: String) {
    #expect(NodeAddress.parse(text) == nil)
  }

  @Test func flagsAreReadByWord() {
    #expect(InstanceFlags.parse("master,s_down,unknown,o_down").isDown)
    #expect(!InstanceFlags.parse("slave,promoted").isDown)
    #expect(
      InstanceFlags.parse("master,failover_in_progress,force_failover") == [
        .failoverInProgress, .forcedFailover,
      ])
    #expect(InstanceFlags.parse("") == [])
  }
}
