// SPDX-License-Identifier: Apache-2.0

/// The forms of commands on data. Left out is what Redis itself answers by chance (`SPOP`,
/// `RANDOMKEY`, `XADD` with `*`) or by the clock (idle times).
enum DataPatterns {
  static let subjects = [strings, bits, lists, sets, hashes, sortedSets, geo, streams, scripts]

  static let generic = CommandPattern.list(
    """
    DEL key...
    UNLINK key...
    EXISTS key...
    TOUCH key...
    TYPE key
    RENAME key key
    RENAMENX key key
    COPY key key [ DB database ] [ REPLACE ]
    MOVE key database
    SELECT database
    DBSIZE
    KEYS pattern
    SCAN 0 COUNT 1000 [ MATCH pattern ] [ TYPE type ]
    DUMP key
    RESTORE key ( 0 | millis ) dumped [ REPLACE ]
    RESTORE key moments dumped ABSTTL [ REPLACE ] [ IDLETIME 5 | FREQ 3 ]
    EXPIRE key seconds [ NX | XX | GT | LT ]
    PEXPIRE key millis [ NX | XX | GT | LT ]
    EXPIREAT key moment [ NX | XX | GT | LT ]
    PEXPIREAT key moments [ NX | XX | GT | LT ]
    EXPIRETIME key
    PEXPIRETIME key
    TTL key
    PTTL key
    PERSIST key
    OBJECT ENCODING key
    OBJECT REFCOUNT key
    OBJECT FREQ key
    OBJECT HELP
    OBJECT ( NOSUCH | ENCODING )
    HELLO ( 2 | 3 | 2 | 3 | 4 )
    NOSUCH value key
    """)

  static let strings = CommandPattern.list(
    """
    SET string value
    SET string value [ NX | XX ] [ GET ] \
      [ EX seconds | PX millis | EXAT moment | PXAT moments | KEEPTTL ]
    SET string value [ EXAT moment | KEEPTTL ] [ GET ] [ NX | XX ]
    SETEX string seconds value
    PSETEX string millis value
    SETNX string value
    GET string
    GETSET string value
    GETDEL string
    GETEX string [ EX seconds | PX millis | EXAT moment | PXAT moments | PERSIST ]
    MSET ( string value )...
    MSETNX ( string value )...
    MGET string...
    APPEND string value
    STRLEN string
    GETRANGE string index index
    SUBSTR string index index
    SETRANGE string size value
    LCS string string [ LEN | IDX ] [ MINMATCHLEN count ] [ WITHMATCHLEN ]
    SET number integer
    INCR number
    DECR number
    INCRBY number integer
    DECRBY number integer
    INCRBYFLOAT number float
    GET number
    """)

  static let bits = CommandPattern.list(
    """
    SETBIT bits size bit
    GETBIT bits size
    BITCOUNT bits [ index index ]
    BITCOUNT bits index index ( BYTE | BIT )
    BITPOS bits bit [ index ] [ index ] [ BYTE | BIT ]
    BITOP ( AND | OR | XOR | NOT ) bits bits...
    BITFIELD bits ( GET encoding offset | SET encoding offset integer | \
      INCRBY encoding offset integer )...
    BITFIELD bits OVERFLOW ( WRAP | SAT | FAIL ) INCRBY encoding offset integer GET encoding offset
    BITFIELD_RO bits ( GET encoding offset )...
    SET bits value
    PFADD hll value...
    PFCOUNT hll...
    PFMERGE hll hll...
    GET hll
    """)

  static let lists = CommandPattern.list(
    """
    LPUSH list value...
    RPUSH list value...
    LPUSHX list value...
    RPUSHX list value
    RPUSH list member...
    LPOP list [ count ]
    RPOP list [ count ]
    LLEN list
    LRANGE list index index
    LINDEX list index
    LSET list index value
    LINSERT list ( BEFORE | AFTER ) member value
    LREM list index member
    LTRIM list index index
    LPOS list member [ RANK index ] [ COUNT count ] [ MAXLEN size ]
    LMOVE list list ( LEFT | RIGHT ) ( LEFT | RIGHT )
    RPOPLPUSH list list
    LMPOP 2 list list ( LEFT | RIGHT ) [ COUNT count ]
    SORT list [ LIMIT index size ] [ GET subkey ] [ ASC | DESC ] [ ALPHA ] [ STORE list ]
    SORT list BY 'string:*' [ GET subkey ] [ DESC ]
    SORT_RO list [ LIMIT 0 size ] ALPHA
    BLPOP list list 0.01
    BLMOVE list list LEFT RIGHT 0.01
    """)

  static let sets = CommandPattern.list(
    """
    SADD set member...
    SADD set integer...
    SREM set member...
    SCARD set
    SISMEMBER set member
    SMISMEMBER set member...
    SMEMBERS set
    SMOVE set set member
    SUNION set...
    SINTER set...
    SDIFF set...
    SINTERCARD 2 set set [ LIMIT count ]
    SUNIONSTORE set set...
    SINTERSTORE set set...
    SDIFFSTORE set set...
    SSCAN set 0 [ MATCH pattern ] [ COUNT 1000 ]
    SORT set ALPHA [ LIMIT 0 size ] [ DESC ] [ STORE list ]
    """)

  static let hashes = CommandPattern.list(
    """
    HSET hash ( field value )...
    HMSET hash ( field value )...
    HSETNX hash field value
    HGET hash field
    HMGET hash field...
    HGETALL hash
    HKEYS hash
    HVALS hash
    HLEN hash
    HSTRLEN hash field
    HEXISTS hash field
    HDEL hash field...
    HSET hash field integer
    HINCRBY hash field integer
    HINCRBYFLOAT hash field float
    HSCAN hash 0 [ MATCH pattern ] [ COUNT 1000 ]
    """)

