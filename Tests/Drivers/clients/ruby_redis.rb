# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# ruby-redis. How results are told: see ../drivers.py.
begin
  require 'redis'
rescue LoadError => e
  warn "apt-get install ruby-redis: #{e.message}"
  exit 77
end
require_relative 'session'

COMPARE_AND_DELETE =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"

# Its own timeout is 5 seconds; holdfastd may wait longer for a master. No second try: an error must show.
def connect(socket, database = 1)
  Redis.new(path: socket, db: database, timeout: 20, reconnect_attempts: 0)
end

def session(socket, name)
  client = connect(socket)
  key = "session:#{name}"
  value = "cart=1\r\n\0#{'x' * 100_000}"
  check 'create', client.setex(key, 60, value), 'OK'
  check 'read', client.get(key), value
  check 'on database 1 only', connect(socket, 0).get(key), nil
  check 'TTL', (1..60).cover?(client.ttl(key)), true
  check 'touch', client.expire(key, 120), true
  check 'TTL after the touch', (61..120).cover?(client.ttl(key)), true
  check 'write', client.set(key, 'cart=2', ex: 120), 'OK'
  check 'read again', client.get(key), 'cart=2'

  lock = "#{key}:lock"
  check 'lock', client.set(lock, 'mine', nx: true, px: 10_000), true
  check 'lock twice', client.set(lock, 'other', nx: true, px: 10_000), false
  check "unlock another's", client.eval(COMPARE_AND_DELETE, keys: [lock], argv: ['other']), 0
  check 'unlock', client.eval(COMPARE_AND_DELETE, keys: [lock], argv: ['mine']), 1

  replies = client.pipelined do |pipe|
    pipe.get(key)
    pipe.hset("#{key}:hash", 'a', '1')
    pipe.hgetall("#{key}:hash")
  end
  check 'pipeline', replies, ['cart=2', 1, { 'a' => '1' }]
  replies = client.multi do |transaction|
    transaction.setex("#{key}:n", 60, '4')
    transaction.incr("#{key}:n")
    transaction.get("#{key}:n")
  end
  check 'transaction', replies, ['OK', 5, '5']

  begin
    client.lpush(key, 'x')
    raise 'LPUSH on a string went through'
  rescue Redis::CommandError => e
    check 'wrong type', e.message.split.first, 'WRONGTYPE'
  end
  check 'delete', client.del(key, "#{key}:hash", "#{key}:n"), 3
  check 'gone', [client.get(key), client.ttl(key)], [nil, -2]
end

def one_round(client, name, number)
  key = "loop:#{name}:#{number}"
  value = "#{name}-#{number}"
  client.setex(key, 600, value)
  puts "ack #{key} #{value}"
  check 'read', client.get(key), value
  check 'touch', client.expire(key, 900), true
  return unless number % 10 == 9

  client.del("loop:#{name}:#{number - 5}")
  puts "gone loop:#{name}:#{number - 5}"
end

main("#{Redis::VERSION}, Ruby #{RUBY_VERSION}", method(:session)) do |socket, name|
  client = connect(socket)
  ->(number) { one_round(client, name, number) }
end
