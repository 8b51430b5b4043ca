// SPDX-License-Identifier: Apache-2.0

extension CommandTable {
  static let serverRows: [CommandRow] = [
    .local("INFO", -1, .info),
    .local("ROLE", 1, .role),
    .local("TIME", 1, .time),
    .read("DBSIZE", 1),
    .read("LASTSAVE", 1),
    .read("LOLWUT", -1),

    CommandRow(
      name: "COMMAND", arity: -1, replay: .read, route: .local(.command), rule: .alone,
      subcommands: [
        .local("COUNT", 2, .commandCount),
        // Redis knows more of these than a table: redis-cli takes its hints from DOCS.
        .read("DOCS", -2),
        .read("GETKEYS", -4),
        .read("GETKEYSANDFLAGS", -4),
        .read("HELP", 2),
        .local("INFO", -2, .commandInfo),
        CommandRow(
          name: "LIST", arity: -2, replay: .read, route: .local(.commandList), rule: .plainList),
      ]),

    .container(
      "CONFIG", -2, unknown: .local(.unknownSubcommand),
      [
        CommandRow(
          name: "GET", arity: -3, replay: .read, route: .local(.configGet), rule: .configGet),
        .read("HELP", 2),
        .refused("RESETSTAT", 2, because: "compare two readings of INFO instead"),
        .refused("REWRITE", 2, because: "change redis.conf at Redis itself"),
        .refused(
          "SET", -4, .settling, by: .configSet,
          because: "change redis.conf at Redis itself, on every node"),
      ]),

    // GETUSER, LIST, USERS and LOG show names and password digests that Redis keeps for others.
    .container(
      "ACL", -2, unknown: .local(.unknownSubcommand),
      [
        .read("CAT", -2),
        .read("DRYRUN", -4),
        .read("GENPASS", -2),
        .read("HELP", 2),
        .read("WHOAMI", 2),
        .refused("DELUSER", -3, because: "manage users at Redis itself, on every node"),
        .refused("GETUSER", 3, .read, because: "use ACL WHOAMI and ACL DRYRUN"),
        .refused("LIST", 2, .read, because: "use ACL WHOAMI and ACL DRYRUN"),
        .refused("LOAD", 2, because: "manage users at Redis itself, on every node"),
        .refused("LOG", -2, because: "read it at Redis itself"),
        .refused("SAVE", 2, because: "manage users at Redis itself, on every node"),
        .refused("SETUSER", -3, because: "manage users at Redis itself, on every node"),
        .refused("USERS", 2, .read, because: "use ACL WHOAMI and ACL DRYRUN"),
      ]),

    .container(
      "LATENCY", -2,
      [
        .read("DOCTOR", 2),
        .read("GRAPH", 3),
        .read("HELP", 2),
        .read("HISTOGRAM", -2),
        .read("HISTORY", 3),
        .read("LATEST", 2),
        .refused(
          "RESET", -2, because: "the operator may need what it deletes; read LATENCY LATEST"),
      ]),
    .container(
      "MEMORY", -2,
      [
        .read("DOCTOR", 2),
        .read("HELP", 2),
        .read("MALLOC-STATS", 2),
        CommandRow(name: "PURGE", arity: 2, replay: .settling, route: .pass),
        .read("STATS", 2),
        .read("USAGE", -3, .afterSubcommand),
      ]),
    .container(
      "SLOWLOG", -2,
      [
        .read("GET", -2),
        .read("HELP", 2),
        .read("LEN", 2),
        .refused("RESET", 2, because: "the operator may need what it deletes; read SLOWLOG GET"),
      ]),
    .container(
      "MODULE", -2, unknown: .local(.unknownSubcommand),
      [
        .read("HELP", 2),
        .read("LIST", 2),
        .refused("LOAD", -3, because: "load modules in redis.conf, on every node"),
        .refused("LOADEX", -3, because: "load modules in redis.conf, on every node"),
        .refused("UNLOAD", 3, because: "load modules in redis.conf, on every node"),
      ]),

    .refused(
      "FLUSHALL", -1, .settling, isWrite: true,
      because: "it deletes every session; delete your own keys with SCAN and UNLINK"),
    .refused(
      "FLUSHDB", -1, .settling, isWrite: true,
      because: "it deletes every session; delete your own keys with SCAN and UNLINK"),
    .refused(
      "SWAPDB", 3, isWrite: true,
      because: "other clients use both databases; choose one with SELECT"),
    .refused("DEBUG", -2, because: "use OBJECT and MEMORY USAGE to look at a key"),
    .refused(
      "MONITOR", 1, by: .monitor, because: "it shows every client's data; read SLOWLOG GET instead"),
    .refused("BGREWRITEAOF", 1, because: "Redis does it by its own settings; see redis.conf"),
    .refused("BGSAVE", -1, because: "Redis does it by its own settings; see redis.conf"),
    .refused(
      "SAVE", 1, because: "it blocks the master; Redis saves by its own settings, see redis.conf"),
    .refused("SHUTDOWN", -1, because: "stop Redis through its service manager"),
  ]

  static let replicationRows: [CommandRow] = [
    .refused("FAILOVER", -1, because: "ask a sentinel: SENTINEL FAILOVER"),
    .refused("REPLICAOF", 3, because: "sentinels decide who is master; ask one: SENTINEL FAILOVER"),
    .refused("SLAVEOF", 3, because: "sentinels decide who is master; ask one: SENTINEL FAILOVER"),
    .forbidden(
      "PSYNC", -3, because: "it makes the connection a replica's; replicate from Redis itself"),
    .forbidden("REPLCONF", -1, because: "it is for replicas; replicate from Redis itself"),
    .forbidden(
      "SYNC", 1, because: "it makes the connection a replica's; replicate from Redis itself"),
  ]

  static let clusterRows: [CommandRow] = [
    .local("READONLY", 1, .noCluster),
    .local("READWRITE", 1, .noCluster),
    .local("ASKING", 1, .noCluster),
    .forbidden(
      "RESTORE-ASKING", -4, isWrite: true, keys: .one, because: "it is for clusters; use RESTORE"),
    .container(
      "CLUSTER", -2, unknown: .local(.unknownSubcommand),
      [
        cluster("ADDSLOTS", -3),
        cluster("ADDSLOTSRANGE", -4),
        cluster("BUMPEPOCH", 2),
        cluster("COUNT-FAILURE-REPORTS", 3),
        cluster("COUNTKEYSINSLOT", 3),
        cluster("DELSLOTS", -3),
        cluster("DELSLOTSRANGE", -4),
        cluster("FAILOVER", -2),
        cluster("FLUSHSLOTS", 2),
        cluster("FORGET", 3),
        cluster("GETKEYSINSLOT", 4),
        cluster("HELP", 2),
        cluster("INFO", 2),
        cluster("KEYSLOT", 3),
        cluster("LINKS", 2),
        cluster("MEET", -4),
        cluster("MYID", 2),
        cluster("MYSHARDID", 2),
        cluster("NODES", 2),
        cluster("REPLICAS", 3),
        cluster("REPLICATE", 3),
        cluster("RESET", -2),
        cluster("SAVECONFIG", 2),
        cluster("SET-CONFIG-EPOCH", 3),
        cluster("SETSLOT", -4),
        cluster("SHARDS", 2),
        cluster("SLAVES", 3),
        cluster("SLOTS", 2),
      ]),
  ]

  /// There is no cluster behind the socket, and clients know how Redis says so.
  private static func cluster(_ name: String, _ arity: Int16) -> CommandRow {
    .local(name, arity, .noCluster)
  }
}
