// SPDX-License-Identifier: Apache-2.0
// node-redis, as Debian's node-redis installs it. How results are told: see ../drivers.py.
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const { setTimeout: pause } = require('node:timers/promises');

function skip(reason) {
  console.error(reason);
  process.exit(77);
}

let redis;
let version;
try {
  redis = require('redis');
  const entry = require.resolve('redis');
  const folder = entry.slice(0, entry.indexOf('/redis/') + '/redis/'.length);
  version = JSON.parse(fs.readFileSync(`${folder}package.json`, 'utf8')).version;
} catch (error) {
  skip(`apt-get install node-redis, and NODE_PATH=/usr/share/nodejs: ${error.message.split('\n')[0]}`);
}
if (!redis.createClient || parseInt(version, 10) < 4) skip(`node-redis 4 or later is wanted, this is ${version}`);

const compareAndDelete =
  "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

async function connect(socketPath, onError, database = 1) {
  const client = redis.createClient({
    // No second try: a lost connection must show.
    socket: { path: socketPath, reconnectStrategy: () => new Error('the connection was lost') },
    database,
  });
  client.on('error', onError);
  await client.connect();
  return client;
}

function between(what, found, low, high) {
  assert.ok(found >= low && found <= high, `${what}: ${found} is not in ${low}...${high}`);
}

async function session(socketPath, name) {
  const fail = (error) => { throw error; };
  const client = await connect(socketPath, fail);
  const other = await connect(socketPath, fail, 0);
  const key = `session:${name}`;
  const value = 'cart=1\r\n\0' + 'x'.repeat(100000);
  assert.strictEqual(await client.setEx(key, 60, value), 'OK', 'create');
  assert.strictEqual(await client.get(key), value, 'read');
  assert.strictEqual(await other.get(key), null, 'on database 1 only');
  between('TTL', await client.ttl(key), 1, 60);
  assert.ok(await client.expire(key, 120), 'touch');
  between('TTL after the touch', await client.ttl(key), 61, 120);
  assert.strictEqual(await client.set(key, 'cart=2', { EX: 120 }), 'OK', 'write');
  assert.strictEqual(await client.get(key), 'cart=2', 'read again');

  const lock = `${key}:lock`;
  assert.strictEqual(await client.set(lock, 'mine', { NX: true, PX: 10000 }), 'OK', 'lock');
  assert.strictEqual(await client.set(lock, 'other', { NX: true, PX: 10000 }), null, 'lock twice');
  const unlock = (token) => client.eval(compareAndDelete, { keys: [lock], arguments: [token] });
  assert.strictEqual(await unlock('other'), 0, "unlock another's");
  assert.strictEqual(await unlock('mine'), 1, 'unlock');

  // Commands of one tick leave as a pipeline.
  const replies = await Promise.all([
    client.get(key), client.hSet(`${key}:hash`, 'a', '1'), client.hGetAll(`${key}:hash`)]);
  assert.strictEqual(JSON.stringify(replies), '["cart=2",1,{"a":"1"}]', 'pipeline');
  const results = await client.multi().setEx(`${key}:n`, 60, '4').incr(`${key}:n`).get(`${key}:n`).exec();
  assert.deepStrictEqual(results, ['OK', 5, '5'], 'transaction');

  const subscriber = client.duplicate();
  subscriber.on('error', fail);
  await subscriber.connect();
  const heard = new Promise((resolve) => subscriber.subscribe(`${key}:news`, resolve)
    .then(() => client.publish(`${key}:news`, 'hello')));
  assert.strictEqual(await Promise.race([heard, pause(5000, 'nothing')]), 'hello', 'message');
  await subscriber.disconnect();

  await assert.rejects(client.lPush(key, 'x'), /^Error: WRONGTYPE/, 'wrong type');
  assert.strictEqual(await client.del([key, `${key}:hash`, `${key}:n`]), 3, 'delete');
  assert.deepStrictEqual([await client.get(key), await client.ttl(key)], [null, -2], 'gone');
  await other.quit();
  await client.quit();
}

// Several at once on one connection, as an Express app does it.
async function loop(socketPath, name, stopFile) {
  const say = (error) => console.log(`error ${error.name} ${error.message.replace(/\n/g, ' ')}`);
  const client = await connect(socketPath, say);
  const deadline = Date.now() + 90000;
  let longest = 0;
  const worker = async (id) => {
    for (let number = 0; Date.now() < deadline && !fs.existsSync(stopFile); number += 1) {
      const began = Date.now();
      const key = `loop:${name}:${id}:${number}`;
      try {
        await client.setEx(key, 600, `${name}-${number}`);
        console.log(`ack ${key} ${name}-${number}`);
        assert.strictEqual(await client.get(key), `${name}-${number}`, 'read');
        assert.ok(await client.expire(key, 900), 'touch');
        if (number % 10 === 9) {
          await client.del(`loop:${name}:${id}:${number - 5}`);
          console.log(`gone loop:${name}:${id}:${number - 5}`);
        }
      } catch (error) {
        say(error);
        await pause(50);
      }
      longest = Math.max(longest, Date.now() - began);
      await pause(5);
    }
  };
  await Promise.all([worker(1), worker(2), worker(3), worker(4)]);
  console.log(`longest ${longest}`);
  await client.disconnect().catch(() => {});
}

const [mode, socketPath, name, stopFile] = process.argv.slice(2);
if (mode === 'session') console.log(`version ${version}, Node ${process.versions.node}`);
(mode === 'session' ? session(socketPath, name) : loop(socketPath, name, stopFile)).then(
  () => process.exit(0),
  (error) => {
    console.error(error.message || error);
    process.exit(1);
  });
