// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let stringRows: [CommandRow] = [
    .read("GET", 2, .one),
    .read("GETRANGE", 4, .one),
    .read("LCS", -3, .two),
    .read("MGET", -2, .all),
    .read("STRLEN", 2, .one),
    .read("SUBSTR", 4, .one),

    .write("SET", -3, .absolute, .one, by: .set),
    .write("SETEX", 4, .absolute, .one),
    .write("PSETEX", 4, .absolute, .one),
    .write("MSET", -3, .absolute, .pairs),
    // The same bytes at the same place; the reply is the length, which others may change.
    .write("SETRANGE", 4, .settling, .one),

    .write("APPEND", 3, .once, .one),
    .write("DECR", 2, .once, .one),
    .write("DECRBY", 3, .once, .one),
    .write("INCR", 2, .once, .one),
    .write("INCRBY", 3, .once, .one),
    .write("INCRBYFLOAT", 3, .once, .one),
    // The reply is what a second run no longer finds.
    .write("GETDEL", 2, .once, .one),
    .write("GETEX", -2, .once, .one),
    .write("GETSET", 3, .once, .one),
    // A second run finds the first one's value and says that nothing was set: a lost lock.
    .write("SETNX", 3, .once, .one),
    .write("MSETNX", -3, .once, .pairs),
  ]

  static let bitmapRows: [CommandRow] = [
    .read("BITCOUNT", -2, .one),
    .read("BITFIELD_RO", -2, .one),
    .read("BITPOS", -3, .one),
    .read("GETBIT", 3, .one),
    // The reply is the old bit.
    .write("SETBIT", 4, .settling, .one),
    .write("BITFIELD", -2, .once, .one, by: .bitField),
    .write("BITOP", -4, .settling, KeyPositions(first: 2, last: -1, step: 1), by: .destination),
  ]

  static let hyperLogLogRows: [CommandRow] = [
    .write("PFADD", -2, .settling, .one),
    // A union with itself is itself, so the destination may be among the sources.
    .write("PFMERGE", -2, .settling, .all),
    // May write, but only a count that it has worked out.
    .write("PFCOUNT", -2, .read, .all),
    .forbidden(
      "PFDEBUG", 3, isWrite: true, keys: .afterSubcommand, because: "it is for Redis' own tests"),
    .forbidden("PFSELFTEST", 1, because: "it is for Redis' own tests"),
  ]
}
