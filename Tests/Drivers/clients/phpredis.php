<?php
// SPDX-License-Identifier: Apache-2.0
// phpredis, its class Redis.

require __DIR__ . '/session.php';
if (!extension_loaded('redis')) {
    skip('apt-get install php-cli php-redis: the extension redis is not loaded');
}

function connect(string $socket, int $database = 1): Redis
{
    $client = new Redis();
    $client->connect($socket);
    $client->select($database);
    $client->setOption(Redis::OPT_READ_TIMEOUT, 20); // More than holdfastd's own wait.
    return $client;
}

function session(string $socket, string $name): void
{
    $client = connect($socket);
    $key = "session:$name";
    $value = "cart=1\r\n\0" . str_repeat('x', 100000);
    check('create', $client->setex($key, 60, $value), true);
    check('read', $client->get($key), $value);
    check('on database 1 only', connect($socket, 0)->get($key), false);
    checkBetween('TTL', $client->ttl($key), 1, 60);
    check('touch', $client->expire($key, 120), true);
    checkBetween('TTL after the touch', $client->ttl($key), 61, 120);
    check('write', $client->set($key, 'cart=2', ['ex' => 120]), true);
    check('read again', $client->get($key), 'cart=2');

    check('lock', $client->set("$key:lock", 'mine', ['nx', 'px' => 10000]), true);
    check('lock twice', $client->set("$key:lock", 'other', ['nx', 'px' => 10000]), false);
    check("unlock another's", $client->eval(COMPARE_AND_DELETE, ["$key:lock", 'other'], 1), 0);
    check('unlock', $client->eval(COMPARE_AND_DELETE, ["$key:lock", 'mine'], 1), 1);

    $replies = $client->pipeline()->get($key)->hSet("$key:hash", 'a', '1')->hGetAll("$key:hash")->exec();
    check('pipeline', $replies, ['cart=2', 1, ['a' => '1']]);
    $replies = $client->multi()->setex("$key:n", 60, 4)->incr("$key:n")->get("$key:n")->exec();
    check('transaction', $replies, [true, 5, '5']);

    check('wrong type', $client->lPush($key, 'x'), false);
    check('wrong type, its word', substr((string) $client->getLastError(), 0, 9), 'WRONGTYPE');
    check('delete', $client->del($key, "$key:hash", "$key:n"), 3);
    check('gone', [$client->get($key), $client->ttl($key)], [false, -2]);
}

function loop(string $socket, string $name): callable
{
    $client = connect($socket);
    return function (int $number) use ($client, $name): void {
        $key = "loop:$name:$number";
        $client->clearLastError();
        $done = $client->setex($key, 600, "$name-$number");
        check('write (' . $client->getLastError() . ')', $done, true);
        tell("ack $key $name-$number");
        check('read', $client->get($key), "$name-$number");
        check('touch', $client->expire($key, 900), true);
        if ($number % 10 === 9) {
            check('delete', is_int($client->del("loop:$name:" . ($number - 5))), true);
            tell("gone loop:$name:" . ($number - 5));
        }
    };
}

main($argv, phpversion('redis') . ', PHP ' . PHP_VERSION, 'session', 'loop');
