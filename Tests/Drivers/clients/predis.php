<?php
// SPDX-License-Identifier: Apache-2.0
// predis, as Debian's php-nrk-predis installs it.

require __DIR__ . '/session.php';
$autoload = '/usr/share/php/Predis/autoload.php';
if (!is_file($autoload)) {
    skip("apt-get install php-nrk-predis: no $autoload");
}
require $autoload;

function connect(string $socket, int $database = 1): Predis\Client
{
    return new Predis\Client([
        'scheme' => 'unix', 'path' => $socket, 'database' => $database,
        'read_write_timeout' => 20, // More than holdfastd's own wait.
    ]);
}

function session(string $socket, string $name): void
{
    $client = connect($socket);
    $key = "session:$name";
    $value = "cart=1\r\n\0" . str_repeat('x', 100000);
    check('create', (string) $client->setex($key, 60, $value), 'OK');
    check('read', $client->get($key), $value);
    check('on database 1 only', connect($socket, 0)->get($key), null);
    checkBetween('TTL', $client->ttl($key), 1, 60);
    check('touch', $client->expire($key, 120), 1);
    checkBetween('TTL after the touch', $client->ttl($key), 61, 120);
    check('write', (string) $client->set($key, 'cart=2', 'EX', 120), 'OK');
    check('read again', $client->get($key), 'cart=2');

    check('lock', (string) $client->set("$key:lock", 'mine', 'PX', 10000, 'NX'), 'OK');
    check('lock twice', $client->set("$key:lock", 'other', 'PX', 10000, 'NX'), null);
    check("unlock another's", $client->eval(COMPARE_AND_DELETE, 1, "$key:lock", 'other'), 0);
    check('unlock', $client->eval(COMPARE_AND_DELETE, 1, "$key:lock", 'mine'), 1);

    $replies = $client->pipeline(function ($pipe) use ($key) {
        $pipe->get($key);
        $pipe->hset("$key:hash", 'a', '1');
        $pipe->hgetall("$key:hash");
    });
    check('pipeline', $replies, ['cart=2', 1, ['a' => '1']]);
    $replies = $client->transaction(function ($transaction) use ($key) {
        $transaction->set("$key:n", '4', 'EX', 60);
        $transaction->incr("$key:n");
        $transaction->get("$key:n");
    });
    check('transaction', [(string) $replies[0], $replies[1], $replies[2]], ['OK', 5, '5']);

    try {
        $client->lpush($key, ['x']);
        throw new RuntimeException('LPUSH on a string went through');
    } catch (Predis\Response\ServerException $error) {
        check('wrong type', $error->getErrorType(), 'WRONGTYPE');
    }
    check('delete', $client->del([$key, "$key:hash", "$key:n"]), 3);
    check('gone', [$client->get($key), $client->ttl($key)], [null, -2]);
}

function loop(string $socket, string $name): callable
{
    $client = connect($socket);
    return function (int $number) use ($client, $name): void {
        $key = "loop:$name:$number";
        check('write', (string) $client->setex($key, 600, "$name-$number"), 'OK');
        tell("ack $key $name-$number");
        check('read', $client->get($key), "$name-$number");
        check('touch', $client->expire($key, 900), 1);
        if ($number % 10 === 9) {
            $client->del(["loop:$name:" . ($number - 5)]);
            tell("gone loop:$name:" . ($number - 5));
        }
    };
}

main($argv, Predis\Client::VERSION . ', PHP ' . PHP_VERSION, 'session', 'loop');
