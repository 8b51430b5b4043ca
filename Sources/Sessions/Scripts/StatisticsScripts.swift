// SPDX-License-Identifier: Apache-2.0

/// The scripts about statistics, and about keys without TTL.
enum StatisticsScript {
  /// Counts a login of today by Redis' clock. Names beyond the most are counted as one: a flood of
  /// made-up names must not fill the memory.
  static let login = Script(
    "login",
    Fragment.clock + Fragment.day + """
      local user, outcome, nonce, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
      local once = p .. 'once:' .. nonce
      local done = redis.call('GET', once)
      if done then return cmsgpack.unpack(done) end
      local key, name = p .. 'stats:logins:' .. day(), user
      local counts = redis.call('HMGET', key, 'ok:' .. user, 'fail:' .. user, 'users')
      if not counts[1] and not counts[2] then
        if tonumber(counts[3] or 0) < most then
          redis.call('HINCRBY', key, 'users', 1)
        else
          name = nil
        end
      end
      redis.call('HINCRBY', key, 'total:' .. outcome, 1)
      redis.call('HINCRBY', key, name and outcome .. ':' .. name or 'rest:' .. outcome, 1)
      if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[6]) end
      counts = redis.call('HMGET', key, 'ok:' .. user, 'fail:' .. user)
      local result = {'OK', tonumber(counts[1] or 0), tonumber(counts[2] or 0)}
      redis.call('SET', once, cmsgpack.pack(result), 'PX', ARGV[7])
      return result
      """)

  /// Each key's totals; `ARGV[2]`, where given, is a user whose counts are wanted instead.
  static let logins = Script(
    "logins",
    """
    local result = {'OK'}
    for i, key in ipairs(KEYS) do
      local ok, fail, third = 'total:ok', 'total:fail', 'users'
      if ARGV[2] then ok, fail = 'ok:' .. ARGV[2], 'fail:' .. ARGV[2] end
      local counts = redis.call('HMGET', key, ok, fail, third)
      for j = 1, 3 do result[#result + 1] = tonumber(counts[j] or 0) end
    end
    return result
    """)

  /// Members whose expiry is still to come.
  static let active = Script(
    "active",
    Fragment.clock + "return {'OK', redis.call('ZCOUNT', KEYS[1], now, '+inf')}")

  /// `KEYS[1]` is the user's index. How many sessions live, and the latest use.
  static let user = Script(
    "user",
    Fragment.clock + Fragment.load + Fragment.day + """
      local count, seen = 0, 0
      for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        local s = member:sub(1, 2) == 's:' and load(p .. 'session:' .. member:sub(3))
        if s and s.user == ARGV[2] then
          count = count + 1
          seen = math.max(seen, s.seen)
        end
      end
      local c = redis.call('HMGET', p .. 'stats:logins:' .. day(), 'ok:' .. ARGV[2],
        'fail:' .. ARGV[2])
      return {'OK', count, seen > 0 and seen, tonumber(c[1] or 0), tonumber(c[2] or 0)}
      """)

  /// How long each living session has been in use.
  static let durations = Script(
    "durations",
    Fragment.clock + Fragment.load + """
      local result = {'OK'}
      for _, key in ipairs(KEYS) do
        local s = redis.call('TYPE', key).ok == 'hash' and load(key)
        if s then result[#result + 1] = s.seen - s.created end
      end
      return result
      """)

  /// The places of keys that have no TTL.
  static let lasting = Script(
    "lasting",
    """
    local result = {'OK'}
    for i, key in ipairs(KEYS) do
      if redis.call('PTTL', key) == -1 then result[#result + 1] = i end
    end
    return result
    """)

  /// Gives them one, or removes them: those that still have none.
  static let mend = Script(
    "mend",
    """
    for _, key in ipairs(KEYS) do
      if redis.call('PTTL', key) == -1 then
        if ARGV[2] == '' then redis.call('UNLINK', key) else redis.call('PEXPIRE', key, ARGV[2]) end
      end
    end
    return {'OK'}
    """)
}
