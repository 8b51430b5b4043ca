# SPDX-License-Identifier: Apache-2.0
"""See `sessions`: hand-over of locks, the cost of a session's cycle, ten parallel phpredis requests."""
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Drivers"))
import resp  # noqa: E402
import topology  # noqa: E402

ROUNDS = 5
CYCLES = 3000
CLIENTS = 20
UNLOCK = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end"
WRITE = ("if redis.call('get',KEYS[1])~=ARGV[1] then return 0 end "
         "redis.call('set',KEYS[2],ARGV[2],'ex',7200) return 1")
PHP = r"""
ini_set('session.save_handler','redis'); ini_set('session.save_path',$argv[1]);
ini_set('redis.session.locking_enabled','1'); ini_set('session.use_cookies','0'); ini_set('session.cache_limiter','');
if ($argv[3]) ini_set('redis.session.lock_retries',$argv[3]);
session_id('abcdefghijklmnopqrstuvwxyz'); time_sleep_until((float)$argv[2]); $t=microtime(true);
if (!@session_start()) { echo "failed\n"; exit; }
usleep(5000); $_SESSION['n']=($_SESSION['n']??0)+1; $n=$_SESSION['n']; @session_write_close();
echo "$n ".round((microtime(true)-$t)*1000,1)."\n";
"""


def median(values):
    return statistics.median(values)


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Lab:
    """One Redis, and whatever stands in front of it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-bench-")
        self.processes = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.run([topology.server_program()], ["redis-server", "--port", str(self.port), "--save", "",
                                               "--dir", self.folder])
        topology.wait_until("redis", lambda: topology.ask(("127.0.0.1", self.port), "PING"))

    def run(self, program, argv, environment=None):
        process = subprocess.Popen(argv, executable=program[0], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                   env={**os.environ, **(environment or {})})
        self.processes.append(process)
        return process

    def holdfast(self, name, **environment):
        path = os.path.join(self.folder, f"{name}.sock")
        process = self.run([topology.holdfastd_program()],
                           ["holdfastd", "--redis", f"127.0.0.1:{self.port}", "--listen", path], environment)
        topology.wait_until("holdfastd", lambda: topology.ask(path, "SET", "ready", "1", "EX", 60))
        return path, process

    def haproxy(self):
        program, path = shutil.which("haproxy"), os.path.join(self.folder, "h.sock")
        if not program:
            return None
        config = os.path.join(self.folder, "h.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write("global\n nbthread 1\ndefaults\n mode tcp\n timeout connect 1s\n timeout client 1h\n"
                       f" timeout server 1h\nlisten redis\n bind unix@{path}\n server r 127.0.0.1:{self.port}\n")
        process = self.run([program], ["haproxy", "-db", "-f", config])
        topology.wait_until("haproxy", lambda: topology.ask(path, "PING"))
        return path, process

    def stop(self):
        for process in self.processes:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def handover(path):
    """Ten waiters on a killed process' lock: when each is served, in milliseconds after the kill."""
    with resp.Connection(path, timeout=30) as first:
        key = first.call("SESSION.CREATE", "x")[0].decode()
        child = os.fork()
        if child == 0:
            holder = resp.Connection(path)
            holder.call("SESSION.LOCK", key, "TTL", 600000)
            time.sleep(600)
            os._exit(0)
        topology.wait_until("the holder", lambda: is_busy(first, key))
        times, threads = [], []

        def wait():
            with resp.Connection(path, timeout=60) as connection:
                token = connection.call("SESSION.LOCK", key, "WAIT", 60000)[0]
                times.append(time.monotonic())
                connection.call("SESSION.UNLOCK", key, token)

        for _ in range(10):
            threads.append(threading.Thread(target=wait))
            threads[-1].start()
        time.sleep(0.3)
        killed = time.monotonic()
        os.kill(child, signal.SIGKILL)
        for thread in threads:
            thread.join()
        os.waitpid(child, 0)
    return [(t - killed) * 1000 for t in sorted(times)]


def is_busy(connection, key):
    try:
        connection.call("SESSION.UNLOCK", key, connection.call("SESSION.LOCK", key)[0])
    except resp.ErrorReply as error:
        return str(error).startswith("LOCKBUSY")
    return False


