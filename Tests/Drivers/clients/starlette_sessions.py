# SPDX-License-Identifier: Apache-2.0
"""starsessions with its Redis store: Starlette's sessions, through Starlette's test client. redis-py's asyncio."""
import importlib.metadata
import sys

import session as common

try:
    import redis.asyncio
    from redis.backoff import NoBackoff
    from redis.asyncio.retry import Retry
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient
    from starsessions import SessionAutoloadMiddleware, SessionMiddleware, get_session_id, regenerate_session_id
    from starsessions.stores.redis import RedisStore
except ImportError as error:
    common.skip(f"pip install starsessions starlette httpx2 redis: {error}")

store = redis.asyncio.Redis.from_url(f"unix://{sys.argv[2]}?db=1", retry=Retry(NoBackoff(), 0))


async def put(request):
    request.session["number"] = request.path_params["number"]
    return PlainTextResponse(get_session_id(request) or regenerate_session_id(request))


async def get(request):
    return PlainTextResponse(str(request.session.get("number")))


async def end(request):
    request.session.clear()
    return PlainTextResponse("ended")


app = Starlette(
    routes=[Route("/put/{number:int}", put), Route("/get", get), Route("/end", end)],
    middleware=[Middleware(SessionMiddleware, store=RedisStore(connection=store, prefix="star:"), lifetime=600),
                Middleware(SessionAutoloadMiddleware)])


def browser():
    # Entered once: the requests then share an event loop, as a server's do, and so can share the connections.
    return TestClient(app, base_url="https://testserver").__enter__()


def session(_, name):
    visitor, check = browser(), common.check
    key = "star:" + visitor.get("/put/1").text
    check("read", visitor.get("/get").text, "1")
    common.check_between("TTL", visitor.portal.call(store.ttl, key), 1, 600)
    visitor.get("/put/2")
    check("written", visitor.get("/get").text, "2")
    cookies = dict(visitor.cookies)
    visitor.cookies.clear()
    check("another visitor", visitor.get("/get").text, "None")
    visitor.cookies.update(cookies)
    visitor.get("/end")
    check("gone", visitor.portal.call(store.exists, key), 0)
    check("ended", visitor.get("/get").text, "None")


def loop(_, name):
    visitor = browser()

    def one_round(number):
        visitor.cookies.clear()
        key = "star:" + visitor.get(f"/put/{number}").text
        yield f"ack {key}"
        common.check("read", visitor.get("/get").text, str(number))
        if number % 10 == 9:
            visitor.get("/end")
            yield f"gone {key}"
    return one_round


version = importlib.metadata.version
common.main(f"{version('starsessions')}, Starlette {version('starlette')}", session, loop)
