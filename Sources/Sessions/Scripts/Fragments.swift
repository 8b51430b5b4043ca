// SPDX-License-Identifier: Apache-2.0

/// Pieces that scripts are put together from. `ARGV[1]` is the prefix of all keys everywhere.
///
/// They run on Redis 6.2 and later, where effects are replicated and not scripts; so they may read the
/// clock and then write. They build keys that were not passed (a user's, an evicted session's), which
/// a Redis that is no cluster allows.
enum Fragment {
  /// Redis' own clock in ms.
  static let clock = """
    local p, t = ARGV[1], redis.call('TIME')
    local now = t[1] * 1000 + math.floor(t[2] / 1000)

    """

  /// Keys' lifetimes only ever grow here: what the longest-lived entry needs.
  static let extend = """
    local function extend(key, ms)
      if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
    end

    """

  /// A session's fields.
  static let load = """
    local names = {'gone', 'version', 'idle', 'absolute', 'created', 'seen', 'user', 'epoch',
      'network', 'bits', 'mode', 'sealed', 'until'}
    -- The fields of a session that lives; or nil, and within a regenerated one's grace the sealed
    -- successor. Another epoch of its user, or none, means that the user was logged out everywhere.
    local function load(key)
      local values, s = redis.call('HMGET', key, unpack(names)), {}
      for i, name in ipairs(names) do s[name] = values[i] end
      if s.gone then
        if s.sealed and tonumber(s['until']) > now then return nil, s.sealed end
        return nil
      end
      if not (s.absolute and s.idle and s.version) or tonumber(s.absolute) <= now then return nil end
      if s.user and redis.call('GET', p .. 'user:' .. s.user .. ':epoch') ~= s.epoch then
        return nil
      end
      return s
    end

    """

  /// Sliding; needs ``extend``.
  static let touch = """
    local function activate(h, expiry)
      local key = p .. 'sessions:active'
      -- A few at a time, so that no call has to clear up after a quiet night.
      local old = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, 8)
      if #old > 0 then redis.call('ZREM', key, unpack(old)) end
      redis.call('ZADD', key, expiry, h)
      extend(key, expiry - now)
    end
    -- Slides the expiry, capped by the absolute deadline; the write is spared while less than
    -- `percent` of the idle time has passed (0: never). Returns the ttl in ms, and if it slid.
    local function touch(key, h, s, percent)
      if percent > 0 and now - s.seen < s.idle * percent / 100 then
        return redis.call('PTTL', key), false
      end
      local left = math.min(s.idle, s.absolute - now)
      redis.call('HSET', key, 'seen', now)
      redis.call('PEXPIRE', key, left)
      activate(h, now + left)
      return left, true
    end

    """

  /// A user's index and epoch; needs ``extend``.
  static let enrol = """
    -- Returns the user's epoch, which lives as long as the user's latest session may.
    local function enrol(user, h, absolute, candidate)
      local index, epoch = p .. 'user:' .. user .. ':sessions', p .. 'user:' .. user .. ':epoch'
      redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
      redis.call('ZADD', index, absolute, 's:' .. h)
      extend(index, absolute - now)
      redis.call('SET', epoch, candidate, 'NX', 'PX', absolute - now)
      extend(epoch, absolute - now)
      return redis.call('GET', epoch)
    end

    """

  /// Tombstones.
  static let bury = """
    -- Ends a session; the tombstone outlives every retry and every slow write. It keeps what a second
    -- run of an earlier command answers.
    local function bury(h, s, why, ms, nonce)
      local key = p .. 'session:' .. h
      local kept = redis.call('HMGET', key, 'writes', 'evicted')
      redis.call('DEL', key)
      redis.call('HSET', key, 'gone', why, 'nonce', nonce, 'writes', kept[1] or '',
        'evicted', kept[2] or '')
      redis.call('PEXPIRE', key, ms)
      redis.call('ZREM', p .. 'sessions:active', h)
      if s.user then redis.call('ZREM', p .. 'user:' .. s.user .. ':sessions', 's:' .. h) end
    end

    """

  /// What a session is called to those who may not have its id.
  static let handle = """
    local function handle(member) return redis.sha1hex(member):sub(1, 24) end

    """

  /// Frameworks' own keys in a user's index, as `k<database>:<key>`.
  static let attached = """
    local function attached(member) return member:match('^k(%d+):(.*)$') end
    -- Runs one command on another database; scripts do not change the caller's.
    local function elsewhere(db, home, ...)
      if not db then return -2 end
      redis.call('SELECT', db)
      local result = redis.call(...)
      redis.call('SELECT', home)
      return result
    end

    """

  /// Whether an address is in a network, both in hex.
  static let bound = """
    local function bound(s, address)
      if not s.network then return true end
      if #address ~= #s.network then return false end
      local whole = math.floor(s.bits / 4)
      if address:sub(1, whole) ~= s.network:sub(1, whole) then return false end
      local rest = s.bits % 4
      if rest == 0 then return true end
      local unit, at = 2 ^ (4 - rest), whole + 1
      return math.floor(tonumber(address:sub(at, at), 16) / unit)
        == math.floor(tonumber(s.network:sub(at, at), 16) / unit)
    end

    """

  /// The day of the clock as `YYYY-MM-DD`, by the civil calendar's 400-year eras.
  static let day = """
    local function day()
      local z = math.floor(now / 86400000) + 719468
      local era = math.floor(z / 146097)
      local d = z - era * 146097
      local y = math.floor((d - math.floor(d / 1460) + math.floor(d / 36524)
        - math.floor(d / 146096)) / 365)
      d = d - (365 * y + math.floor(y / 4) - math.floor(y / 100))
      local m = math.floor((5 * d + 2) / 153)
      d = d - math.floor((153 * m + 2) / 5) + 1
      m = m < 10 and m + 3 or m - 9
      return string.format('%04d-%02d-%02d', y + era * 400 + (m <= 2 and 1 or 0), m, d)
    end

    """
}
