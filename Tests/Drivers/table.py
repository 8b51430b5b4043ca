# SPDX-License-Identifier: Apache-2.0
"""Writes config/frameworks/TESTED.md from what the drivers did on plain Redis and through holdfastd."""
import os
import platform
import re
import subprocess

import topology

PATH = os.path.join(topology.PROJECT, "config", "frameworks", "TESTED.md")
INTRO = """\
# Tested clients and frameworks

Made by a test run, not by hand: `Tests/Drivers/run --table` writes this page. Each client does its session work on a
plain Redis' Unix socket and through Holdfast's, and then in a loop through Holdfast while the master is killed
(`kill -9`) under the load of a dozen of them at once. After the failover every write that a client was told is done is
looked for on the new master.

With {holdfast}, {redis} and three sentinels (`down-after-milliseconds` 1000),
on {system}, {cores} cores. The clients are those of the system's packages and of PyPI.

- **errors**: what an app's user would have seen. **lost**: acknowledged writes that the new master lacks.
- **in doubt**: answers `UNCERTAIN` and `EXECABORT`, and subscriptions that ended, on which the loop did what the README
  says. Only clients that use transactions, blocking commands and the like get them; Celery's and RQ's worker ends on
  them and is started again, as a supervisor does.
- **longest**: the longest round, of several commands each, with the failover in it. Celery's loop waits 5 s for the
  message about a result before it asks for the state, and 10 s before it gives a task up for lost (in doubt, and
  given out again).

"""
HEAD = ("client or framework", "version", "plain Redis", "through Holdfast",
        "master killed: rounds", "errors", "lost", "in doubt", "longest")


def write(plain, through):
    redis = _output(topology.server_program(), "redis-server", "--version")
    text = INTRO.format(
        holdfast=_output(topology.holdfastd_program(), "holdfastd", "--version"),
        redis=re.sub(r"^(\w+) server v=(\S+).*", r"\1 \2", redis), system=platform.freedesktop_os_release()["PRETTY_NAME"], cores=len(os.sched_getaffinity(0)))
    on_plain = {driver.name: driver for driver in plain}
    rows = [HEAD, ("---", "---", "---", "---", "--:", "--:", "--:", "--:", "--:")]
    rows += [_row(driver, on_plain.get(driver.name)) for driver in through if driver.name != "bad input"]
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"Written: {os.path.relpath(PATH, topology.PROJECT)}")


def _row(driver, on_plain):
    load = driver.load
    counts = [str(load[key]) for key in ("rounds", "errors", "lost", "unsure")] if load else ["—"] * 4
    longest = f"{load['longest']} ms" if load.get("longest") else "—"
    return (driver.name, driver.version or "—", _word(on_plain), _word(driver), *counts, longest)


def _word(driver):
    if driver is None:
        return "—"
    return "**fails**" if driver.failures else "skipped" if driver.skipped else "works"


def _output(program, *command):
    # Redis' program may have another file name: see topology.server_program().
    return subprocess.run(command, executable=program, capture_output=True, text=True, check=True).stdout.strip()
