// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let listRows: [CommandRow] = [
    .read("LINDEX", 3, .one),
    .read("LLEN", 2, .one),
    .read("LPOS", -3, .one),
    .read("LRANGE", 4, .one),

    .write("LSET", 4, .settling, .one),

    // What these push, a second run pushes again; what they take, it takes more of.
    .write("LINSERT", 5, .once, .one),
    .write("LMOVE", 5, .once, .two),
    .write("LMPOP", -4, .once, .counted),
    .write("LPOP", -2, .once, .one),
    .write("LPUSH", -3, .once, .one),
    .write("LPUSHX", -3, .once, .one),
    .write("LREM", 4, .once, .one),
    // By position: `LTRIM key 1 -1` takes one element each time.
    .write("LTRIM", 4, .once, .one),
    .write("RPOP", -2, .once, .one),
    .write("RPOPLPUSH", 3, .once, .two),
    .write("RPUSH", -3, .once, .one),
    .write("RPUSHX", -3, .once, .one),

    .blocking("BLMOVE", 6, .two),
    .blocking("BLMPOP", -5, .countedAtTwo),
    .blocking("BLPOP", -3, .allButLast),
    .blocking("BRPOP", -3, .allButLast),
    .blocking("BRPOPLPUSH", 4, .two),
  ]

  static let setRows: [CommandRow] = [
    .read("SCARD", 2, .one),
    .read("SDIFF", -2, .all),
    .read("SINTER", -2, .all),
    .read("SINTERCARD", -3, .counted),
    .read("SISMEMBER", 3, .one),
    .read("SMEMBERS", 2, .one),
    .read("SMISMEMBER", -3, .one),
    .read("SRANDMEMBER", -2, .one),
    .read("SSCAN", -3, .one),
    .read("SUNION", -2, .all),

    .write("SADD", -3, .settling, .one),
    .write("SREM", -3, .settling, .one),
    .write("SDIFFSTORE", -3, .settling, .all, by: .destination),
    .write("SINTERSTORE", -3, .settling, .all, by: .destination),
    .write("SUNIONSTORE", -3, .settling, .all, by: .destination),
    // The reply says who moved the member: one winner.
    .write("SMOVE", 4, .once, .two),
    .write("SPOP", -2, .once, .one),
  ]

  static let hashRows: [CommandRow] = [
    .read("HEXISTS", 3, .one),
    .read("HGET", 3, .one),
    .read("HGETALL", 2, .one),
    .read("HKEYS", 2, .one),
    .read("HLEN", 2, .one),
    .read("HMGET", -3, .one),
    .read("HRANDFIELD", -2, .one),
    .read("HSCAN", -3, .one),
    .read("HSTRLEN", 3, .one),
    .read("HVALS", 2, .one),

    // Answers OK, where HSET answers how many fields are new.
    .write("HMSET", -4, .absolute, .one),
    .write("HSET", -4, .settling, .one),
    .write("HDEL", -3, .settling, .one),
    .write("HINCRBY", 4, .once, .one),
    .write("HINCRBYFLOAT", 4, .once, .one),
    .write("HSETNX", 4, .once, .one),

    // Times of single fields came with Redis 7.4.
    .read("HEXPIRETIME", -5, .one),
    .read("HPEXPIRETIME", -5, .one),
    .read("HPTTL", -5, .one),
    .read("HTTL", -5, .one),
    .write("HEXPIRE", -6, .settling, .one, by: .expireFields),
    .write("HEXPIREAT", -6, .settling, .one, by: .expireFields),
    .write("HPEXPIRE", -6, .settling, .one, by: .expireFields),
    .write("HPEXPIREAT", -6, .settling, .one, by: .expireFields),
    .write("HPERSIST", -5, .settling, .one),
  ]
}
