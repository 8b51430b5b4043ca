// SPDX-License-Identifier: Apache-2.0

/// The scripts about one session. `KEYS[1]` is its key, `ARGV[2]` its stored id.
///
/// Each is one atomic step, and says the same when it is run a second time after an unknown outcome.
enum SessionScript {
  /// The id is this call's alone: what is there already is what its first run made.
  static let create = Script(
    "create",
    Fragment.clock + Fragment.extend + Fragment.load + Fragment.touch + Fragment.enrol
      + Fragment.bury + Fragment.handle + """
        local key, h = KEYS[1], ARGV[2]
        local data, size, idle, life = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
        local user, candidate, ip, meta = ARGV[7], ARGV[8], ARGV[9], ARGV[10]
        local limit, policy, tomb = tonumber(ARGV[15]), ARGV[16], ARGV[17]
        if redis.call('EXISTS', key) == 1 then
          return {'OK', redis.call('HGET', key, 'evicted') or ''}
        end
        local evicted = {}
        if limit > 0 then
          -- Only living ones count, whatever the index still has.
          local index, living = p .. 'user:' .. user .. ':sessions', {}
          for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
            if member:sub(1, 2) == 's:' then
              local s = load(p .. 'session:' .. member:sub(3))
              if s then
                living[#living + 1] = {h = member:sub(3), s = s}
              else
                redis.call('ZREM', index, member)
              end
            end
          end
          if #living >= limit and policy == 'REJECT' then return {'LIMIT'} end
          table.sort(living, function(a, b)
            local x, y = tonumber(a.s.created), tonumber(b.s.created)
            if x ~= y then return x < y end
            return a.h < b.h
          end)
          for i = 1, #living - limit + 1 do
            bury(living[i].h, living[i].s, 'evicted', tomb, 'create')
            evicted[i] = handle('s:' .. living[i].h)
          end
        end
        local absolute = now + life
        local fields = {'data', data, 'version', 1, 'idle', idle, 'absolute', absolute,
          'created', now, 'seen', now}
        local function add(name, value)
          if value ~= '' then fields[#fields + 1] = name; fields[#fields + 1] = value end
        end
        add('size', size) add('ip', ip) add('meta', meta)
        add('network', ARGV[11]) add('bits', ARGV[12]) add('mode', ARGV[13]) add('bind', ARGV[14])
        add('evicted', table.concat(evicted, ','))
        if user ~= '' then
          add('user', user)
          add('epoch', enrol(user, h, absolute, candidate))
        end
        redis.call('HSET', key, unpack(fields))
        local left = math.min(idle, life)
        redis.call('PEXPIRE', key, left)
        activate(h, now + left)
        return {'OK', table.concat(evicted, ',')}
        """)

  /// The binding is checked before anything is touched, in the same step. See ``SessionRead/passes(_:)``.
  static let get = Script(
    "get",
    Fragment.clock + Fragment.extend + Fragment.load + Fragment.touch + Fragment.bound + """
      local key, h, address, slides, percent, ip = KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
      local s, sealed = load(key)
      if not s then return sealed and {'MOVED', sealed} or {'NONE'} end
      local fits = bound(s, address)
      if not fits and s.mode == 'ENFORCE' then return {'MISMATCH'} end
      local ttl, slid
      if slides == '1' then
        ttl, slid = touch(key, h, s, tonumber(percent))
        if slid and ip ~= '' then redis.call('HSET', key, 'ip', ip) end
      else
        ttl = redis.call('PTTL', key)
      end
      if ARGV[7] == '0' then return {'OK', ttl, fits and 1 or 0} end
      local d = redis.call('HMGET', key, 'data', 'size')
      -- Nothing is to be looked at again: as a client of RESP2 reads it.
      if fits and d[1] and not d[2] then
        return {d[1], tonumber(s.version), s.user, ttl, false}
      end
      return {'OK', ttl, fits and 1 or 0, d[1], d[2], tonumber(s.version), s.user}
      """)

