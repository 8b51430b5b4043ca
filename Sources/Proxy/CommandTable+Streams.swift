// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let streamRows: [CommandRow] = [
    .read("XLEN", 2, .one),
    .read("XPENDING", -3, .one),
    .read("XRANGE", -4, .one),
    .read("XREVRANGE", -4, .one),
    .read("XREAD", -4, by: .streams),
    .container(
      "XINFO", -2,
      [
        .read("CONSUMERS", 4, .afterSubcommand),
        .read("GROUPS", 3, .afterSubcommand),
        .read("HELP", 2),
        .read("STREAM", -3, .afterSubcommand),
      ]),

    .write("XACK", -4, .settling, .one),
    .write("XDEL", -3, .settling, .one),
    .write("XSETID", -3, .settling, .one),
    // By length or by least id, not by position.
    .write("XTRIM", -4, .settling, .one),

    .write("XADD", -5, .once, .one),
    // They count deliveries and reset idle times, so a second run claims nothing, or more.
    .write("XAUTOCLAIM", -6, .once, .one),
    .write("XCLAIM", -6, .once, .one),
    // What was delivered once is not new at the second run.
    .write("XREADGROUP", -7, .once, by: .streams),

    .container(
      "XGROUP", -2,
      [
        // The second run fails: the group is there.
        .write("CREATE", -5, .once, .afterSubcommand),
        .write("CREATECONSUMER", 5, .settling, .afterSubcommand),
        .write("DELCONSUMER", 5, .settling, .afterSubcommand),
        .write("DESTROY", 4, .settling, .afterSubcommand),
        .read("HELP", 2),
        .write("SETID", -5, .settling, .afterSubcommand),
      ]),
  ]
}
