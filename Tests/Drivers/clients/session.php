<?php
// SPDX-License-Identifier: Apache-2.0
// What the PHP clients share: the two modes, and how results are told (see ../drivers.py).

error_reporting(E_ALL & ~E_DEPRECATED);
set_error_handler(function (int $level, string $text): bool {
    if (!(error_reporting() & $level)) {
        return false;
    }
    throw new RuntimeException($text); // A warning is an error that the app's user sees.
});

const COMPARE_AND_DELETE =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

// Past PHP's output layer, which would count as the page's first byte.
function tell(string $line): void
{
    fwrite(STDOUT, $line . "\n");
}

function skip(string $reason): never
{
    fwrite(STDERR, $reason . "\n");
    exit(77);
}

function check(string $what, mixed $found, mixed $expected): void
{
    if ($found !== $expected) {
        throw new RuntimeException($what . ': ' . var_export($found, true) . ' instead of ' . var_export($expected, true));
    }
}

function checkBetween(string $what, int $found, int $low, int $high): void
{
    if ($found < $low || $found > $high) {
        throw new RuntimeException("$what: $found is not in $low...$high");
    }
}

// Calls $round with 0, 1, ... until the file is there.
function runLoop(string $stopFile, callable $round): void
{
    $longest = 0.0;
    $deadline = microtime(true) + 90;
    for ($number = 0; microtime(true) < $deadline; $number++) {
        clearstatcache();
        if (file_exists($stopFile)) {
            break;
        }
        $began = microtime(true);
        try {
            $round($number);
        } catch (Throwable $error) {
            tell('error ' . get_class($error) . ' ' . strtr($error->getMessage(), "\n", ' '));
            usleep(50000);
        }
        $longest = max($longest, microtime(true) - $began);
        usleep(3000);
    }
    tell('longest ' . round($longest * 1000));
}

// Arguments: `session SOCKET NAME` or `loop SOCKET NAME STOPFILE`. $loop returns the function of one round.
function main(array $arguments, string $version, callable $session, callable $loop): void
{
    [, $mode, $socket, $name] = $arguments;
    if ($mode === 'loop') {
        runLoop($arguments[4], $loop($socket, $name));
        return;
    }
    tell("version $version");
    try {
        $session($socket, $name);
    } catch (Throwable $error) {
        fwrite(STDERR, get_class($error) . ': ' . $error->getMessage() . "\n");
        exit(1);
    }
}
