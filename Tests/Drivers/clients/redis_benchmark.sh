#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# redis-benchmark -s: it stops at the first error reply or lost connection. See ../drivers.py.
set -uo pipefail
mode=$1 socket=$2 name=$3
command -v redis-benchmark >/dev/null || { echo "apt-get install redis-tools: no redis-benchmark" >&2; exit 77; }

bench() { redis-benchmark -s "$socket" --dbnum 1 -q "$@" 2>&1; }

# Its lines of progress end with carriage returns.
complaint() { tr '\r' '\n' | grep -v -e '^ *$' -e 'rps=' -e 'requests per second' -e 'WARNING: Could not fetch' | head -3 | tr '\n' ' '; }

session() {
  local found
  echo "version $(redis-benchmark --version | cut -d' ' -f2)"
  for options in "-c 20 -n 4000 -P 1" "-c 20 -n 20000 -P 16" "-3 -c 5 -n 1000"; do
    # shellcheck disable=SC2086 # These are several words.
    found=$(bench $options -t set,get,incr,hset,mset) || { complaint <<<"$found" >&2; exit 1; }
    found=$(complaint <<<"$found")
    [ -z "$found" ] || { echo "$options: $found" >&2; exit 1; }
  done
}

loop() {
  local found
  while [ ! -e "$1" ] && [ "$SECONDS" -lt 90 ]; do
    found=$(bench -c 8 -P 2 -n 2000 -r 10000 SETEX "loop:$name:__rand_int__" 600 value) \
      || echo "error $(complaint <<<"$found")"
    found=$(complaint <<<"$found")
    [ -z "$found" ] || echo "error $found"
    found=$(bench -c 8 -n 1000 -r 10000 GET "loop:$name:__rand_int__") || echo "error $(complaint <<<"$found")"
    echo "rounds 1"
    sleep 0.02
  done
}

case $mode in
  session) session ;;
  loop) loop "$4" ;;
esac
