// SPDX-License-Identifier: Apache-2.0

/// What no single key can tell: keys that need, exclude or bound each other, and files that must exist.
extension Reader {
  mutating func validate() {
    let wrong = Set(problems.compactMap(\.key))
    // An unusable file may well have named the target.
    if !problems.contains(where: { $0.key == nil }) { checkTarget(wrong) }
    check(login: "sentinel", settings.sentinel.username, settings.sentinel.passwordFile)
    check(login: "redis", settings.redis.username, settings.redis.passwordFile)
    check(secret: settings.listen.passwordFile, "listen.passwordFile")
    checkTCP(wrong)
    check(settings.sentinel.tls, "sentinel.tls")
    check(settings.redis.tls, "redis.tls")
    checkBounds(wrong)
  }

  private mutating func checkTarget(_ wrong: Set<String>) {
    let isSentinel = !settings.sentinel.addresses.isEmpty
    if wrong.isDisjoint(with: ["sentinel.addresses", "redis.address"]) {
      if isSentinel, settings.redis.address != nil {
        complain(
          about: "redis.address",
          "excludes sentinel.addresses (\(source(of: "sentinel.addresses"))); give one of them")
      } else if !isSentinel, settings.redis.address == nil {
        problems.append(
          .init(
            "sentinel.addresses: nothing to connect to; give the sentinels (--sentinels "
              + "HOST:PORT,HOST:PORT,HOST:PORT --master NAME), or a single Redis as redis.address",
            key: "sentinel.addresses"))
      }
    }
    if isSentinel, settings.sentinel.master.isEmpty, !wrong.contains("sentinel.master") {
      problems.append(
        .init(
          "sentinel.master: missing; give the master's name as in `sentinel monitor NAME ...` "
            + "(--master NAME)", key: "sentinel.master"))
    }
  }

  private mutating func check(login section: String, _ username: String?, _ passwordFile: String?) {
    if username != nil, passwordFile == nil {
      complain(about: "\(section).username", "needs \(section).passwordFile")
    }
    check(secret: passwordFile, "\(section).passwordFile")
  }

  private mutating func check(secret file: String?, _ path: String) {
    guard let file else { return }
    do throws(SecretFileError) {
      _ = try SecretFile(file).read()
    } catch {
      complain(about: path, "cannot use \(error)")
    }
  }

  private mutating func checkTCP(_ wrong: Set<String>) {
    let tcp = settings.tcp
    guard !wrong.contains("tcp.address") else { return }
    guard tcp.address != nil else {
      // Whoever sets one of these believes that somebody listens.
      for path in ["passwordFile", "tls", "certificateFile", "keyFile"].map({ "tcp.\($0)" })
      where source(of: path) != .unset {
        complain(about: path, "has no effect; set tcp.address, or leave it out")
      }
      return
    }
    if tcp.passwordFile == nil, !wrong.contains("tcp.passwordFile") {
      complain(about: "tcp.address", "needs tcp.passwordFile: every local user can connect")
    }
    check(secret: tcp.passwordFile, "tcp.passwordFile")
    for (name, file) in [("certificateFile", tcp.certificateFile), ("keyFile", tcp.keyFile)] {
      let path = "tcp.\(name)"
      if let file, !tcp.tls {
        complain(about: path, "has no effect on \(file); set tcp.tls to true, or leave it out")
      } else if let file {
        check(readable: file, path)
      } else if tcp.tls, !wrong.contains(path) {
        complain(about: "tcp.tls", "needs \(path)")
      }
    }
  }

  private mutating func check(readable file: String, _ path: String) {
    do throws(Files.Failure) {
      _ = try Files.read(file, bytesMax: 1 << 20)
    } catch {
      complain(about: path, "cannot use \(file): \(error.reason)")
    }
  }

  private mutating func check(_ tls: Settings.TLS, _ section: String) {
    let files = [
      ("caFile", tls.caFile), ("certificateFile", tls.certificateFile), ("keyFile", tls.keyFile),
    ]
    for (name, file) in files {
      guard let file else { continue }
      let path = "\(section).\(name)"
      guard tls.enabled else {
        // Whoever names files believes the connection to be encrypted.
        complain(about: path, "has no effect; set \(section).enabled to true, or leave it out")
        continue
      }
      check(readable: file, path)
    }
    guard tls.enabled, (tls.certificateFile == nil) != (tls.keyFile == nil) else { return }
    let (given, missing) =
      tls.keyFile == nil ? ("certificateFile", "keyFile") : ("keyFile", "certificateFile")
    complain(about: "\(section).\(given)", "needs \(section).\(missing)")
  }

  private mutating func checkBounds(_ wrong: Set<String>) {
    let limits = settings.limits
    let pool = settings.pool
    let share = limits.inFlightBytesTotal / pool.shards
    let bounds: [(lower: String, Int, upper: String, Int, why: String)] = [
      (
        "pool.sparesPerShard", pool.sparesPerShard, "pool.leasedPerShard", pool.leasedPerShard, ""
      ),
      (
        "sessions.idleSeconds", settings.sessions.idleSeconds, "sessions.absoluteSeconds",
        settings.sessions.absoluteSeconds, ""
      ),
      (
        "limits.inFlightPerClient", limits.inFlightPerClient, "limits.inFlightTotal",
        limits.inFlightTotal, ""
      ),
      (
        "limits.requestBytes", limits.requestBytes, "limits.inFlightBytesPerClient",
        limits.inFlightBytesPerClient, ""
      ),
      (
        "limits.inFlightBytesPerClient", limits.inFlightBytesPerClient, "limits.inFlightBytesTotal",
        limits.inFlightBytesTotal, ""
      ),
      (
        "limits.requestBytes", limits.requestBytes, "limits.inFlightBytesTotal", share,
        pool.shards == 1 ? "" : " (a shard's share of it, by pool.shards)"
      ),
    ]
    for (lower, low, upper, high, why) in bounds where low > high {
      guard !wrong.contains(lower), !wrong.contains(upper) else { continue }
      let isSize = lower.contains("Bytes")
      let lowText = isSize ? Bytes.text(low) : "\(low)"
      let highText = isSize ? Bytes.text(high) : "\(high)"
      let path = source(of: lower) == .unset ? upper : lower
      complain(about: path, "\(lower) (\(lowText)) is above \(upper) (\(highText))\(why)")
    }
  }

  func source(of path: String) -> Source { sources[path] ?? .unset }

  /// Names the place where the key was set, if it was.
  private mutating func complain(about path: String, _ text: String) {
    let source = source(of: path)
    if source == .unset {
      problems.append(.init("\(path): \(text)", key: path))
    } else {
      complain(at: source, path, text)
    }
  }
}
