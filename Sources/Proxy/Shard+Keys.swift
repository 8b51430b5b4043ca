// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP

// `KEYS`, answered through `SCAN`, so that it never blocks Redis.
extension Shard {
  func takeKeys(_ client: Client, _ pattern: UnsafeRawBufferPointer) -> Bool {
    guard client.order.isSettled else {
      client.block = .settle
      return false
    }
    guard let link = sharedLink(of: client), link.isReady, view.isServing else {
      return awaitMaster(client)
    }
    let isSilent = isSilent(client)
    let scan = KeysScan(
      position: client.order.issue(), pattern: Array(pattern), isSilent: isSilent)
    client.keysScan = scan
    client.block = .reply
    sendScan(client, scan, cursor: "0", on: link)
    return true
  }

  /// A cursor means nothing to another process: the scan begins again.
  func restartKeys(_ client: Client, on link: Link) {
    guard var scan = client.keysScan else { return }
    scan.keys = []
    client.keysScan = scan
    sendScan(client, scan, cursor: "0", on: link)
  }

  private func sendScan(_ client: Client, _ scan: KeysScan, cursor: String, on link: Link) {
    var bytes: [UInt8] = []
    bytes.writeCommand([
      Array("SCAN".utf8), Array(cursor.utf8), Array("MATCH".utf8), scan.pattern,
      Array("COUNT".utf8), Array("1000".utf8),
    ])
    bytes.withUnsafeBytes { enqueue($0, client.id, scan.position, .keysScan, on: link) }
  }

  func continueKeys(_ client: Client, _ link: Link, _ reply: UnsafeRawBufferPointer) {
    guard var scan = client.keysScan else { return }
    let value = try? RESPValue.parse(reply, from: 0, limits: configuration.replyLimits)?.value
    guard let parts = value?.elements, parts.count == 2, let cursor = parts[0].text,
      let keys = parts[1].elements
    else {
      if case .error(let text)? = value { return endKeys(client, error: text) }
      return endKeys(client, error: "ERR SCAN gave an answer that is not understood")
    }
    for case .bulk(let key) in keys { scan.keys.insert(key) }
    client.keysScan = scan
    if scan.keys.count > configuration.keysMax {
      return endKeys(
        client,
        error:
          "DENIED KEYS found more than \(configuration.keysMax) keys (commands.keysMax): use SCAN")
    }
    if cursor == "0" {
      endKeys(client, error: nil)
    } else {
      sendScan(client, scan, cursor: cursor, on: link)
    }
  }

  func endKeys(_ client: Client, error: String?) {
    guard let scan = client.keysScan else { return }
    client.keysScan = nil
    var bytes: [UInt8] = []
    if let error {
      bytes.writeError(error)
    } else {
      bytes.writeArrayHeader(scan.keys.count)
      for key in scan.keys { bytes.writeBulk(key) }
    }
    if scan.isSilent { bytes = [] }
    bytes.withUnsafeBytes { answer(client, scan.position, $0) }
    if client.block == .reply { unblock(client) }
  }
}
