# SPDX-License-Identifier: Apache-2.0
"""Runs every client against one holdfastd: a session's work each, then all of them while the master is killed.

    python3 drivers.py [--plain] [NAME ...]

--plain   against a Redis' own Unix socket, without the kill: shows that the tests themselves are right
NAME      only drivers whose name contains it

A client's program is called in two ways, and tells its results on standard output, line by line:

    PROGRAM session SOCKET NAME            version TEXT; exit 0, or 1 with the reason on standard error,
                                           or 77 with what is missing
    PROGRAM loop SOCKET NAME STOPFILE      until the file is there. ack KEY [VALUE]: a write was acknowledged;
                                           gone KEY: a delete was; error TEXT: what an app's user would see;
                                           longest MILLISECONDS: of a whole round
"""
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import resp
import topology

HERE = os.path.dirname(os.path.abspath(__file__))
SESSION_SECONDS = 60
BAD_INPUT_SECONDS = 90
WARM_UP_SECONDS = 2.0  # of load before the kill
AFTERWARDS_SECONDS = 2.0  # of load after all sentinels have agreed
ROUNDS_MIN = 20


@dataclass
class Driver:
    name: str
    command: list
    environment: dict = field(default_factory=dict)
    seconds: int = SESSION_SECONDS
    loops: bool = True
    version: str = ""
    failures: list = field(default_factory=list)
    skipped: str = ""
    notes: list = field(default_factory=list)
    process: subprocess.Popen = None
    output: str = ""

    def key(self):
        return self.name.replace(" ", "-").replace(",", "")

    def arguments(self, mode, *others):
        return [self.command[0], os.path.join(HERE, self.command[1]), mode, *others]


def readme(language, **environment):
    """The README's own example in this language."""
    return Driver(f"README, {language}", [sys.executable, "clients/readme.py"],
                  {"README_LANGUAGE": language, **environment}, loops=False)


def redis_py(protocol, parser):
    return Driver(f"redis-py, RESP{protocol}, {parser}", [sys.executable, "clients/redis_py.py"],
                  {"DRIVER_PROTOCOL": str(protocol), "DRIVER_PARSER": parser})


DRIVERS = [
    Driver("redis-cli", ["bash", "clients/redis_cli.sh"]),
    Driver("redis-benchmark", ["bash", "clients/redis_benchmark.sh"]),
    *[redis_py(protocol, parser) for protocol in (2, 3) for parser in ("python", "hiredis")],
    Driver("Django", [sys.executable, "clients/django_sessions.py"]),
    Driver("Flask-Session", [sys.executable, "clients/flask_sessions.py"]),
    Driver("phpredis", ["php", "clients/phpredis.php"]),
    Driver("phpredis sessions", ["php", "clients/phpredis_sessions.php"]),
    Driver("predis", ["php", "clients/predis.php"]),
    Driver("node-redis", ["node", "clients/node_redis.js"], {"NODE_PATH": "/usr/share/nodejs"}),
    Driver("ruby-redis", ["ruby", "clients/ruby_redis.rb"]),
    readme("php"),
    readme("js", NODE_PATH="/usr/share/nodejs"),
    readme("python"),
    readme("ruby"),
]
# Hardly a driver, and alone with the daemon: it may wear it out.
BAD_INPUT = Driver("bad input", [sys.executable, "bad_input.py"], {}, BAD_INPUT_SECONDS, loops=False)


def start(driver, arguments, output):
    environment = {**os.environ, **driver.environment, "PYTHONDONTWRITEBYTECODE": "1"}
    driver.process = subprocess.Popen(arguments, env=environment, stdin=subprocess.DEVNULL,
                                      stdout=output, stderr=subprocess.PIPE, text=True, errors="replace")


def finish(driver, seconds):
    """Waits for it to end and returns its complaint and exit status; ends it where it takes too long."""
    try:
        _, complaint = driver.process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        driver.process.kill()
        driver.process.communicate()
        return f"not done within {seconds:g} s", 1
    lines = complaint.strip().splitlines()
    if driver is not BAD_INPUT:  # That one has a line for each failure; the others end with a stack trace.
        lines = ([line for line in lines if "Error" in line] or lines)[-1:]
    return " / ".join(lines), driver.process.returncode


def run_session(driver, socket):
    path = os.path.join(os.path.dirname(socket), driver.key() + ".session")
    with open(path, "w+", encoding="utf-8", errors="replace") as output:
        try:
            start(driver, driver.arguments("session", socket, driver.key()), output)
        except FileNotFoundError:
            driver.skipped = f"no {driver.command[0]} in PATH"
            return
        complaint, status = finish(driver, driver.seconds)
        output.seek(0)
        for word, _, rest in (line.rstrip("\n").partition(" ") for line in output):
            if word == "version":
                driver.version = rest
            elif word == "note":
                driver.notes.append(rest)
    if status == 77:
        driver.skipped = complaint
    elif status != 0:
        driver.failures.append(complaint or f"exit status {status}")