  /// Never creates. The last writes' nonces are kept with the versions that they made: a second run
  /// finds its own, also when others wrote in between.
  static let set = Script(
    "set",
    Fragment.clock + Fragment.extend + Fragment.load + Fragment.touch + """
      local key, h, nonce, data, size = KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
      local expected, token, keep = ARGV[6], ARGV[7], ARGV[8]
      local was = redis.call('HMGET', key, 'writes', 'data', 'size', 'former')
      local writes = was[1] or ''
      local done = writes:match(nonce .. ':(%d+)')
      if done then return {'OK', tonumber(done)} end
      local s, sealed = load(key)
      if not s then return sealed and {'MOVED', sealed} or {'NONE'} end
      -- A lock that was taken under the id before a regeneration holds on for its owner.
      if token ~= '' and redis.call('GET', KEYS[2]) ~= token and not (was[4]
          and redis.call('GET', p .. 'lock:session:' .. was[4]) == token) then
        return {'LOCKLOST'}
      end
      local version = tonumber(s.version)
      if expected ~= '' and tonumber(expected) ~= version then return {'CONFLICT', version} end
      if was[2] ~= data or (was[3] or '') ~= size then
        version = version + 1
        redis.call('HSET', key, 'data', data, 'version', version)
        if size ~= '' then redis.call('HSET', key, 'size', size) else redis.call('HDEL', key, 'size') end
      end
      local kept = {}
      for write in writes:gmatch('%S+') do kept[#kept + 1] = write end
      kept[#kept + 1] = nonce .. ':' .. version
      redis.call('HSET', key, 'writes', table.concat(kept, ' ', math.max(1, #kept - 7)))
      if keep == '0' then touch(key, h, s, 0) end
      return {'OK', version}
      """)

  /// `KEYS[2]` is the successor's key. The first one wins; the tombstone keeps the winner's nonce.
  static let regenerate = Script(
    "regenerate",
    Fragment.clock + Fragment.extend + Fragment.load + Fragment.touch + Fragment.enrol + """
      local key, h, nonce, new, newh = KEYS[1], ARGV[2], ARGV[3], KEYS[2], ARGV[4]
      local sealed, grace, user, candidate = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
      local s, successor = load(key)
      if not s then
        local done = redis.call('HMGET', key, 'nonce', 'grace')
        if done[1] == nonce then return {'OK', tonumber(done[2])} end
        return successor and {'MOVED', successor} or {'NONE'}
      end
      redis.call('RENAME', key, new)
      redis.call('ZREM', p .. 'sessions:active', h)
      if s.user then redis.call('ZREM', p .. 'user:' .. s.user .. ':sessions', 's:' .. h) end
      redis.call('HSET', key, 'gone', 'regenerated', 'nonce', nonce,
        'writes', redis.call('HGET', new, 'writes') or '')
      if user ~= '' and user ~= s.user then
        -- A planted id must never lead anyone here; and a login begins the absolute lifetime anew.
        grace = 0
        s.user, s.absolute = user, now + (s.absolute - s.created)
        redis.call('HSET', new, 'user', user, 'absolute', s.absolute, 'created', now)
      end
      redis.call('HSET', key, 'grace', grace)
      if grace > 0 then redis.call('HSET', key, 'sealed', sealed, 'until', now + grace) end
      redis.call('PEXPIRE', key, math.max(tonumber(ARGV[9]), grace))
      if s.user then
        redis.call('HSET', new, 'epoch', enrol(s.user, newh, tonumber(s.absolute), candidate))
      end
      if ARGV[10] ~= '' then
        redis.call('HSET', new, 'network', ARGV[10], 'bits', ARGV[11], 'mode', ARGV[12],
          'bind', ARGV[13])
      end
      redis.call('HSET', new, 'former', h)
      touch(new, newh, s, 0)
      return {'OK', grace}
      """)

  /// Counts what lived, and says so again to the same nonce.
  static let destroy = Script(
    "destroy",
    Fragment.clock + Fragment.load + Fragment.bury + """
      local key, h, nonce, tomb = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
      local s, sealed = load(key)
      if s then
        bury(h, s, 'destroyed', tomb, nonce)
        return {'OK', 1}
      end
      if redis.call('HGET', key, 'nonce') == nonce then return {'OK', 1} end
      return sealed and {'MOVED', sealed} or {'OK', 0}
      """)

  /// Empty arguments unbind.
  static let bind = Script(
    "bind",
    Fragment.clock + Fragment.load + """
      local s, sealed = load(KEYS[1])
      if not s then return sealed and {'MOVED', sealed} or {'NONE'} end
      if ARGV[3] == '' then
        redis.call('HDEL', KEYS[1], 'network', 'bits', 'mode', 'bind')
      else
        redis.call('HSET', KEYS[1], 'network', ARGV[3], 'bits', ARGV[4], 'mode', ARGV[5],
          'bind', ARGV[6])
      end
      return {'OK'}
      """)
}
