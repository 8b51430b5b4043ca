<?php
// SPDX-License-Identifier: Apache-2.0
// Symfony: sessions in RedisSessionHandler, and the cache RedisAdapter, with phpredis.
// Every page has a session object of its own; the connection stays, as in a worker's.

use Symfony\Component\Cache\Adapter\RedisAdapter;
use Symfony\Component\Cache\Adapter\RedisTagAwareAdapter;
use Symfony\Component\HttpFoundation\Session\Session;
use Symfony\Component\HttpFoundation\Session\Storage\Handler\RedisSessionHandler;
use Symfony\Component\HttpFoundation\Session\Storage\NativeSessionStorage;

require __DIR__ . '/session.php';
foreach (['Cache', 'HttpFoundation'] as $part) {
    is_file("/usr/share/php/Symfony/Component/$part/autoload.php")
        || skip('apt-get install php-symfony-cache php-symfony-http-foundation');
    require_once "/usr/share/php/Symfony/Component/$part/autoload.php";
}
if (!extension_loaded('redis')) {
    skip('apt-get install php-cli php-redis: the extension redis is not loaded');
}

function connection(string $socket): Redis
{
    static $connection = null;
    return $connection ??= RedisAdapter::createConnection(
        "redis://$socket?dbindex=1&timeout=2&read_timeout=25", ['class' => Redis::class]);
}

// One page: $work gets the started session. Returns its id and what $work returned.
function page(string $socket, ?string $id, callable $work): array
{
    $session = new Session(new NativeSessionStorage(
        // There is no browser here.
        ['use_cookies' => 0, 'use_only_cookies' => 0, 'cache_limiter' => '', 'use_strict_mode' => 1],
        new RedisSessionHandler(connection($socket), ['prefix' => 'sf_s', 'ttl' => 600])));
    $session->setId($id ?? session_create_id());
    $session->start();
    $result = $work($session);
    if ($session->isStarted()) {
        $session->save();
    }
    return [$session->getId(), $result];
}

function session(string $socket, string $name): void
{
    $client = connection($socket);
    [$id] = page($socket, null, fn ($session) => $session->set('user', 'ann'));
    check('read', page($socket, $id, fn ($session) => $session->get('user'))[1], 'ann');
    checkBetween('TTL', $client->ttl("sf_s$id"), 1, 600);
    [$next] = page($socket, $id, fn ($session) => $session->migrate(true));
    check('old id gone', [$next !== $id, $client->exists("sf_s$id")], [true, 0]);
    check('with the new id', page($socket, $next, fn ($session) => $session->get('user'))[1], 'ann');
    page($socket, $next, fn ($session) => $session->invalidate());
    check('gone', $client->exists("sf_s$next"), 0);

    foreach ([RedisAdapter::class, RedisTagAwareAdapter::class] as $class) {
        $cache = new $class($client, $name, 60);
        check("$class, computed", $cache->get('a', fn () => ['x' => 1]), ['x' => 1]);
        check("$class, read", $cache->getItem('a')->get(), ['x' => 1]);
        foreach (['b', 'c'] as $entry) {
            $cache->saveDeferred($cache->getItem($entry)->set($entry));
        }
        check("$class, many", $cache->commit(), true);
        check("$class, read many", array_map(
            fn ($item) => $item->get(), iterator_to_array($cache->getItems(['b', 'c']))), ['b' => 'b', 'c' => 'c']);
        check("$class, delete", $cache->deleteItem('a'), true);
        check("$class, deleted", $cache->hasItem('a'), false);
        if ($cache instanceof RedisTagAwareAdapter) {
            $cache->save($cache->getItem('d')->set('d')->tag('news'));
            check("$class, by tag", [$cache->invalidateTags(['news']), $cache->hasItem('d')], [true, false]);
        }
        check("$class, clear", [$cache->clear(), $cache->hasItem('b')], [true, false]);
    }
}

function loop(string $socket, string $name): callable
{
    return function (int $number) use ($socket): void {
        [$id] = page($socket, null, fn ($session) => $session->set('number', $number));
        tell("ack sf_s$id");
        check('read', page($socket, $id, fn ($session) => $session->get('number'))[1], $number);
        if ($number % 10 === 9) {
            connection($socket)->del("sf_s$id");
            tell("gone sf_s$id");
        }
    };
}

preg_match("/VERSION = '(.*)'/",
    (string) file_get_contents('/usr/share/php/Symfony/Component/HttpKernel/Kernel.php'), $found);
main($argv, ($found[1] ?? 'unknown') . ', PHP ' . PHP_VERSION, 'session', 'loop');
