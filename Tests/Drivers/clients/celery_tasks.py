# SPDX-License-Identifier: Apache-2.0
"""Celery: tasks and their results, by a worker of its own in a thread: kombu's Redis transport and result backend."""
import logging
import sys
import threading

import session as common

try:
    import celery
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    common.skip(f"pip install celery redis: {error}")

complaints = common.Complaints("celery", logging.ERROR)
ADDRESS, NAME = f"redis+socket://{sys.argv[2]}?virtual_host=1", f"{sys.argv[3]}-{sys.argv[1]}"
client = redis.Redis.from_url(f"unix://{sys.argv[2]}?db=1", retry=Retry(NoBackoff(), 0))
app = celery.Celery(NAME, broker=ADDRESS, backend=ADDRESS)
app.conf.update(task_default_queue=NAME, result_expires=600, broker_connection_retry_on_startup=True,
                worker_hijack_root_logger=False)
app.set_default()  # In the worker's thread too.


@app.task
def write(key, value):
    client.set(key, value, ex=600)
    return value


@app.task(throws=KeyError)
def fail():
    raise KeyError("as it should")


def work():
    """As under a supervisor: a worker that stops is started again."""
    while True:
        app.WorkController(pool="solo", hostname=f"{NAME}@localhost", without_mingle=True, without_gossip=True,
                           without_heartbeat=True).start()


def result(started, timeout=25, **options):
    # The worker is in this process, so that Celery takes this for a task.
    return started.get(timeout=timeout, disable_sync_subtasks=False, **options)


def wait_for(started):
    """Waits for the message that it is done, and returns what got lost instead, if something did."""
    for _ in range(2):
        try:
            result(started, timeout=5)
            return None
        except celery.exceptions.TimeoutError:
            if started.state == "SUCCESS":
                return "a result's message got lost with its subscription"
    return f"a task got lost with the answer to its BRPOP, {client.llen(NAME)} are left in the queue"


def session(_, name):
    key = f"session:{name}"
    results = [write.delay(f"{key}:{number}", str(number)) for number in range(5)]
    common.check("results", [result(one) for one in results], list("01234"))
    common.check("written", client.get(f"{key}:4"), b"4")
    common.check("state", results[0].state, "SUCCESS")
    results[0].forget()
    common.check("failed", type(result(fail.delay(), propagate=False)), KeyError)
    common.check("no complaints", complaints.found, [])


def loop(_, name):
    def one_round(number):
        """One task, again where it is open whether it was done: it does no harm twice."""
        key = f"loop:{name}:{number}"
        for _ in range(3):
            try:
                if lost := wait_for(write.delay(key, str(number))):
                    yield f"unsure {lost}"
            except redis.ResponseError as error:
                if not common.documented(error):
                    raise
                yield f"unsure {error}"
            yield from complaints.words()
            if client.get(key) == str(number).encode():
                yield f"ack {key} {number}"
                return
        raise AssertionError(f"{key} is not done")
    return one_round


threading.Thread(target=work, daemon=True).start()
common.main(celery.__version__, session, loop)
