<?php
// SPDX-License-Identifier: Apache-2.0
// Laravel's session store with the redis driver, and its cache and locks. DRIVER_CLIENT is phpredis or predis.
// Every page has a session store of its own, as every request has; the connection stays, as in a worker's.

use Illuminate\Cache\CacheManager;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Redis\RedisManager;
use Illuminate\Session\SessionManager;

require __DIR__ . '/session.php';
$folder = '/usr/share/php/Illuminate';
foreach (['Session', 'Redis', 'Cache', 'Config', 'Container'] as $part) {
    is_file("$folder/$part/autoload.php") || skip('apt-get install php-illuminate-session php-illuminate-redis');
    require_once "$folder/$part/autoload.php";
}
if (getenv('DRIVER_CLIENT') === 'phpredis' && !extension_loaded('redis')) {
    skip('apt-get install php-cli php-redis: the extension redis is not loaded');
}

function app(string $socket): Container
{
    static $app = null;
    if ($app !== null) {
        return $app;
    }
    $client = getenv('DRIVER_CLIENT');
    $app = new Container();
    $app->instance('config', new Repository([
        'database' => ['redis' => ['session' => ['database' => 1, 'scheme' => 'unix'] + ($client === 'phpredis'
            ? ['host' => $socket, 'port' => 0, 'timeout' => 2, 'read_timeout' => 25]
            : ['path' => $socket, 'read_write_timeout' => 25])]],
        'cache' => [
            'default' => 'redis',
            'prefix' => 'laravel_cache',
            'stores' => ['redis' => ['driver' => 'redis', 'connection' => 'session']],
        ],
        'session' => ['driver' => 'redis', 'connection' => 'session', 'lifetime' => 10, 'cookie' => 'laravel_session'],
    ]));
    $app->singleton('redis', fn () => new RedisManager($app, $client, $app['config']['database.redis']));
    $app->singleton('cache', fn () => new CacheManager($app));
    return $app;
}

// One page: $work gets the started session. Returns its id and what $work returned.
function page(string $socket, ?string $id, callable $work): array
{
    $session = (new SessionManager(app($socket)))->driver();
    $session->setId($id);
    $session->start();
    $result = $work($session);
    $session->save();
    return [$session->getId(), $result];
}

function session(string $socket, string $name): void
{
    $redis = app($socket)['redis']->connection('session');
    [$id] = page($socket, null, fn ($session) => $session->put('user', 'ann'));
    $key = "laravel_cache:$id";
    check('read', page($socket, $id, fn ($session) => $session->get('user'))[1], 'ann');
    checkBetween('TTL', $redis->ttl($key), 1, 600);
    page($socket, $id, fn ($session) => $session->flash('note', 'once'));
    check('flashed', page($socket, $id, fn ($session) => $session->get('note'))[1], 'once');
    check('flashed no more', page($socket, $id, fn ($session) => $session->get('note'))[1], null);
    [$next] = page($socket, $id, fn ($session) => $session->regenerate(true));
    check('old id gone', [$next !== $id, (int) $redis->exists($key)], [true, 0]);
    check('with the new id', page($socket, $next, fn ($session) => $session->get('user'))[1], 'ann');
    page($socket, $next, fn ($session) => $session->invalidate());
    check('gone', (int) $redis->exists("laravel_cache:$next"), 0);

    $cache = app($socket)['cache'];
    check('cache, put', $cache->put("$name:a", ['x' => 1], 60), true);
    check('cache, get', $cache->get("$name:a"), ['x' => 1]);
    check('cache, add to what is there', $cache->add("$name:a", 2, 60), false);
    check('cache, many', $cache->putMany(["$name:b" => 1, "$name:c" => 2], 60), true);
    check('cache, count', $cache->increment("$name:b"), 2);
    check('cache, get many', $cache->many(["$name:b", "$name:c"]), ["$name:b" => '2', "$name:c" => '2']);
    $lock = $cache->lock("$name:lock", 10);
    check('lock', $lock->get(), true);
    check('lock twice', $cache->lock("$name:lock", 10)->get(), false);
    check('unlock', $lock->release(), true);
    foreach (['a', 'b', 'c'] as $entry) {
        check('cache, forget', $cache->forget("$name:$entry"), true);
    }
}

function loop(string $socket, string $name): callable
{
    return function (int $number) use ($socket): void {
        [$id] = page($socket, null, fn ($session) => $session->put('number', $number));
        tell("ack laravel_cache:$id");
        check('read', page($socket, $id, fn ($session) => $session->get('number'))[1], $number);
        if ($number % 10 === 9) {
            app($socket)['cache']->forget($id);
            tell("gone laravel_cache:$id");
        }
    };
}

preg_match("/VERSION = '(.*)'/", (string) file_get_contents("$folder/Foundation/Application.php"), $found);
main($argv, "$found[1], PHP " . PHP_VERSION, 'session', 'loop');
