# SPDX-License-Identifier: Apache-2.0
"""Runs every client against one holdfastd: a session's work each, then all of them while the master is killed.

    python3 drivers.py [--plain | --table] [NAME ...]

--plain   against a Redis' own Unix socket, without the kill: shows that the tests themselves are right
--table   both, and writes what came of it into config/frameworks/TESTED.md
NAME      only drivers whose name contains it

A client's program is called in two ways, and tells its results on standard output, line by line:

    PROGRAM session SOCKET NAME            version TEXT; exit 0, or 1 with the reason on standard error,
                                           or 77 with what is missing
    PROGRAM loop SOCKET NAME STOPFILE      until the file is there. ack KEY [VALUE]: a write was acknowledged;
                                           gone KEY: a delete was; error TEXT: what an app's user would see;
                                           unsure TEXT: UNCERTAIN, EXECABORT or a subscription's end, and
                                           the client did what the README says about it;
                                           longest MILLISECONDS: of a whole round
"""
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import resp
import table
import topology

HERE = os.path.dirname(os.path.abspath(__file__))
SESSION_SECONDS = 60
BAD_INPUT_SECONDS = 90
WARM_UP_SECONDS = 2.0  # of load before the kill
AFTERWARDS_SECONDS = 2.0  # of load after all sentinels have agreed
ROUNDS_MIN = 20
LOOPS_AT_ONCE = 12  # What two cores carry; more go in groups, each with its own master to kill.


@dataclass
class Driver:
    name: str
    command: list
    environment: dict = field(default_factory=dict)
    seconds: int = SESSION_SECONDS
    loops: bool = True
    needs_holdfastd: bool = False
    version: str = ""
    failures: list = field(default_factory=list)
    skipped: str = ""
    notes: list = field(default_factory=list)
    load: dict = field(default_factory=dict)  # What the loop under the kill counted.
    process: subprocess.Popen = None
    output: str = ""

    def key(self):
        return self.name.replace(" ", "-").replace(",", "").replace("'", "")

    def arguments(self, mode, *others):
        return [self.command[0], os.path.join(HERE, self.command[1]), mode, *others]


def readme(language, **environment):
    """The README's own example in this language."""
    return Driver(f"README, {language}", [sys.executable, "clients/readme.py"],
                  {"README_LANGUAGE": language, **environment}, loops=False, needs_holdfastd=True)


def python(name, program, **environment):
    return Driver(name, [sys.executable, f"clients/{program}.py"], environment)


def php(name, program, **environment):
    return Driver(name, ["php", f"clients/{program}.php"], environment)


def redis_py(protocol, parser, name="redis-py", **environment):
    return python(f"{name}, RESP{protocol}, {parser}", "redis_py",
                  DRIVER_PROTOCOL=str(protocol), DRIVER_PARSER=parser, **environment)


def all_drivers():
    node = {"NODE_PATH": "/usr/share/nodejs"}
    return [
        Driver("redis-cli", ["bash", "clients/redis_cli.sh"]),
        Driver("redis-benchmark", ["bash", "clients/redis_benchmark.sh"]),
        *[redis_py(protocol, parser) for protocol in (2, 3) for parser in ("python", "hiredis")],
        redis_py(3, "python", "redis-py over TLS", DRIVER_TLS="1"),
        python("Django", "django_sessions", DRIVER_BACKEND="django"),
        python("django-redis", "django_sessions", DRIVER_BACKEND="django_redis"),
        python("Flask-Session", "flask_sessions"),
        python("starsessions", "starlette_sessions"),
        python("RQ", "rq_jobs"),
        python("Celery", "celery_tasks"),
        php("phpredis", "phpredis"),
        php("phpredis sessions", "phpredis_sessions"),
        php("phpredis sessions, locking", "phpredis_sessions", DRIVER_LOCKING="1"),
        php("predis", "predis"),
        php("Laravel, phpredis", "laravel", DRIVER_CLIENT="phpredis"),
        php("Laravel, predis", "laravel", DRIVER_CLIENT="predis"),
        php("Symfony, phpredis", "symfony"),
        Driver("node-redis", ["node", "clients/node_redis.js"], node),
        Driver("ruby-redis", ["ruby", "clients/ruby_redis.rb"]),
        Driver("redis-rack", ["ruby", "clients/redis_rack.rb"]),
        Driver("Go, redigo", ["bash", "clients/redigo.sh"], seconds=120),  # It is built first.
        Driver("Perl's Redis", ["perl", "clients/perl_redis.pl"]),
        readme("php"),
        readme("js", **node),
        readme("python"),
        readme("ruby"),
        # Hardly a driver, and alone with the daemon: it may wear it out.
        Driver("bad input", [sys.executable, "bad_input.py"], {}, BAD_INPUT_SECONDS, loops=False),
    ]


