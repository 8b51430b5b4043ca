// SPDX-License-Identifier: Apache-2.0

/// Kinds of events; the raw value is the journal's `MESSAGE_ID`, which never changes once released.
///
/// `journalctl MESSAGE_ID=...` finds all of a kind.
public enum Event: String, Sendable, CaseIterable {
  /// Another node, or the same one restarted, is the verified master.
  case masterSwitched = "2a6ef5a3576446949dec2d80931f444a"
  /// A majority of the sentinels follows: the master is no longer provisional.
  case generationConfirmed = "a847cd76175c01a666ed6dca954afb6c"
  /// No verified master; requests wait.
  case masterLost = "0054bfc9550a43b2bffe418f35eaa7c5"
  /// A master is verified again.
  case masterReachable = "bc2ded39b178426ab37489a4b4d9699a"
  /// The sentinels agree on a master, but this host cannot reach it.
  case masterUnreachable = "c9bc0c1bbe6542d4821e9927f0e0b36a"
  /// A node that says it is master was refused: the sentinels do not name it, or by an older epoch.
  case staleMasterRefused = "773b15b665594a4d9da7d845a51fb26a"
  /// One sentinel cannot reach the master (`+sdown`).
  case masterSubjectivelyDown = "b20359e486d54618ba884a7c1994e43a"
  /// A quorum of sentinels cannot reach the master (`+odown`).
  case masterObjectivelyDown = "ebe338c9b53c4b2ba62a6440f22ca9dd"
  /// The sentinels reach the master again.
  case masterUp = "fca0a6b161b94806a837aebf20862e88"
  /// A sentinel began a failover.
  case failoverStarted = "bf361d17b9334ba3b9e49989a15ff87f"
  /// A failover was given up.
  case failoverAborted = "82cbb4160afc442692f41fe9921c3652"
  /// Writes wait, because a failover may be replacing the master.
  case writesFenced = "2e629b0e21864de7aaf80d8ecb97edc9"
  /// Writes go on.
  case writesUnfenced = "7ed2f9cd603448b8a635f2ea8928d938"
  /// A promotion that was followed early was not completed; what was written to it is lost.
  case generationAbandoned = "480563c719da438294cea9081a29e8e8"
  /// A failover is over: how it ended, and what requests went through in it.
  case cutOverComplete = "de6fde8db61e483a8467d7e3108dc615"
  /// A sentinel does not answer.
  case sentinelLost = "4241b62bb1f046289d50cf9e5bc0b011"
  /// A sentinel answers again.
  case sentinelBack = "00ee8ed2e9f3495abf0a7a47a77d9dfc"
  /// Fewer than a majority of sentinels answer: the master in use is kept, a failover cannot come.
  case quorumLost = "398ab61f3939422d83a05291706f9577"
  /// A majority of sentinels answers again.
  case quorumRestored = "60ee5bdb798f498fb336fbbb33ea6480"
  /// Sentinels name different masters with the same epoch.
  case sentinelsDisagree = "5137543a82b041f0aeb2b196292efe01"
  /// A sentinel was discovered or forgotten.
  case sentinelSetChanged = "caa4ba4c14ab4bf294ca9fe5da4a7e8a"
  /// A sentinel entered or left TILT: its clock jumped, its word counts less.
  case sentinelTilt = "19b23a9625bd4c07beb5777cdc6e4cdf"
  /// A replica appeared, vanished or changed its state.
  case replicaChanged = "a1cb26367aa044e4a6aa00e0529a106d"
  /// Redis or a sentinel refused the credentials.
  case authenticationFailed = "9363bc8d6e44424eba61e747237c4cfa"
  /// A TLS handshake failed.
  case tlsFailed = "1a7b756b5cdb40e9a37a1e966cae7b3d"
  /// No connection can be leased: clients that need one of their own are refused.
  case poolExhausted = "e1246d51620a4feaa369056c49271715"
  /// Connections can be leased again.
  case poolRecovered = "a2dc71542ca0409a80fe6e58c9359c4e"
  /// Subscribers whose connection was lost are subscribed again on another one.
  case subscribersMoved = "0aabcd1e00f145c5aa96861bddaf62fd"
  /// A client was refused or cut off by a limit.
  case clientRefused = "12a9f8ceef6845fbafb39a0b2ae81093"
  /// A rule of `access` has refused a client.
  case accessRefused = "b0c1b6bd6c0346c4a0f47e5a9c3cbb3c"
  /// A session was used from an address that it is not bound to.
  case bindingMismatch = "7f1713fcee1b4562832db3f4706447aa"
  /// What must stay denied across a restart could not be written to the state directory.
  case denialsNotSaved = "c2276ea499014ebab0e2255dc7e10680"
  /// A new configuration is in force.
  case configurationReloaded = "5d37900d03f645ce95769722978be9e7"
  /// A configuration is unusable; a running daemon keeps the old one.
  case configurationRefused = "6e938c1c1c8c4f90b39f095d3ebcdfc0"
  /// The daemon serves.
  case started = "007de80821054ace8c0cb47e18e8a7cd"
  /// The graceful stop began: no new clients, requests in flight finish.
  case draining = "f8145495baec4101a6daf8b44a87cb46"
  /// The daemon ends.
  case stopped = "5eb78b6fb69545acbfeabc04b4eda43e"
  /// The queue of events was full; says how many were lost.
  case eventsDropped = "f83ba00481c34fc8b9a966a33b3aa876"
}

extension Event {
  /// Its name for people and programs: `master-switched`.
  public var name: String {
    "\(self)".reduce(into: "") { name, letter in
      if letter.isUppercase { name += "-" }
      name += letter.lowercased()
    }
  }
}
