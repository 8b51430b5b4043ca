// SPDX-License-Identifier: Apache-2.0

/// What a connection says of itself and of its server.
enum ConnectionSequences {
  static func rounds(_ random: inout SeededGenerator) -> [Round] {
    var requests: [Request] = []
    for _ in 0..<random.number(in: 30..<80) {
      switch random.number(in: 0..<10) {
      case 0: requests.append(plain(random.pick(fixed), &random))
      case 1: requests.append(plain(random.pick(data), &random))
      case 2: requests += random.oneIn(4) ? random.pick(answeredAtOnce) : silence(&random)
      default: requests.append(DataSequences.request(of: random.pick(state), &random))
      }
    }
    return DataSequences.batches(of: requests, &random)
  }

  /// A few requests between `CLIENT REPLY OFF` and `ON`, or one that is not answered.
  private static func silence(_ random: inout SeededGenerator) -> [Request] {
    if random.oneIn(2) {
      return [Request("CLIENT", "REPLY", "SKIP"), plain(random.pick(data), &random)]
    }
    let silent = (0..<random.number(in: 0..<4)).map { _ in plain(random.pick(data), &random) }
    return [Request("CLIENT", "REPLY", "OFF")] + silent + [Request("CLIENT", "REPLY", "ON")]
  }

  /// They would block for ages, if there were nothing.
  private static let answeredAtOnce = [
    [
      Request("RPUSH", "ready:list", "a"),
      Request("BLPOP", "ready:list", "9223372036854775"),
    ],
    [
      Request("XADD", "ready:stream", "1-1", "f", "v"),
      Request("XREAD", "BLOCK", "9223372036854775807", "STREAMS", "ready:stream", "0"),
    ],
    [Request("WAIT", "0", "9223372036854775807")],
    [Request("WAIT", "9223372036854775807", "1")],
    [Request("WAIT", "0", "-1")],
    [Request("BLPOP", "list:1", "-1")],
    [Request("BLPOP", "list:1", "nan")],
    [Request("BLPOP", "list:1", "9223372036854775807")],
  ]

  private static func plain(
    _ pattern: CommandPattern, _ random: inout SeededGenerator
  ) -> Request { Request(pattern.arguments(&random, value: Vocabulary.value)) }

  private static let data = CommandPattern.list(
    """
    SET string value
    GET string
    MGET string string
    RPUSH list member...
    BLPOP list list 0.01
    BLMOVE list list LEFT RIGHT 0.01
    BRPOP list 0.01
    BZPOPMAX zset 0.01
    XREAD BLOCK 10 STREAMS stream 0
    ZADD zset score member
    SELECT database
    WAIT 0 0
    PING
    NOSUCH
    """)

  private static let state = CommandPattern.list(
    """
    HELLO
    HELLO ( 2 | 3 )
    HELLO ( 2 | 3 | 4 | 1 | '' | value ) [ AUTH user value ] [ SETNAME name ]
    HELLO 3 SETNAME name AUTH user value
    HELLO ( 2 | 3 ) ( AUTH | SETNAME | value )
    AUTH value
    AUTH user value
    AUTH user value value
    CLIENT SETNAME name
    CLIENT GETNAME
    CLIENT ID
    CLIENT INFO
    CLIENT LIST
    CLIENT LIST TYPE ( NORMAL | PUBSUB | MASTER | 'nosuch' )
    CLIENT NO-EVICT ( ON | OFF | value )
    CLIENT TRACKING ( ON | OFF | value ) [ OPTIN | OPTOUT ] [ NOLOOP ]
    CLIENT TRACKING ON
    CLIENT TRACKING OFF
    CLIENT TRACKINGINFO
    CLIENT GETREDIR
    CLIENT CACHING ( YES | NO | value )
    CLIENT UNPAUSE
    CLIENT HELP
    CLIENT NOSUCH
    CLIENT
    ECHO value
    PING
    PING value
    PING value value
    RESET
    SELECT database
    SELECT value
    READONLY
    READWRITE
    TIME
    WAIT ( 0 | 1 ) 1
    LOLWUT VERSION 1
    COMMAND INFO command...
    COMMAND DOCS command
    COMMAND GETKEYS GET key
    COMMAND GETKEYS MSET ( key value )...
    COMMAND GETKEYS EVAL script 2 key key
    COMMAND GETKEYS ( PING | NOSUCH ) value
    COMMAND GETKEYSANDFLAGS ( GET key | LMOVE key key LEFT RIGHT )
    COMMAND LIST FILTERBY ( MODULE value | ACLCAT value | PATTERN 'hg*' | NOSUCH value )
    COMMAND HELP
    COMMAND NOSUCH
    CONFIG GET parameter...
    CONFIG GET
    CONFIG HELP
    CONFIG NOSUCH value
    OBJECT HELP
    OBJECT ENCODING string
    MEMORY USAGE string
    MEMORY HELP
    MEMORY NOSUCH
    LATENCY HELP
    LATENCY LATEST
    LATENCY HISTORY value
    SLOWLOG HELP
    MODULE LIST
    MODULE HELP
    ACL WHOAMI
    ACL HELP
    ACL CAT
    ACL CAT value
    ACL CAT 'keyspace'
    ACL DRYRUN 'default' GET string
    SCRIPT HELP
    FUNCTION HELP
    PUBSUB HELP
    PUBSUB NUMSUB channel...
    PUBSUB CHANNELS
    PUBSUB NOSUCH
    XINFO NOSUCH
    SENTINEL MASTERS
    ROLE value
    DBSIZE value
    PUBLISH channel value
    UNSUBSCRIBE [ channel ]
    PUNSUBSCRIBE
    SUNSUBSCRIBE channel
    UNWATCH
    EXEC
    DISCARD
    GET string
    SET string value
    """)

  /// Only in this form, which does no harm to the plain Redis. Tracking with `BCAST` is left out:
  /// what it says depends on how many requests Redis reads at a time.
  private static let fixed = CommandPattern.list(
    """
    CLIENT KILL 127.0.0.1:1
    CLIENT UNBLOCK 0
    CLIENT TRACKING ON BCAST OPTIN
    CLIENT TRACKING ( ON | OFF ) PREFIX name
    CLIENT TRACKING ON REDIRECT 999999
    CLIENT PAUSE
    CLIENT PAUSE value value value
    CLIENT KILL
    CONFIG SET 'nosuch' 1
    CONFIG RESETSTAT
    CONFIG SET
    DEBUG HELP
    DEBUG
    FAILOVER ABORT
    SLOWLOG RESET
    SLOWLOG RESET value
    LATENCY RESET
    MODULE UNLOAD 'nosuch'
    SCRIPT KILL
    SCRIPT KILL value
    SCRIPT DEBUG
    FUNCTION KILL
    FUNCTION DELETE 'nosuch'
    ACL USERS
    ACL LIST
    ACL LIST value
    ACL GETUSER 'default'
    ACL NOSUCH
    MIGRATE 1 2 3
    SWAPDB 0
    FLUSHALL 1 2
    ASKING
    ASKING value
    CLUSTER INFO
    CLUSTER
    CLUSTER HELP
    CLUSTER NOSUCH
    CLUSTER KEYSLOT
    PFSELFTEST value
    INFO
    INFO 'keyspace'
    INFO ( 'nosuch' | 'server' ) 'all'
    ROLE
    """)
}
