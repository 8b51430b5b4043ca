# SPDX-License-Identifier: Apache-2.0
"""redis-py. DRIVER_PROTOCOL is 2 or 3, DRIVER_PARSER python or hiredis. With DRIVER_TLS=1 over TCP with TLS and a
password (see ../topology.py) and not over the socket."""
import os
import sys

import session as common

protocol, parser = os.environ["DRIVER_PROTOCOL"], os.environ["DRIVER_PARSER"]
over_tls = bool(os.environ.get("DRIVER_TLS"))
if parser == "python":
    sys.modules["hiredis"] = None  # As if it were not installed.
try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    if parser == "hiredis":
        import hiredis
except ImportError as error:
    common.skip(f"pip install redis hiredis: {error}")

COMPARE_AND_DELETE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end
"""


if over_tls and "DRIVER_TLS_PORT" not in os.environ:
    common.skip("the server does not listen with TLS: holdfastd does not know tcp.address, or HOLDFAST_DRIVERS_TCP=0")


def connect(socket, database=1, password=None):
    address = {"unix_socket_path": socket}
    if over_tls:
        with open(os.environ["DRIVER_TLS_PASSWORD"], encoding="ascii") as file:
            right = file.read().strip()
        address = {"host": "127.0.0.1", "port": int(os.environ["DRIVER_TLS_PORT"]), "ssl": True,
                   "ssl_ca_certs": os.environ["DRIVER_TLS_CERTIFICATE"], "password": password or right}
    # No retries of its own: an error must show.
    return redis.Redis(**address, db=database, protocol=int(protocol), retry=Retry(NoBackoff(), 0))


def check_password(socket):
    """holdfastd lets nobody in with another password. A plain Redis without one of its own takes any."""
    try:
        connect(socket, password="wrong").ping()
        raise AssertionError("a wrong password went through")
    except redis.AuthenticationError:
        pass


def session(socket, name):
    client, key = connect(socket), f"session:{name}"
    greeting = client.execute_command("HELLO")
    if isinstance(greeting, list):
        greeting = dict(zip(greeting[::2], greeting[1::2]))
    check, value = common.check, b"cart=1\r\n\0" + b"x" * 100_000
    check("protocol", greeting.get(b"proto", greeting.get("proto")), int(protocol))
    if over_tls and not os.environ["DRIVER_PLAIN"]:
        check_password(socket)
    check("create", client.setex(key, 60, value), True)
    check("read", client.get(key), value)
    check("on database 1 only", connect(socket, 0).get(key), None)
    common.check_between("TTL", client.ttl(key), 1, 60)
    check("touch", client.expire(key, 120), True)
    common.check_between("TTL after the touch", client.ttl(key), 61, 120)
    check("write", client.set(key, "cart=2", ex=120), True)
    check("read again", client.get(key), b"cart=2")

    check("lock", client.set(f"{key}:lock", "mine", nx=True, px=10_000), True)
    check("lock twice", client.set(f"{key}:lock", "other", nx=True, px=10_000), None)
    check("unlock another's", client.eval(COMPARE_AND_DELETE, 1, f"{key}:lock", "other"), 0)
    check("unlock", client.eval(COMPARE_AND_DELETE, 1, f"{key}:lock", "mine"), 1)
    script = client.register_script(COMPARE_AND_DELETE)
    check("EVALSHA", script(keys=[f"{key}:lock"], args=["mine"]), 0)
    with client.lock(f"{key}:lock", timeout=10):
        check("redis-py's lock", client.exists(f"{key}:lock"), 1)
    check("redis-py's lock, released", client.exists(f"{key}:lock"), 0)

    pipeline = client.pipeline(transaction=False)
    pipeline.get(key).ttl(key).hset(f"{key}:hash", mapping={"a": "1"}).hgetall(f"{key}:hash")
    replies = pipeline.execute()
    check("pipeline", [replies[0], *replies[2:]], [b"cart=2", 1, {b"a": b"1"}])

    transaction = client.pipeline(transaction=True)
    transaction.set(f"{key}:n", 4, ex=60).incr(f"{key}:n").get(f"{key}:n")
    check("transaction", transaction.execute(), [True, 5, b"5"])
    watching = client.pipeline()
    watching.watch(f"{key}:n")
    client.incr(f"{key}:n")
    watching.multi()
    watching.set(f"{key}:n", 0)
    try:
        watching.execute()
        raise AssertionError("a transaction went through although its watched key had changed")
    except redis.WatchError:
        pass

    subscriber = client.pubsub()
    subscriber.subscribe(f"{key}:news")
    check("subscribed", subscriber.get_message(timeout=5)["type"], "subscribe")
    client.publish(f"{key}:news", "hello")
    check("message", (subscriber.get_message(timeout=5) or {}).get("data"), b"hello")
    subscriber.close()

    try:
        client.lpush(key, "x")
        raise AssertionError("LPUSH on a string went through")
    except redis.ResponseError as error:
        check("wrong type", str(error).split()[0], "WRONGTYPE")
    check("delete", client.delete(key, f"{key}:hash", f"{key}:n"), 3)
    check("gone", (client.get(key), client.ttl(key)), (None, -2))


def loop(socket, name):
    client = connect(socket)

    def one_round(number):
        key, value = f"loop:{name}:{number}", f"{name}-{number}"
        client.setex(key, 600, value)
        yield f"ack {key} {value}"
        common.check("read", client.get(key), value.encode())
        common.check("touch", client.expire(key, 900), True)
        if number % 10 == 9:
            client.delete(f"loop:{name}:{number - 5}")
            yield f"gone loop:{name}:{number - 5}"
    return one_round


version = redis.__version__
common.main(f"{version}, hiredis {hiredis.__version__}" if parser == "hiredis" else version, session, loop)
