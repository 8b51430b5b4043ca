// SPDX-License-Identifier: Apache-2.0

/// The scripts about a user's sessions. `KEYS[1]` is the user's index, `ARGV[2]` the user.
enum UserScript {
  /// A page of the index, from a score on; `skip` entries of that score were seen.
  static let list = Script(
    "list",
    Fragment.clock + Fragment.load + Fragment.handle + Fragment.attached + """
      local from, skip, count, home = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
      local page = redis.call('ZRANGEBYSCORE', KEYS[1], from, '+inf', 'WITHSCORES',
        'LIMIT', skip, count)
      local rows, same, last = {}, tonumber(skip), from
      for i = 1, #page, 2 do
        local member, score = page[i], page[i + 1]
        if score == last then same = same + 1 else last, same = score, 1 end
        if member:sub(1, 2) == 's:' then
          local key = p .. 'session:' .. member:sub(3)
          local s = load(key)
          if s and s.user == ARGV[2] then
            local more = redis.call('HMGET', key, 'ip', 'meta')
            rows[#rows + 1] = {handle(member), tonumber(s.created), tonumber(s.seen),
              redis.call('PTTL', key), more[1], more[2]}
          end
        else
          local db, key = attached(member)
          local ttl = elsewhere(db, home, 'PTTL', key)
          if ttl ~= -2 then rows[#rows + 1] = {handle(member), false, false, ttl, false, false} end
        end
      end
      if #page < 2 * count then return {'OK', '0', rows} end
      return {'OK', last .. '-' .. string.format('%d', same), rows}
      """)

  /// Ends what one entry of the index stands for. Returns 1 if it lived.
  private static let finish = """
    local function finish(member, user, why, nonce, tomb, home)
      redis.call('ZREM', p .. 'user:' .. user .. ':sessions', member)
      if member:sub(1, 2) ~= 's:' then
        local db, key = attached(member)
        return elsewhere(db, home, 'DEL', key)
      end
      local h = member:sub(3)
      local s = load(p .. 'session:' .. h)
      if not s or s.user ~= user then return 0 end
      bury(h, s, why, tomb, nonce)
      return 1
    end

    """

  /// By handle: a user's sessions are few, so that they are looked through. The answer is kept for a
  /// second run, which finds nothing any more.
  static let kill = Script(
    "kill",
    Fragment.clock + Fragment.load + Fragment.bury + Fragment.handle + Fragment.attached + finish
      + """
      local user, wanted, nonce, tomb, home = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
      local once = p .. 'once:' .. nonce
      local done = redis.call('GET', once)
      if done then return {'OK', 1, done} end
      for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        if handle(member) == wanted then
          if finish(member, user, 'killed', nonce, tomb, home) ~= 1 then break end
          redis.call('SET', once, member, 'PX', tomb)
          return {'OK', 1, member}
        end
      end
      return {'OK', 0}
      """)

  /// The new epoch ends all sessions, also those that the index may have missed; it is the nonce.
  static let logoutAll = Script(
    "logoutall",
    Fragment.clock + Fragment.load + Fragment.bury + Fragment.attached + finish + """
      local user, nonce, tomb, home, except = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
      local epoch, once = p .. 'user:' .. user .. ':epoch', p .. 'once:' .. nonce
      local done = redis.call('GET', once)
      if done then return cmsgpack.unpack(done) end
      local kept
      if except ~= '' then
        local s, sealed = load(p .. 'session:' .. except)
        if sealed then return {'MOVED', sealed} end
        kept = s and s.user == user and s
      end
      local result = {'OK', 0, redis.call('GET', epoch) or ''}
      for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        if not (kept and member == 's:' .. except)
            and finish(member, user, 'logout', nonce, tomb, home) == 1 then
          result[2] = result[2] + 1
          result[#result + 1] = member
        end
      end
      -- Without an epoch no session of this user is accepted anyway.
      if result[3] ~= '' then redis.call('SET', epoch, nonce, 'KEEPTTL') end
      if kept then redis.call('HSET', p .. 'session:' .. except, 'epoch', nonce) end
      redis.call('SET', once, cmsgpack.pack(result), 'PX', tomb)
      return result
      """)

  /// What was ended, once more, on a master that may not have heard of it. New logins stay.
  static let retry = Script(
    "retry",
    Fragment.clock + Fragment.load + Fragment.bury + Fragment.attached + """
      local tomb, home, user, former, current = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
      for i = 7, #ARGV do
        local member = ARGV[i]
        if member:sub(1, 2) == 's:' then
          local s = load(p .. 'session:' .. member:sub(3))
          if s then bury(member:sub(3), s, 'denied', tomb, 'retry') end
        else
          local db, key = attached(member)
          elsewhere(db, home, 'DEL', key)
        end
      end
      local epoch = p .. 'user:' .. user .. ':epoch'
      if former ~= '' and redis.call('GET', epoch) == former then
        redis.call('SET', epoch, current, 'KEEPTTL')
      end
      return {'OK'}
      """)

  /// The entry lives as long as the key does now, and at least as long as a session may.
  static let attach = Script(
    "attach",
    Fragment.clock + Fragment.extend + Fragment.attached + """
      local member, life, home = ARGV[3], tonumber(ARGV[4]), ARGV[5]
      local db, key = attached(member)
      local ttl = elsewhere(db, home, 'PTTL', key)
      if ttl == -2 then return {'NONE'} end
      life = math.max(life, ttl)
      redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
      redis.call('ZADD', KEYS[1], now + life, member)
      extend(KEYS[1], life)
      return {'OK'}
      """)
}