def under_load(drivers, lab):
    """Starts all loops, kills the master, lets the loops go on for a while; returns their output files."""
    stop_file, files = os.path.join(lab.folder, "stop"), {}
    for driver in drivers:
        path = os.path.join(lab.folder, driver.key() + ".loop")
        files[driver.name] = path
        with open(path, "w", encoding="utf-8") as output:
            start(driver, driver.arguments("loop", lab.socket, driver.key(), stop_file), output)
    # The slowest starts are those of the interpreters; each must have done something before the kill.
    topology.wait_until("each driver at work", lambda: all(
        d.name == "redis-benchmark" or os.path.getsize(files[d.name]) > 200 or d.process.poll() is not None
        for d in drivers), 30.0)
    time.sleep(WARM_UP_SECONDS)
    address = lab.master_address()
    try:
        if not lab.plain:
            lab.kill_master()
            began = time.monotonic()
            address = lab.wait_for_new_master()
            print(f"   all sentinels name the new master {time.monotonic() - began:.1f} s after the kill")
        time.sleep(AFTERWARDS_SECONDS)
    finally:
        with open(stop_file, "w", encoding="ascii"):
            pass
        for driver in drivers:
            complaint, status = finish(driver, 30)
            if status != 0:
                driver.failures.append(f"under load: {complaint or f'exit status {status}'}")
    return files, address


def judge(driver, path, address):
    """Errors that the client saw, and acknowledged writes that the data lacks."""
    expected, errors, rounds, longest = {}, [], 0, 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for word, _, rest in (line.rstrip("\n").partition(" ") for line in file):
            if word == "ack":
                key, _, value = rest.partition(" ")
                expected[key] = value.encode() or True
                rounds += 1
            elif word == "gone":
                expected[rest] = None
            elif word == "error":
                errors.append(rest)
            elif word == "rounds":
                rounds += int(rest)
            elif word == "longest":
                longest = int(rest)
    if errors:
        driver.failures.append(f"{len(errors)} errors during the failover, the first: {errors[0][:300]}")
    if rounds < (ROUNDS_MIN if expected else 1):
        driver.failures.append(f"only {rounds} rounds under load")
    lost = missing(expected, address)
    if lost:
        driver.failures.append(
            f"{len(lost)} of {len(expected)} acknowledged writes are not there, the first: {lost[0]}")
    driver.notes.append(f"{rounds} rounds" + (f", longest {longest} ms" if longest else ""))


def missing(expected, address):
    keys, lost = list(expected), []
    with resp.Connection(address, database=1) as connection:
        for first in range(0, len(keys), 500):
            chunk = keys[first:first + 500]
            replies = connection.pipeline([command for key in chunk
                                           for command in (("GET", key), ("TTL", key))])
            for key, value, ttl in zip(chunk, replies[::2], replies[1::2]):
                if expected[key] is True:
                    right = value is not None
                else:
                    right = value == expected[key]
                if not right:
                    lost.append(f"{key} is {value!r}")
                elif value is not None and ttl <= 0:
                    lost.append(f"{key} has no TTL")
    return lost


def report(driver):
    result, reason = "PASS", "; ".join(driver.notes)
    if driver.failures:
        result, reason = "FAIL", "; ".join(driver.failures + driver.notes)
    elif driver.skipped:
        result, reason = "SKIPPED", driver.skipped
    print(f"{result:8}{driver.name:26}{driver.version or '-':34}{reason}", flush=True)
    return result


def main():
    names = [a for a in sys.argv[1:] if a != "--plain"]
    chosen = [d for d in DRIVERS + [BAD_INPUT] if not names or any(n in d.name for n in names)]
    lab = topology.Topology(plain="--plain" in sys.argv[1:])
    try:
        lab.start()
    except topology.Missing as missing_program:
        print(f"SKIPPED: {missing_program}")
        return 77 if os.environ.get("CI") != "true" else 1
    except RuntimeError as error:
        print(f"FAIL: the topology did not start: {error}\n{lab.log_of('holdfastd') if lab.front else ''}")
        return 1
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda driver: run_session(driver, lab.socket), [d for d in chosen if d.loops]))
    print(f"   sessions done in {time.monotonic() - began:.1f} s")
    for driver in chosen:
        if not driver.loops:
            driver.environment["DRIVER_SERVER_PID"] = str(lab.front.pid)
            driver.environment["DRIVER_PLAIN"] = "1" if lab.plain else ""
            run_session(driver, lab.socket)
    print(f"   bad input done in {time.monotonic() - began:.1f} s")
    if lab.front.poll() is None:
        kill_phase([d for d in chosen if d.loops and not d.skipped], lab)
    results = [report(driver) for driver in chosen]
    if lab.front.poll() is not None:
        print(f"FAIL    the server ended by itself, status {lab.front.returncode}:\n{lab.log_of('holdfastd')}")
        results.append("FAIL")
    counts = {word: results.count(word) for word in ("PASS", "FAIL", "SKIPPED")}
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIPPED']} skipped")
    strict = os.environ.get("CI") == "true"
    return 1 if counts["FAIL"] or not counts["PASS"] or (strict and counts["SKIPPED"]) else 0


def kill_phase(drivers, lab):
    if not drivers:
        return
    try:
        files, address = under_load(drivers, lab)
        for driver in drivers:
            judge(driver, files[driver.name], address)
    except (RuntimeError, OSError) as error:
        for driver in drivers:
            driver.failures.append(f"under load: {error}")


if __name__ == "__main__":
    sys.exit(main())
