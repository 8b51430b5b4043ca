# SPDX-License-Identifier: Apache-2.0
"""RQ: jobs put into a queue, and workers that work them off: transactions, Lua, blocking commands, pubsub."""
import logging
import sys

import session as common

try:
    import redis
    import rq
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    common.skip(f"pip install rq redis: {error}")

JOB = "rq_jobs.job"
sys.modules["rq_jobs"] = sys.modules["__main__"]  # A job is stored by its function's name.
client = redis.Redis.from_url(f"unix://{sys.argv[2]}?db=1", retry=Retry(NoBackoff(), 0))
complaints = common.Complaints("rq.worker", logging.WARNING)


def job(key, value):
    client.set(key, value, ex=600)
    return value


def work(queue, **options):
    return rq.SimpleWorker([queue], connection=client).work(**options)


def session(_, name):
    check, key = common.check, f"session:{name}"
    queue = rq.Queue(name, connection=client)
    jobs = [queue.enqueue(JOB, f"{key}:{number}", str(number)) for number in range(3)]
    check("waiting", queue.count, 3)
    check("worked", work(queue, burst=True), True)
    check("results", [done.return_value(refresh=True) for done in jobs], ["0", "1", "2"])
    check("written", [client.get(f"{key}:{number}") for number in range(3)], [b"0", b"1", b"2"])
    check("states", [done.get_status().value for done in jobs], ["finished"] * 3)
    check("no complaints", complaints.found, [])

    broken = queue.enqueue(JOB, key)
    work(queue, burst=True)
    check("its state", broken.get_status().value, "failed")
    check("failed", queue.failed_job_registry.get_job_ids(), [broken.id])
    check("complained", len(complaints.found), 1)
    check("blocks in vain", work(queue, max_idle_time=1), False)
    queue.delete(delete_jobs=True)
    broken.delete()
    check("gone", (queue.count, client.exists(broken.key)), (0, 0))


def loop(_, name):
    queue = rq.Queue(name, connection=client)

    def one_round(number):
        """One job, again where the queue or the worker could not say whether it was done: it does no harm twice."""
        key, value = f"loop:{name}:{number}", str(number)
        for _ in range(3):
            try:
                queue.enqueue(JOB, key, value, job_id=f"{name}-{number}")
                work(queue, burst=True)
            except redis.ResponseError as error:
                if not common.documented(error):
                    raise
                yield f"unsure {error}"
            yield from complaints.words()
            if client.get(key) == value.encode():
                yield f"ack {key} {value}"
                return
        raise AssertionError(f"{key} is not done")
    return one_round


if __name__ == "__main__":
    common.main(rq.VERSION, session, loop)