def native_cycle(connection, key):
    token = connection.call("SESSION.LOCK", key)[0]
    data = connection.call("SESSION.GET", key)[0]
    connection.call("SESSION.SET", key, bytes(reversed(data)), "TOKEN", token)
    connection.call("SESSION.UNLOCK", key, token)


def raw_cycle(connection, key):
    connection.call("SET", key + ".lock", "token", "NX", "PX", 10000)
    data = connection.call("GET", key) or b"x" * 300
    connection.call("EVAL", WRITE, 2, key + ".lock", key, "token", bytes(reversed(data)))
    connection.call("EVAL", UNLOCK, 1, key + ".lock", "token")


def cycles(path, process, cycle, make):
    """CPU-microseconds of the proxy and wall time for each cycle, with a session for each of the clients."""
    connections = [resp.Connection(path, timeout=30) for _ in range(CLIENTS)]
    keys = [make(c) for c in connections]
    for connection, key in zip(connections, keys):
        cycle(connection, key)
    before, began = cpu_seconds(process), time.monotonic()

    def work(connection, key):
        for _ in range(CYCLES // CLIENTS):
            cycle(connection, key)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(connections, keys)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used, took = cpu_seconds(process) - before, time.monotonic() - began
    for connection in connections:
        connection.close()
    return used / CYCLES * 1e6, took / CYCLES * 1e6


def php_requests(save_path, retries=""):
    start = time.time() + 0.6
    runs = [subprocess.Popen(["php", "-r", PHP, save_path, str(start), retries], stdout=subprocess.PIPE, text=True)
            for _ in range(10)]
    lines = [run.communicate()[0].split() for run in runs]
    good = [line for line in lines if len(line) == 2]
    return max([int(line[0]) for line in good] or [0]), max([float(line[1]) for line in good] or [0.0])


def main():
    lab = Lab()
    try:
        path, process = lab.holdfast("native")
        times = [handover(path) for _ in range(ROUNDS)]
        steps = [b - a for run in times for a, b in zip(run, run[1:])]
        print(f"killed holder: the first of ten waiters is served after {median([t[0] for t in times]):.2f} ms, "
              f"each next one {median(steps):.2f} ms later, all after {median([t[-1] for t in times]):.1f} ms")

        peers = {"holdfast, native": (path, process, native_cycle,
                                      lambda c: c.call("SESSION.CREATE", "x" * 300)[0].decode()),
                 "holdfast, raw commands": (path, process, raw_cycle, lambda c: os.urandom(8).hex())}
        if other := lab.haproxy():
            peers["haproxy, raw commands"] = (*other, raw_cycle, lambda c: os.urandom(8).hex())
        results = {name: [] for name in peers}
        for _ in range(ROUNDS):
            for name, peer in peers.items():
                results[name].append(cycles(*peer))
        for name, values in results.items():
            print(f"{name}: lock, get, set, unlock in 4 round trips: proxy {median([v[0] for v in values]):.1f} "
                  f"CPU-us a cycle")

        if shutil.which("php"):
            held, _ = lab.holdfast("held", HOLDFAST_LOCKS_PREFIXES="PHPREDIS_SESSION",
                                   HOLDFAST_LOCKS_SCOPE="connection", HOLDFAST_LOCKS_HOLD_MILLISECONDS="20000")
            for name, save, retries in [
                    ("plain Redis, phpredis' defaults", f"tcp://127.0.0.1:{lab.port}?database=1", ""),
                    ("plain Redis, 2000 retries", f"tcp://127.0.0.1:{lab.port}?database=1", "2000"),
                    ("holdfast holds them", f"unix://{held}?database=1&read_timeout=25", "")]:
                runs = []
                for _ in range(ROUNDS):
                    topology.ask(("127.0.0.1", lab.port), "FLUSHALL")
                    runs.append(php_requests(save, retries))
                print(f"{name}: {median([r[0] for r in runs])} of 10 increments counted, "
                      f"the longest request {median([r[1] for r in runs]):.0f} ms")
    finally:
        lab.stop()


if __name__ == "__main__":
    main()