def start(driver, arguments, output, lab):
    environment = {**os.environ, **driver.environment, **lab.environment(), "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTHONUNBUFFERED": "1"}
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
    if driver.name != "bad input":  # That one has a line for each failure; the others end with a stack trace.
        lines = ([line for line in lines if "Error" in line] or lines)[-1:]
    return " / ".join(lines), driver.process.returncode


def run_session(driver, lab):
    path = os.path.join(lab.folder, driver.key() + ".session")
    with open(path, "w+", encoding="utf-8", errors="replace") as output:
        try:
            start(driver, driver.arguments("session", lab.socket, driver.key()), output, lab)
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
            start(driver, driver.arguments("loop", lab.socket, driver.key(), stop_file), output, lab)
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
    if not lab.plain and (last := lab.wait_for_new_master()) != address:
        print(f"   then they named another one: {address[1]}, now {last[1]}")
        address = last
    return files, address


def judge(driver, path, address, killed):
    """Errors that the client saw, and acknowledged writes that the data lacks."""
    expected, errors, unsure, rounds, longest = {}, [], [], 0, 0
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
            elif word == "unsure":
                unsure.append(rest)
            elif word == "rounds":
                rounds += int(rest)
            elif word == "longest":
                longest = int(rest)
    if not killed:
        errors, unsure = errors + unsure, []  # There was nothing to be unsure about.
    if errors:
        driver.failures.append(f"{len(errors)} errors during the failover, the first: {errors[0][:300]}")
    if rounds < (ROUNDS_MIN if expected else 1):
        driver.failures.append(f"only {rounds} rounds under load")
    lost = missing(expected, address)
    if lost:
        driver.failures.append(
            f"{len(lost)} of {len(expected)} acknowledged writes are not there, the first: {lost[0]}")
    driver.notes.append(f"{rounds} rounds" + (f", longest {longest} ms" if longest else "")
                        + (f", {len(unsure)} unsure, the first: {unsure[0][:100]}" if unsure else ""))
    driver.load = {"rounds": rounds, "errors": len(errors), "unsure": len(unsure), "lost": len(lost),
                   "longest": longest}


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
    print(f"{result:8}{driver.name:34}{driver.version or '-':34}{reason}", flush=True)
    return result


def through(names, plain):
    """Runs the drivers so named against one kind of server; returns them and the words reported about them."""
    drivers = [d for d in all_drivers() if not (plain and d.needs_holdfastd)
               and (not names or any(n in d.name for n in names))]
    print(f"== {'Plain Redis' if plain else 'holdfastd'}")
    lab = topology.Topology(plain)
    lab.start()
    began = time.monotonic()
    loops = [d for d in drivers if d.loops]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda driver: run_session(driver, lab), loops))
    print(f"   sessions done in {time.monotonic() - began:.1f} s")
    for driver in drivers:
        if not driver.loops:
            run_session(driver, lab)
    print(f"   examples and bad input done in {time.monotonic() - began:.1f} s")
    ended = lab.ended()
    loops = [d for d in loops if not d.skipped]
    groups = -(-len(loops) // LOOPS_AT_ONCE)
    for number in range(groups if not ended else 0):
        if number > 0:
            lab.stop()
            lab = topology.Topology(plain)
            lab.start()
        kill_phase(loops[number::groups], lab)
        ended = ended or lab.ended()
    lab.stop()
    results = [report(driver) for driver in drivers]
    if ended:
        print(f"FAIL    the server ended by itself, {ended}")
        results.append("FAIL")
    return drivers, results


def main():
    options, names = [a for a in sys.argv[1:] if a.startswith("--")], [a for a in sys.argv[1:] if a[:2] != "--"]
    both, results, done = "--table" in options, [], {}
    if both and names:
        print("--table is about all drivers: give no names")
        return 2
    try:
        for plain in (True, False) if both else ("--plain" in options,):
            done[plain], found = through(names, plain)
            results += found
    except topology.Missing as missing_program:
        print(f"SKIPPED: {missing_program}")
        return 77 if os.environ.get("CI") != "true" else 1
    except RuntimeError as error:
        print(f"FAIL: the topology did not start: {error}")
        return 1
    if both:
        table.write(done[True], done[False])
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
            judge(driver, files[driver.name], address, killed=not lab.plain)
        if not lab.plain and any(driver.load["lost"] for driver in drivers):
            print(f"Lost writes were looked for on port {address[1]}. What was logged:\n{lab.history()}")
    except (RuntimeError, OSError) as error:
        for driver in drivers:
            driver.failures.append(f"under load: {error}")


if __name__ == "__main__":
    sys.exit(main())
