// SPDX-License-Identifier: Apache-2.0

/// What is done to locks in Redis. A lock's value is its token: `random:fencing number`, made here, so that a script
/// that is run again finds its own number. A freed lock leaves `freed:token` for as long as a call may be repeated.
enum LockScript {
  /// Frees a lock, takes one, or hands one over, in one step.
  ///
  /// KEYS: the lock, the last fencing number. ARGV: the token to be freed or nothing, the random part of the one to be
  /// put in its place or nothing, its time in ms, the least fencing number, the database of
  /// a driver's lock.
  /// Answers whether it freed, then `OK`, token, number and time left, or `BUSY` and the holder's time left.
  static let change = Script(
    "lock",
    """
    if ARGV[5] ~= '' then redis.call('SELECT', ARGV[5]) end
    local held = redis.call('GET', KEYS[1])
    local freed = 0
    if held and string.sub(held, 1, 6) == 'freed:' then
      if held == 'freed:' .. ARGV[1] then freed = 1 end
      held = false
    elseif ARGV[1] ~= '' and held == ARGV[1] then
      freed = 1
      held = false
      if ARGV[5] == '' then
        redis.call('SET', KEYS[1], 'freed:' .. ARGV[1], 'PX', 20000)
      else
        redis.call('DEL', KEYS[1])
      end
    end
    if ARGV[2] == '' then return {'OK', freed} end
    if held then
      local own = ARGV[2] .. ':'
      if string.sub(held, 1, #own) ~= own then
        return {'NONE', freed, redis.call('PTTL', KEYS[1])}
      end
      if ARGV[1] ~= '' then freed = 1 end
      return {'OK', freed, held, tonumber(string.sub(held, #own + 1)), redis.call('PTTL', KEYS[1])}
    end
    local time = redis.call('TIME')
    local number = math.max(
      time[1] * 1000000 + time[2], tonumber(redis.call('GET', KEYS[2]) or '0') + 1, tonumber(ARGV[4]))
    local text = string.format('%.0f', number)
    redis.call('SET', KEYS[2], text, 'PX', 2592000000)
    redis.call('SET', KEYS[1], ARGV[2] .. ':' .. text, 'PX', ARGV[3])
    return {'OK', freed, ARGV[2] .. ':' .. text, number, tonumber(ARGV[3])}
    """)

  /// Holds a lock for longer. KEYS: the lock. ARGV: its token, the time in ms. Answers 1, or 0 if it is not held.
  static let extend = Script(
    "extend",
    """
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'OK', 0} end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return {'OK', 1}
    """)
}
