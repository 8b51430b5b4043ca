# SPDX-License-Identifier: Apache-2.0
"""Django: a Redis cache backend, and sessions in that cache. DRIVER_BACKEND is django (its own) or django_redis."""
import os
import sys

import session as common

try:
    import django
    from django.conf import settings
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    if OTHER := os.environ["DRIVER_BACKEND"] == "django_redis":
        import django_redis
except ImportError as error:
    common.skip(f"pip install Django redis django-redis: {error}")

WITHOUT_RETRY = {"retry": Retry(NoBackoff(), 0)}  # An error must show.
settings.configure(
    CACHES={"default": {
        "BACKEND": "django_redis.cache.RedisCache" if OTHER else "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"unix://{sys.argv[2]}?db=1",
        "OPTIONS": {"CONNECTION_POOL_KWARGS": WITHOUT_RETRY} if OTHER else WITHOUT_RETRY,
    }},
    INSTALLED_APPS=["django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SECRET_KEY="for tests",
    USE_TZ=True,
)
django.setup()
from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import cache  # noqa: E402


def session(_, name):
    check, key = common.check, f"session:{name}"
    cache.set(key, {"cart": [1]}, 60)
    check("cache, read", cache.get(key), {"cart": [1]})
    check("cache, touch", cache.touch(key, 120), True)
    check("cache, add to what is there", cache.add(key, "other", 60), False)
    cache.set_many({f"{key}:a": 1, f"{key}:b": 2}, 60)
    check("cache, many", cache.get_many([f"{key}:a", f"{key}:b"]), {f"{key}:a": 1, f"{key}:b": 2})
    check("cache, count", cache.incr(f"{key}:a"), 2)
    if OTHER:
        more_of_django_redis(key)
    cache.delete_many([key, f"{key}:a", f"{key}:b"])
    check("cache, gone", cache.get(key), None)

    store = SessionStore()
    store["user"] = "ann"
    store.save()
    again = SessionStore(store.session_key)
    check("session, read", again["user"], "ann")
    again["user"] = "bob"
    again.save()
    check("session, written", SessionStore(store.session_key)["user"], "bob")
    again.cycle_key()
    check("session, renamed", SessionStore(again.session_key)["user"], "bob")
    check("session, old name gone", SessionStore().exists(store.session_key), False)
    again.flush()
    check("session, gone", SessionStore().exists(again.session_key), False)


def more_of_django_redis(key):
    """What Django's own backend does not have: Lua, SCAN, hashes, locks."""
    check = common.check
    common.check_between("cache, TTL", cache.ttl(key), 61, 120)
    check("cache, persist", (cache.persist(key), cache.ttl(key)), (True, None))
    check("cache, by pattern", sorted(cache.iter_keys(f"{key}:*")), [f"{key}:a", f"{key}:b"])
    check("cache, hash", (cache.hset(f"{key}:hash", "a", 1), list(cache.hkeys(f"{key}:hash"))), (1, ["a"]))
    with cache.lock(f"{key}:lock", timeout=10):
        check("cache, locked", cache.lock(f"{key}:lock", timeout=10).acquire(blocking=False), False)
    check("cache, delete by pattern", cache.delete_pattern(f"{key}:*"), 3)
    check("cache, nothing left", list(cache.iter_keys(f"{key}:*")), [])


def loop(_, name):
    # Made before the kill: Django creates by SET NX, whose outcome can be unknown, and then says so.
    stores = [SessionStore() for _ in range(20)]
    for store in stores:
        store.save()

    def one_round(number):
        key = f"loop:{name}:{number}"
        cache.set(key, number, 600)
        yield f"ack :1:{key} {number}"
        common.check("read", cache.get(key), number)
        common.check("touch", cache.touch(key, 900), True)
        known = stores[number % len(stores)].session_key
        store = SessionStore(known)
        store["number"] = number
        store.save()
        common.check("session", SessionStore(known)["number"], number)
    return one_round


version = f"Django {django.__version__}"
common.main(f"{django_redis.__version__}, {version}" if OTHER else django.__version__, session, loop)
