// SPDX-License-Identifier: Apache-2.0

/// A client that subscribes, while another one publishes between its batches. It publishes nothing
/// itself: where its own messages stand among its replies is not promised.
enum SubscriberSequences {
  static func rounds(_ seed: UInt64, _ random: inout SeededGenerator) -> [Round] {
    var requests = random.oneIn(2) ? [Request("HELLO", "3")] : []
    for _ in 0..<random.number(in: 20..<60) {
      requests.append(own(DataSequences.request(of: random.pick(patterns), &random), seed))
    }
    var rounds = DataSequences.batches(of: requests, &random)
    for index in rounds.indices where !random.oneIn(3) {
      for _ in 0..<random.number(in: 1..<5) {
        let pattern = random.pick(publications)
        let request = Request(pattern.arguments(&random, value: Vocabulary.value))
        rounds[index].others.append(own(request, seed))
      }
    }
    return rounds
  }

  /// Channels are the sequence's own: what another one left behind does not count as a receiver.
  private static func own(_ request: Request, _ seed: UInt64) -> Request {
    var request = request
    for index in request.arguments.indices {
      let isChannel = request.arguments[index].starts(with: Array("channel".utf8))
      if isChannel { request.arguments[index] += Array("-\(seed)".utf8) }
    }
    return request
  }

  private static let patterns = CommandPattern.list(
    """
    SUBSCRIBE channel...
    SUBSCRIBE channel
    PSUBSCRIBE glob...
    SSUBSCRIBE channel
    SSUBSCRIBE channel...
    UNSUBSCRIBE
    UNSUBSCRIBE channel...
    PUNSUBSCRIBE [ glob ]
    SUNSUBSCRIBE [ channel ]
    SUBSCRIBE
    PING
    PING value
    PING value value
    GET string
    SET string value
    ECHO value
    NOSUCH value
    HELLO ( 2 | 3 )
    RESET
    SELECT database
    CLIENT GETNAME
    CLIENT ID
    INFO
    PUBSUB NUMSUB channel
    PUBSUB SHARDNUMSUB channel...
    BLPOP list 0.01
    EVAL script 1 string value
    EXEC
    UNWATCH
    """)

  private static let publications = CommandPattern.list(
    """
    PUBLISH channel value
    PUBLISH channel value
    SPUBLISH channel value
    PUBSUB NUMSUB channel...
    PUBSUB SHARDNUMSUB channel...
    """)
}
