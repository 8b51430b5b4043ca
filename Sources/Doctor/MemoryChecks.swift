// SPDX-License-Identifier: Apache-2.0

// Whether Redis keeps what it was given.
extension Doctor {
  static let memoryChecks: [Check] = [eviction, memoryLimit, evicted, outputLimits, idleTimeout]

  private static let eviction: Check = { facts in
    facts.reachableNodes.compactMap { node in
      guard let policy = node.settings["maxmemory-policy"], policy != "noeviction",
        node.settings["maxmemory"] != "0" || policy.hasPrefix("allkeys")
      else { return nil }
      let isBounded = node.settings["maxmemory"].map { $0 != "0" } ?? true
      return Finding(
        isBounded ? .critical : .warning, "eviction", node.address, "maxmemory-policy is \(policy)",
        "When memory is short Redis throws sessions away: users are logged out at random. CONFIG SET "
          + "maxmemory-policy noeviction, and keep caches in a Redis of their own.")
    }
  }

  private static let memoryLimit: Check = { facts in
    facts.reachableNodes.compactMap { node in
      guard let most = node.number("maxmemory") else { return nil }
      if most == 0 {
        return Finding(
          .advice, "maxmemory-unset", node.address, "maxmemory is not set",
          "Then the kernel ends Redis when memory is short. Set it below the host's memory, with "
            + "maxmemory-policy noeviction, and watch used_memory.")
      }
      guard let used = node.info["used_memory"].flatMap({ Int64($0) }), used > most / 10 * 8 else {
        return nil
      }
      return Finding(
        .warning, "memory-nearly-full", node.address,
        "\(used / (1 << 20)) of \(most / (1 << 20)) MiB are used",
        "At the limit writes are refused (OOM) or keys evicted. Raise maxmemory, shorten lifetimes, or "
          + "look for keys without expiry: holdfast sessions sweep.")
    }
  }

  private static let evicted: Check = { facts in
    facts.reachableNodes.compactMap { node in
      guard let count = node.info["evicted_keys"].flatMap({ Int64($0) }), count > 0 else {
        return nil
      }
      return Finding(
        .warning, "keys-were-evicted", node.address, "\(count) keys were evicted since its start",
        "Some of them may have been sessions. See maxmemory and maxmemory-policy.")
    }
  }

  private static let outputLimits: Check = { facts in
    facts.reachableNodes.compactMap { node in
      guard let text = node.settings["client-output-buffer-limit"] else { return nil }
      let words = text.split(separator: " ").map(String.init)
      guard let index = words.firstIndex(where: { ["slave", "replica"].contains($0) }),
        index + 1 < words.count, let hard = Int64(words[index + 1]), hard > 0, hard < 64 << 20
      else { return nil }
      return Finding(
        .warning, "replica-output-limit", node.address,
        "client-output-buffer-limit cuts replicas off at \(hard) bytes",
        "A replica that is slow for a moment is disconnected and copies everything again. CONFIG SET "
          + "client-output-buffer-limit \"replica 256mb 64mb 60\".")
    }
  }

  private static let idleTimeout: Check = { facts in
    facts.reachableNodes.compactMap { node in
      guard let seconds = node.number("timeout"), seconds > 0, seconds < 30 else { return nil }
      return Finding(
        .advice, "idle-timeout", node.address, "timeout is \(seconds) s",
        "Redis closes the daemon's warm connections again and again. CONFIG SET timeout 0.")
    }
  }
}