  static let sortedSets = CommandPattern.list(
    """
    ZADD zset [ NX | XX ] [ GT | LT ] [ CH ] ( score member )...
    ZADD zset ( score member )...
    ZADD zset ( 0 member )...
    ZADD zset [ XX | NX ] INCR score member
    ZINCRBY zset score member
    ZREM zset member...
    ZCARD zset
    ZSCORE zset member
    ZMSCORE zset member...
    ZRANK zset member
    ZREVRANK zset member
    ZCOUNT zset low high
    ZLEXCOUNT zset least most
    ZRANGE zset index index [ REV ] [ WITHSCORES ]
    ZRANGE zset low high BYSCORE [ LIMIT index count ] [ WITHSCORES ]
    ZRANGE zset high low BYSCORE REV [ WITHSCORES ]
    ZRANGE zset least most BYLEX [ LIMIT index count ]
    ZRANGESTORE zset zset index index [ REV ]
    ZREVRANGE zset index index [ WITHSCORES ]
    ZRANGEBYSCORE zset low high [ WITHSCORES ] [ LIMIT index count ]
    ZREVRANGEBYSCORE zset high low [ WITHSCORES ]
    ZRANGEBYLEX zset least most [ LIMIT index count ]
    ZREVRANGEBYLEX zset most least
    ZREMRANGEBYRANK zset index index
    ZREMRANGEBYSCORE zset low high
    ZREMRANGEBYLEX zset least most
    ZPOPMIN zset [ count ]
    ZPOPMAX zset [ count ]
    ZMPOP 1 zset ( MIN | MAX ) [ COUNT count ]
    ZUNION 2 zset zset [ WEIGHTS score score ] [ AGGREGATE ( SUM | MIN | MAX ) ] [ WITHSCORES ]
    ZINTER 2 zset zset [ WITHSCORES ]
    ZDIFF 2 zset zset [ WITHSCORES ]
    ZINTERCARD 2 zset zset [ LIMIT count ]
    ZUNIONSTORE zset 2 zset zset [ AGGREGATE MAX ]
    ZINTERSTORE zset 2 zset zset [ WEIGHTS 2 score ]
    ZDIFFSTORE zset 2 zset zset
    ZSCAN zset 0 [ MATCH pattern ] [ COUNT 1000 ]
    BZPOPMIN zset zset 0.01
    """)

  static let geo = CommandPattern.list(
    """
    GEOADD geo [ NX | XX ] [ CH ] ( longitude latitude member )...
    GEOADD geo 13.361389 38.115556 'a' 15.087269 37.502669 'b'
    GEODIST geo member member [ unit ]
    GEOPOS geo member...
    GEOHASH geo member...
    GEOSEARCH geo FROMLONLAT longitude latitude BYRADIUS radius unit [ ASC | DESC ] \
      [ COUNT count [ ANY ] ] [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ]
    GEOSEARCH geo FROMMEMBER member BYBOX radius radius unit ASC [ WITHDIST ]
    GEOSEARCHSTORE geo geo FROMMEMBER member BYRADIUS radius unit [ STOREDIST ]
    GEORADIUS geo longitude latitude radius unit [ WITHDIST ] [ COUNT count ] [ ASC ] [ STORE geo ]
    GEORADIUS_RO geo longitude latitude radius unit [ WITHCOORD ]
    GEORADIUSBYMEMBER geo member radius unit [ WITHHASH ]
    ZRANGE geo 0 -1 WITHSCORES
    """)

  static let streams = CommandPattern.list(
    """
    XADD stream [ NOMKSTREAM ] [ MAXLEN [ = | ~ ] size | MINID id ] id ( field value )...
    XADD stream id field value
    XLEN stream
    XRANGE stream first last [ COUNT count ]
    XREVRANGE stream last first [ COUNT count ]
    XDEL stream id...
    XTRIM stream ( MAXLEN | MINID ) [ = ] size
    XSETID stream id [ ENTRIESADDED size MAXDELETEDID id ]
    XREAD [ COUNT count ] STREAMS stream ( id | $ )
    XREAD STREAMS stream stream id id
    XREAD BLOCK 1 STREAMS stream ( id | $ )
    XGROUP CREATE stream group ( id | $ ) [ MKSTREAM ] [ ENTRIESREAD size ]
    XGROUP SETID stream group id
    XGROUP CREATECONSUMER stream group consumer
    XGROUP DELCONSUMER stream group consumer
    XGROUP DESTROY stream group
    XGROUP HELP
    XREADGROUP GROUP group consumer [ COUNT count ] [ NOACK ] STREAMS stream ( '>' | id )
    XACK stream group id...
    XPENDING stream group
    XCLAIM stream group consumer 0 id... [ FORCE ] [ JUSTID ]
    XAUTOCLAIM stream group consumer 0 id [ COUNT size ] [ JUSTID ]
    XINFO STREAM stream
    XINFO GROUPS stream
    XINFO HELP
    """)

  static let scripts = CommandPattern.list(
    """
    EVAL script 1 string value
    EVAL script ( 0 | 1 ) string
    EVAL_RO script 1 string value
    EVALSHA digest 1 string value
    EVALSHA digest ( 0 | 1 | 2 ) zset member
    EVALSHA_RO digest 1 string value
    EVAL script 1 number integer
    SCRIPT LOAD script
    SCRIPT EXISTS digest...
    SCRIPT HELP
    EVAL value 0
    FCALL group 1 string value
    FCALL_RO group 0
    FUNCTION LIST
    FUNCTION STATS
    FUNCTION HELP
    ZADD zset score member
    SET number integer
    GET string
    """)
}
