// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let sortedSetRows: [CommandRow] = [
    .read("ZCARD", 2, .one),
    .read("ZCOUNT", 4, .one),
    .read("ZDIFF", -3, .counted),
    .read("ZINTER", -3, .counted),
    .read("ZINTERCARD", -3, .counted),
    .read("ZLEXCOUNT", 4, .one),
    .read("ZMSCORE", -3, .one),
    .read("ZRANDMEMBER", -2, .one),
    .read("ZRANGE", -4, .one),
    .read("ZRANGEBYLEX", -4, .one),
    .read("ZRANGEBYSCORE", -4, .one),
    // Exactly 3 in Redis 7.0; 7.2 takes WITHSCORE.
    .read("ZRANK", -3, .one),
    .read("ZREVRANGE", -4, .one),
    .read("ZREVRANGEBYLEX", -4, .one),
    .read("ZREVRANGEBYSCORE", -4, .one),
    .read("ZREVRANK", -3, .one),
    .read("ZSCAN", -3, .one),
    .read("ZSCORE", 3, .one),
    .read("ZUNION", -3, .counted),

    .write("ZADD", -4, .settling, .one, by: .sortedSetAdd),
    .write("ZREM", -3, .settling, .one),
    .write("ZREMRANGEBYLEX", 4, .settling, .one),
    .write("ZREMRANGEBYSCORE", 4, .settling, .one),
    // The ranks of what is left begin at zero again.
    .write("ZREMRANGEBYRANK", 4, .once, .one),

    .write("ZDIFFSTORE", -4, .settling, .oneAndCounted, by: .destination),
    .write("ZINTERSTORE", -4, .settling, .oneAndCounted, by: .destination),
    .write("ZRANGESTORE", -5, .settling, .two, by: .destination),
    .write("ZUNIONSTORE", -4, .settling, .oneAndCounted, by: .destination),

    .write("ZINCRBY", 4, .once, .one),
    .write("ZMPOP", -4, .once, .counted),
    .write("ZPOPMAX", -2, .once, .one),
    .write("ZPOPMIN", -2, .once, .one),
    .blocking("BZMPOP", -5, .countedAtTwo),
    .blocking("BZPOPMAX", -3, .allButLast),
    .blocking("BZPOPMIN", -3, .allButLast),
  ]

  static let geoRows: [CommandRow] = [
    .read("GEODIST", -4, .one),
    .read("GEOHASH", -2, .one),
    .read("GEOPOS", -2, .one),
    .read("GEORADIUSBYMEMBER_RO", -5, .one),
    .read("GEORADIUS_RO", -6, .one),
    .read("GEOSEARCH", -7, .one),

    .write("GEOADD", -5, .settling, .one, by: .geoAdd),
    .write("GEOSEARCHSTORE", -8, .settling, .two, by: .destination),
    // Reads without STORE, though Redis marks them write.
    .write("GEORADIUS", -6, .settling, .one, by: .geoRadius),
    .write("GEORADIUSBYMEMBER", -5, .settling, .one, by: .geoRadiusByMember),
  ]
}
