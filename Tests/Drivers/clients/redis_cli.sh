#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# redis-cli -s. How results are told: see ../drivers.py.
set -uo pipefail
mode=$1 socket=$2 name=$3
command -v redis-cli >/dev/null || { echo "apt-get install redis-tools: no redis-cli" >&2; exit 77; }

cli() { redis-cli -s "$socket" -n 1 "$@" 2>&1; }

check() {
  local what=$1 expected=$2 found
  found=$(cli "${@:3}")
  [ "$found" = "$expected" ] && return
  echo "$what: '$found' instead of '$expected'" >&2
  exit 1
}

check_between() {
  local what=$1 low=$2 high=$3 found
  found=$(cli "${@:4}")
  [[ $found =~ ^[0-9]+$ ]] && [ "$found" -ge "$low" ] && [ "$found" -le "$high" ] && return
  echo "$what: '$found' is not in $low...$high" >&2
  exit 1
}

compare_and_delete="if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"

session() {
  local key=session:$name
  echo "version $(redis-cli --version | cut -d' ' -f2)"
  check create OK SETEX "$key" 60 cart=1
  check read cart=1 GET "$key"
  check "on database 1 only" "" -n 0 GET "$key"
  check_between TTL 1 60 TTL "$key"
  check touch 1 EXPIRE "$key" 120
  check_between "TTL after the touch" 61 120 TTL "$key"
  check write OK SET "$key" cart=2 EX 120
  check "read again" cart=2 GET "$key"
  check "RESP3" "a 1" -3 EVAL "return redis.call('hset', KEYS[1], 'a', 1) and 'a 1'" 1 "$key:hash"
  check "lock" OK SET "$key:lock" mine NX PX 10000
  check "lock twice" "" SET "$key:lock" other NX PX 10000
  check "unlock another's" 0 EVAL "$compare_and_delete" 1 "$key:lock" other
  check "unlock" 1 EVAL "$compare_and_delete" 1 "$key:lock" mine
  local found
  found=$(printf 'MULTI\nSETEX %s:n 60 4\nINCR %s:n\nEXEC\n' "$key" "$key" | cli | tr '\n' ' ')
  [ "$found" = "OK QUEUED QUEUED OK 5 " ] || { echo "transaction: '$found'" >&2; exit 1; }
  found=$(printf 'GET %s\nPING\nTTL nothing\n' "$key" | cli --pipe 2>&1 | tail -1)
  [ "$found" = "errors: 0, replies: 3" ] || { echo "--pipe: '$found'" >&2; exit 1; }
  found=$(cli LPUSH "$key" x)
  [[ $found == *WRONGTYPE* ]] || { echo "wrong type: '$found'" >&2; exit 1; }
  check delete 3 DEL "$key" "$key:hash" "$key:n"
  check gone "" GET "$key"
  check "gone, its TTL" -2 TTL "$key"
}

# A new process and connection for each command.
loop() {
  local stop_file=$1 number=0 key found began longest=0 took
  while [ ! -e "$stop_file" ] && [ "$SECONDS" -lt 90 ]; do
    key=loop:$name:$number began=${EPOCHREALTIME/./}
    found=$(cli SETEX "$key" 600 "$name-$number")
    if [ "$found" = OK ]; then echo "ack $key $name-$number"; else echo "error write: ${found//$'\n'/ }"; fi
    found=$(cli GET "$key")
    [ "$found" = "$name-$number" ] || echo "error read: ${found//$'\n'/ }"
    if [ $((number % 10)) -eq 9 ]; then
      found=$(cli DEL "loop:$name:$((number - 5))")
      if [[ $found == [01] ]]; then
        echo "gone loop:$name:$((number - 5))"
      else
        echo "error delete: ${found//$'\n'/ }"
      fi
    fi
    took=$((${EPOCHREALTIME/./} - began)) number=$((number + 1))
    [ "$took" -gt "$longest" ] && longest=$took
    sleep 0.02
  done
  echo "longest $((longest / 1000))"
}

case $mode in
  session) session ;;
  loop) loop "$4" ;;
esac
