# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# redis-rack: Rack's sessions (Sinatra's, and through redis-actionpack Rails') in redis-store, through Rack's own mock
# requests. How results are told: see ../drivers.py.
begin
  require 'rack'
  require 'redis-rack'
rescue LoadError => e
  warn "apt-get install ruby-redis-rack: #{e.message}"
  exit 77
end
require_relative 'session'

# The application: /put/NUMBER, /get, /end, and /renew, which gives the session another id.
APP = lambda do |env|
  session = env['rack.session']
  case env['PATH_INFO']
  when %r{\A/put/(\d+)\z} then session['number'] = Regexp.last_match(1).to_i
  when '/end' then session.destroy
  when '/renew' then session.options[:renew] = true
  end
  [200, {}, [session['number'].to_s]]
end

# One visitor: keeps the cookie.
class Browser
  attr_reader :id

  def initialize(app)
    @app = app
  end

  def get(path)
    answer = Rack::MockRequest.new(@app).get(path, 'HTTP_COOKIE' => @id ? "rack.session=#{@id}" : '')
    cookie = answer.cookie('rack.session')
    @id = cookie.value.first if cookie
    answer.body
  end

  # Redis does not get to see the id itself.
  def key
    Rack::Session::SessionId.new(@id).private_id
  end
end

def connect(socket)
  store = Redis::Store.new(path: socket, db: 1, timeout: 25, reconnect_attempts: 0)
  [store, Rack::Session::Redis.new(APP, redis_store: store, expire_after: 600)]
end

def session(socket, _name)
  store, app = connect(socket)
  browser = Browser.new(app)
  browser.get('/put/1')
  check 'read', browser.get('/get'), '1'
  check 'TTL', (1..600).cover?(store.ttl(browser.key)), true
  browser.get('/put/2')
  check 'written', browser.get('/get'), '2'
  check 'another visitor', Browser.new(app).get('/get'), ''
  old = browser.key
  browser.get('/renew')
  check 'old id gone', [browser.key == old, store.exists?(old)], [false, false]
  check 'with the new id', browser.get('/get'), '2'
  old = browser.key
  browser.get('/end')
  check 'gone', store.exists?(old), false
  check 'ended', browser.get('/get'), ''
end

def one_round(app, number)
  browser = Browser.new(app)
  browser.get("/put/#{number}")
  puts "ack #{browser.key}"
  check 'read', browser.get('/get'), number.to_s
  return unless number % 10 == 9

  key = browser.key
  browser.get('/end')
  puts "gone #{key}"
end

main("#{Redis::Rack::VERSION}, Ruby #{RUBY_VERSION}", method(:session)) do |socket, _name|
  _, app = connect(socket)
  ->(number) { one_round(app, number) }
end
