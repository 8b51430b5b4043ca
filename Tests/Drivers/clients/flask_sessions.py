# SPDX-License-Identifier: Apache-2.0
"""Flask-Session with its Redis backend, through Flask's test client."""
import importlib.metadata
import sys
import warnings

import session as common

try:
    import flask
    import flask_session
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    common.skip(f"pip install Flask-Session redis: {error}")

warnings.simplefilter("ignore", DeprecationWarning)
store = redis.Redis.from_url(f"unix://{sys.argv[2]}?db=1", retry=Retry(NoBackoff(), 0))
app = flask.Flask(__name__)
app.testing = True  # Exceptions reach the caller.
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=store, SESSION_KEY_PREFIX="flask:",
                  PERMANENT_SESSION_LIFETIME=600)
flask_session.Session(app)


@app.get("/put/<int:number>")
def put(number):
    flask.session["number"] = number
    return flask.session.sid


@app.get("/get")
def get():
    return str(flask.session.get("number"))


@app.get("/end")
def end():
    flask.session.clear()
    return "ended"


def session(_, name):
    check, browser = common.check, app.test_client()
    key = "flask:" + browser.get("/put/1").text
    check("read", browser.get("/get").text, "1")
    common.check_between("TTL", store.ttl(key), 1, 600)
    browser.get("/put/2")
    check("written", browser.get("/get").text, "2")
    check("another browser", app.test_client().get("/get").text, "None")
    browser.get("/end")
    check("gone", store.exists(key), 0)
    check("ended", browser.get("/get").text, "None")


def loop(_, name):
    def one_round(number):
        browser = app.test_client()
        key = "flask:" + browser.get(f"/put/{number}").text
        yield f"ack {key}"
        common.check("read", browser.get("/get").text, str(number))
        if number % 10 == 9:
            browser.get("/end")
            yield f"gone {key}"
    return one_round


common.main(importlib.metadata.version("flask-session"), session, loop)
