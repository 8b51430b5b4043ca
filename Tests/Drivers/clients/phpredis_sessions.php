<?php
// SPDX-License-Identifier: Apache-2.0
// PHP's own sessions through phpredis: session.save_handler=redis. Every session_start() is a new connection,
// as every page is. With DRIVER_LOCKING=1 the loop's pages lock their sessions.

require __DIR__ . '/session.php';
if (!extension_loaded('redis')) {
    skip('apt-get install php-cli php-redis: the extension redis is not loaded');
}

function configure(string $socket): void
{
    foreach ([
        'session.save_handler' => 'redis',
        'session.save_path' => "unix://$socket?database=1&timeout=2&read_timeout=20",
        'session.gc_maxlifetime' => '600',
        'session.lazy_write' => '1', // An unchanged session is touched, not written.
        'redis.session.locking_enabled' => getenv('DRIVER_LOCKING') ?: '0',
        // phpredis' own wait is 20 ms; a lock whose answer was lost is free again once it expires.
        'redis.session.lock_retries' => '2000',
        'redis.session.lock_wait_time' => '10000',
        'redis.session.lock_expire' => '10',
        // There is no browser here.
        'session.use_cookies' => '0',
        'session.use_only_cookies' => '0',
        'session.cache_limiter' => '',
    ] as $setting => $value) {
        check("the setting $setting", ini_set($setting, $value) !== false, true);
    }
}

// One page: $work gets $_SESSION. What it returns is the page's result.
function page(string $id, callable $work): mixed
{
    session_id($id);
    try {
        check('session_start', session_start(), true);
        $result = $work();
        check('session_write_close', session_status() !== PHP_SESSION_ACTIVE || session_write_close(), true);
        return $result;
    } finally {
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_abort(); // As the end of a failed page does.
        }
        $_SESSION = [];
    }
}

function session(string $socket, string $name): void
{
    configure($socket);
    $client = new Redis();
    $client->connect($socket);
    $client->select(1);
    foreach (['0', '1'] as $locking) {
        ini_set('redis.session.locking_enabled', $locking);
        $id = bin2hex(random_bytes(16));
        $key = "PHPREDIS_SESSION:$id";
        page($id, fn () => $_SESSION['user'] = 'ann');
        check('read', page($id, fn () => $_SESSION['user']), 'ann');
        checkBetween('TTL', $client->ttl($key), 1, 600);
        $client->expire($key, 100);
        check('unchanged', page($id, fn () => $_SESSION['user']), 'ann');
        checkBetween('TTL after the touch', $client->ttl($key), 101, 600);
        page($id, fn () => $_SESSION['user'] = 'bob');
        check('written', page($id, fn () => $_SESSION['user']), 'bob');
        check('locked only meanwhile', $client->exists("{$key}_LOCK"), 0);
        page($id, fn () => session_destroy());
        check('gone', $client->exists($key), 0);
        check('empty afterwards', page($id, fn () => $_SESSION), []);
        $client->del($key);
    }
}

function visit(int $number): void
{
    $id = bin2hex(random_bytes(16));
    page($id, fn () => $_SESSION['n'] = $number);
    tell("ack PHPREDIS_SESSION:$id n|i:$number;");
    check('read', page($id, fn () => $_SESSION['n'] ?? null), $number);
    if ($number % 10 === 9) {
        page($id, fn () => session_destroy());
        tell("gone PHPREDIS_SESSION:$id");
    }
}

function loop(string $socket, string $name): callable
{
    configure($socket);
    return function (int $number): void {
        try {
            visit($number);
        } catch (RedisException $error) {
            // A lock is taken by SET NX and given back by a script: neither is sent again. The visitor comes again.
            if (!getenv('DRIVER_LOCKING') || !str_starts_with($error->getMessage(), 'UNCERTAIN')) {
                throw $error;
            }
            tell("unsure {$error->getTrace()[0]['function']}: {$error->getMessage()}");
            visit($number);
        }
    };
}

main($argv, phpversion('redis') . ', PHP ' . PHP_VERSION, 'session', 'loop');
