// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let connectionRows: [CommandRow] = [
    .local("AUTH", -2, .auth),
    .local("ECHO", 2, .echo),
    .local("HELLO", -1, .hello),
    .local("HOLDFAST.CLIENTS", 1, .console),
    .local("HOLDFAST.CONFIG", -1, .console),
    .local("HOLDFAST.DOCTOR", -1, .console),
    .local("HOLDFAST.DRILL", 2, .console),
    .local("HOLDFAST.EVENTS", -1, .console),
    .local("HOLDFAST.LOCKS", 1, .holdfastLocks),
    .local("HOLDFAST.METRICS", 1, .console),
    .local("HOLDFAST.RELOAD", 1, .console),
    .local("HOLDFAST.STATUS", 1, .console),
    .local("HOLDFAST.TOP", 1, .console),
    .local("HOLDFAST.WATCH", -1, .console),
    .local("HOLDFAST.PING", 1, .holdfastPing),
    .local("SESSION.ATTACH", -1, .session),
    .local("SESSION.BIND", -1, .session),
    .local("SESSION.CREATE", -1, .session),
    .local("SESSION.DESTROY", -1, .session),
    .local("SESSION.EXTEND", -1, .lock),
    .local("SESSION.GET", -1, .session),
    .local("SESSION.HELP", -1, .session),
    .local("SESSION.KILL", -1, .session),
    .local("SESSION.LIST", -1, .session),
    .local("SESSION.LOCK", -1, .lock),
    .local("SESSION.LOGIN", -1, .session),
    .local("SESSION.LOGOUTALL", -1, .session),
    .local("SESSION.REGENERATE", -1, .session),
    .local("SESSION.SET", -1, .session),
    .local("SESSION.STATS", -1, .session),
    .local("SESSION.SWEEP", -1, .session),
    .local("SESSION.TOUCH", -1, .session),
    .local("SESSION.UNLOCK", -1, .lock),
    .local("HOLDFAST.DURABILITY", -1, .holdfastDurability),
    .local("HOLDFAST.FAILOVERS", -1, .holdfastFailovers),
    .local("PING", -1, .ping),
    .local("QUIT", -1, .quit),
    .local("RESET", 1, .reset),
    .local("SELECT", 2, .select),
    .container(
      "CLIENT", -2,
      // A later server's subcommand may well be about the connection, which others share.
      unknown: .local(.unknownSubcommand),
      [
        .read("HELP", 2),
        .local("GETNAME", 2, .clientGetName),
        .local("ID", 2, .clientID),
        .local("INFO", 2, .clientInfo),
        .local("NO-EVICT", 3, .clientNoEvict),
        .local("NO-TOUCH", 3, .clientNoTouch),
        .local("REPLY", 3, .clientReply),
        .local("SETINFO", 4, .clientSetInfo),
        .local("SETNAME", 3, .clientSetName),
        .local("UNPAUSE", 2, .clientUnpause),
        .state("TRACKING", -3, .pinned(.tracking), by: .tracking),
        .state("CACHING", 3, .pinnedOnly),
        .state("GETREDIR", 2, .pinnedOnly),
        .state("TRACKINGINFO", 2, .pinnedOnly),
        .local("LIST", -2, .clientList),
        .forbidden(
          "KILL", -3, because: "connections to Redis are shared; end your own with QUIT"),
        .forbidden(
          "PAUSE", -3, because: "it would stop every client; only an operator may, at Redis itself"),
        .forbidden(
          "UNBLOCK", -3, because: "connections to Redis are not the client's; use a timeout instead"
        ),
      ]),
  ]

  static let transactionRows: [CommandRow] = [
    .state("MULTI", 1, .pinned(.transaction)),
    .state("WATCH", -2, .pinned(.watch), .all),
    .state("DISCARD", 1, .pinnedOnly),
    .state("EXEC", 1, .pinnedOnly),
    .state("UNWATCH", 1, .pinnedOnly),
  ]

  static let publishingRows: [CommandRow] = [
    // Subscribers would get a message twice.
    .write("PUBLISH", 3, .once, by: .publish),
    .write("SPUBLISH", 3, .once, .one, by: .publish),
    .state("PSUBSCRIBE", -2, .pinned(.subscription)),
    .state("SSUBSCRIBE", -2, .pinned(.subscription), .all),
    .state("SUBSCRIBE", -2, .pinned(.subscription)),
    .state("PUNSUBSCRIBE", -1, .pinnedOnly),
    .state("SUNSUBSCRIBE", -1, .pinnedOnly, .all),
    .state("UNSUBSCRIBE", -1, .pinnedOnly),
    .container(
      "PUBSUB", -2,
      [
        .read("CHANNELS", -2),
        .read("HELP", 2),
        .read("NUMPAT", 2),
        .read("NUMSUB", -2),
        .read("SHARDCHANNELS", -2),
        .read("SHARDNUMSUB", -2),
      ]),
  ]

  static let scriptingRows: [CommandRow] = [
    .read("EVALSHA_RO", -3, .countedAtTwo, by: .script),
    .read("EVAL_RO", -3, .countedAtTwo, by: .script),
    .read("FCALL_RO", -3, .countedAtTwo, by: .script),
    // Nobody can say what a script adds up.
    .write("EVAL", -3, .once, .countedAtTwo, by: .script),
    .write("EVALSHA", -3, .once, .countedAtTwo, by: .script),
    .write("FCALL", -3, .once, .countedAtTwo, by: .script),
    .container(
      "SCRIPT", -2,
      [
        .read("EXISTS", -3),
        .read("HELP", 2),
        // The reply is the script's digest, whether it was there or not. Not replicated.
        CommandRow(name: "LOAD", arity: 3, replay: .absolute, route: .pass),
        .forbidden("DEBUG", 3, because: "it would stop a shared connection; debug at Redis itself"),
        .refused(
          "FLUSH", -2, .settling, because: "load new scripts with SCRIPT LOAD; old ones do no harm"),
        .refused(
          "KILL", 2, because: "it may be another client's script; an operator can at Redis itself"),
      ]),
    .container(
      "FUNCTION", -2,
      [
        .read("DUMP", 2),
        .read("HELP", 2),
        .read("LIST", -2),
        .read("STATS", 2),
        .write("LOAD", -3, .once, by: .functionLoad),
        .refused(
          "DELETE", 3, isWrite: true,
          because: "all clients share it; FUNCTION LOAD REPLACE changes it"),
        .refused(
          "FLUSH", -2, .settling, isWrite: true,
          because: "all clients share them; FUNCTION LOAD REPLACE changes one library"),
        .refused("KILL", 2, because: "it may be another client's; an operator can at Redis itself"),
        .refused(
          "RESTORE", -3, isWrite: true,
          because: "all clients share them; FUNCTION LOAD REPLACE changes one library"),
      ]),
  ]
}
