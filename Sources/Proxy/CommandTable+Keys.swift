// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let keyRows: [CommandRow] = [
    .read("DUMP", 2, .one),
    .read("EXISTS", -2, .all),
    .read("EXPIRETIME", 2, .one),
    .read("PEXPIRETIME", 2, .one),
    .read("PTTL", 2, .one),
    .read("RANDOMKEY", 1),
    .read("SCAN", -2),
    .read("TTL", 2, .one),
    .read("TYPE", 2, .one),
    // Changes the time of last use only.
    .read("TOUCH", -2, .all),
    .local("KEYS", 2, .keys),
    .container(
      "OBJECT", -2,
      [
        .read("ENCODING", 3, .afterSubcommand),
        .read("FREQ", 3, .afterSubcommand),
        .read("HELP", 2),
        .read("IDLETIME", 3, .afterSubcommand),
        .read("REFCOUNT", 3, .afterSubcommand),
      ]),

    .write("DEL", -2, .settling, .all),
    .write("UNLINK", -2, .settling, .all),
    .write("PERSIST", 2, .settling, .one),
    // A relative time starts again at the second run.
    .write("EXPIRE", -3, .settling, .one, by: .expire),
    .write("EXPIREAT", -3, .settling, .one, by: .expire),
    .write("PEXPIRE", -3, .settling, .one, by: .expire),
    .write("PEXPIREAT", -3, .settling, .one, by: .expire),
    .write("RESTORE", -4, .once, .one, by: .restore),

    // Without STORE a read; the reply of either depends on the other keys that patterns name.
    .write("SORT", -2, .settling, .one, by: .sort),
    .read("SORT_RO", -2, .one, by: .sort),

    // A second run no longer finds the source, or finds another client's.
    .write("RENAME", 3, .once, .two),
    .write("RENAMENX", 3, .once, .two),
    .write("COPY", -3, .once, .two),
    .write("MOVE", 3, .once, .one),
    .refused(
      "MIGRATE", -6, isWrite: true, keys: KeyPositions(first: 3, last: 3, step: 1), by: .migrate,
      because: "it blocks the master; copy keys with DUMP and RESTORE"),

    // Answered by the daemon: on a shared link it would wait for others' writes.
    .local("WAIT", 3, .wait),
    .local("WAITAOF", 4, .waitAOF),
  ]
}
