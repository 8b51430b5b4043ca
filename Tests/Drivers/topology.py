# SPDX-License-Identifier: Apache-2.0
"""A master, two replicas, three sentinels and a holdfastd in front of them, for the drivers' tests.

With plain=True a single Redis on a Unix socket instead: what passes there and fails through holdfastd is
holdfastd's fault. Beside its socket, the server listens with TLS on a port, for whoever has only TCP; not so with
HOLDFAST_DRIVERS_TCP=0, or where holdfastd does not know the setting. Everything listens on loopback or in a
temporary folder, and ends with this process, whatever ends it. Run by itself, it prints the
socket's path and waits:  python3 topology.py [--plain]
"""
import atexit
import ctypes
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import resp

HOST = "127.0.0.1"
MASTER_NAME = "mymaster"
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Missing(Exception):
    """Something that this machine lacks; the text says what to do."""


def server_program():
    """Debian's redis-tools carries the server under another name: it looks at argv[0]."""
    named = os.environ.get("HOLDFAST_REDIS_SERVER")
    for candidate in [named] if named else ["redis-server", "valkey-server", "redis-check-rdb",
                                            "valkey-check-rdb"]:
        if found := shutil.which(candidate):
            return found
    raise Missing("no redis-server found: install redis-tools, or set HOLDFAST_REDIS_SERVER")


def holdfastd_program():
    named = os.environ.get("HOLDFASTD")
    built = [os.path.join(PROJECT, ".build", kind, "holdfastd") for kind in ("debug", "release")]
    found = [path for path in ([named] if named else built) if os.access(path, os.X_OK)]
    if not found:
        raise Missing("no holdfastd found: swift build --product holdfastd, or set HOLDFASTD")
    return max(found, key=os.path.getmtime)


def wait_until(what, condition, seconds=20.0):
    """Polls until the condition holds and returns its value; trouble with a socket counts as not yet."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except (OSError, resp.ErrorReply) as error:
            last = error
        time.sleep(0.02)
    raise RuntimeError(f"not within {seconds:g} s: {what}" + (f" ({last})" if last else ""))


def ask(address, *command):
    with resp.Connection(address, timeout=2.0) as connection:
        return connection.call(*command)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class TLS:
    """A port, and in a folder a certificate that signs itself, its key, and a password."""
    def __init__(self, port, folder):
        self.port = port
        self.certificate, self.key, self.password = (
            os.path.join(folder, name) for name in ("tls.crt", "tls.key", "tls.password"))
        with open(os.open(self.password, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        try:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-days", "2", "-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{HOST}", "-keyout", self.key,
                 "-out", self.certificate], stdin=subprocess.DEVNULL, capture_output=True, check=True)
        except FileNotFoundError as error:
            raise Missing("no openssl found: install openssl") from error

    def environment(self):
        return {"DRIVER_TLS_PORT": str(self.port), "DRIVER_TLS_CERTIFICATE": self.certificate,
                "DRIVER_TLS_PASSWORD": self.password}


class Topology:
    def __init__(self, plain=False):
        self.plain = plain
        self.folder = tempfile.mkdtemp(prefix="holdfast-drivers-")
        self.socket = os.path.join(self.folder, "s.sock")
        self.processes = []
        self.ports = {}  # of Redis nodes: port to process
        self.sentinels = []
        self.front = None  # the process behind the socket
        self.tls = None  # where TLS is spoken: its port and files, or None
        atexit.register(self.stop)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _: sys.exit(128 + received))

    def start(self):
        if os.environ.get("HOLDFAST_DRIVERS_TCP") != "0":
            self.tls = TLS(self._free_port(), self.folder)
        try:
            if self.plain:
                self.front, _ = self._redis("redis", ["--unixsocket", self.socket, *self._tls_of_redis()])
            else:
                self._start_replicated()
                self._start_holdfastd()
            wait_until("a PONG from the socket", lambda: ask(self.socket, "PING") == b"PONG")
            wait_until("a write through the socket", lambda: ask(self.socket, "SET", "ready", 1, "EX", 60))
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.log_of('holdfastd') if self.front else ''}") from error

    def environment(self):
        """What the clients' programs are told besides the socket."""
        return {"DRIVER_SERVER_PID": str(self.front.pid), "DRIVER_PLAIN": "1" if self.plain else "",
                **(self.tls.environment() if self.tls else {})}

    def ended(self):
        """How the server ended by itself; empty where it did not."""
        status = self.front.poll()
        return "" if status is None else f"status {status}:\n{self.log_of('redis' if self.plain else 'holdfastd')}"

    def _tls_of_redis(self):
        # Any password is right for Redis' default user as long as it has none; so is the one that holdfastd wants.
        return ["--tls-port", str(self.tls.port), "--tls-cert-file", self.tls.certificate, "--tls-key-file",
                self.tls.key, "--tls-ca-cert-file", self.tls.certificate, "--tls-auth-clients", "no"
                ] if self.tls else []

    def _start_replicated(self):
        self.master_process, self.master_port = self._redis("master")
        for number in (1, 2):
            self._redis(f"replica{number}", ["--replicaof", HOST, str(self.master_port)])
        wait_until("two replicas online", lambda: sum(
            b"state=online" in line
            for line in ask((HOST, self.master_port), "INFO", "replication").splitlines()) == 2)
        for number in (1, 2, 3):
            self._sentinel(f"sentinel{number}")
        wait_until("sentinels that know each other and both replicas", lambda: all(
            self._knows(port) for port in self.sentinels), 30.0)

    def _knows(self, port):
        flat = ask((HOST, port), "SENTINEL", "MASTER", MASTER_NAME)
        about = dict(zip(flat[::2], flat[1::2]))
        return (about[b"num-slaves"], about[b"num-other-sentinels"]) == (b"2", b"2")

    def _start_holdfastd(self):
        seeds = ",".join(f"{HOST}:{port}" for port in self.sentinels)
        program = holdfastd_program()
        command = [program, "--listen", self.socket, "--sentinels", seeds, "--master", MASTER_NAME]
        more = self._tls_of_holdfastd()
        if more and subprocess.run([*command, *more, "--check-config"], stdin=subprocess.DEVNULL,
                                   capture_output=True, check=False).returncode != 0:
            self.tls, more = None, []
        self.front = self._run("holdfastd", program, [*command, *more])

    def _tls_of_holdfastd(self):
        return [word for key, value in (
            ("address", f"{HOST}:{self.tls.port}"), ("passwordFile", self.tls.password), ("tls", "true"),
            ("certificateFile", self.tls.certificate), ("keyFile", self.tls.key),
        ) for word in ("--set", f"tcp.{key}={value}")] if self.tls else []

    def _redis(self, name, options=()):
        return self._on_free_port(name, lambda port: [
            "redis-server", "--bind", HOST, "--port", str(port), "--dir", self.folder, "--save", "",
            "--dbfilename", f"{name}.rdb", "--repl-diskless-sync-delay", "0", *options], self.ports)

    def _sentinel(self, name):
        def command(port):
            path = os.path.join(self.folder, f"{name}.conf")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"bind {HOST}\nport {port}\ndir {self.folder}\n"
                           f"sentinel monitor {MASTER_NAME} {HOST} {self.master_port} 2\n"
                           f"sentinel down-after-milliseconds {MASTER_NAME} 1000\n"
                           f"sentinel failover-timeout {MASTER_NAME} 5000\n"
                           f"sentinel parallel-syncs {MASTER_NAME} 1\n")
            return ["redis-sentinel", path, "--sentinel"]
        _, port = self._on_free_port(name, command, {})
        self.sentinels.append(port)

    def _on_free_port(self, name, command, started):
        """Tries another port where someone was quicker to take it."""
        for _ in range(5):
            port = self._free_port()
            process = self._run(name, server_program(), command(port))

            def settled():
                if process.poll() is not None:
                    return "ended"
                about = ask((HOST, port), "INFO", "server")
                return f"process_id:{process.pid}\r\n".encode() in about and "up"
            if wait_until(f"{name} on port {port}", settled) == "up":
                started[port] = process
                return process, port
        raise RuntimeError(f"{name} does not start: {self.log_of(name)}")

    def _free_port(self):
        # Below the range that outgoing connections take theirs from.
        while True:
            port = random.randrange(15000, 32000)
            with socket.socket() as probe:
                try:
                    probe.bind((HOST, port))
                    return port
                except OSError:
                    continue

    def _run(self, name, executable, argv):
        with open(os.path.join(self.folder, f"{name}.log"), "ab") as log:
            process = subprocess.Popen(argv, executable=executable, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, cwd=self.folder,
                                       preexec_fn=_die_with_parent)
        self.processes.append(process)
        return process

    def log_of(self, name, lines=15):
        """The end of a log, or what stands around a crash in it."""
        path = os.path.join(self.folder, f"{name}.log")
        with open(path, encoding="utf-8", errors="replace") as log:
            text = log.readlines()
        crashes = [n for n, line in enumerate(text) if "Fatal error" in line or "Program crashed" in line]
        return "".join(text[max(0, crashes[0] - lines):crashes[0] + 4 * lines] if crashes else text[-lines:])

    def history(self):
        """What the sentinels and holdfastd logged about who is the master."""
        words = ("+odown", "-odown", "promoted", "+switch-master")
        lines = []
        for number in (1, 2, 3):
            with open(os.path.join(self.folder, f"sentinel{number}.log"), encoding="utf-8") as log:
                lines += [f"sentinel{number}: {line}" for line in log if any(word in line for word in words)]
        return "".join(lines) + self.log_of("holdfastd", 40)

    def kill_master(self):
        """SIGKILL, as a crash is; returns at once."""
        (self.front if self.plain else self.master_process).kill()

    def wait_for_new_master(self):
        """The address of the promoted replica, once every sentinel names it and it says so itself."""
        def agreed():
            named = {tuple(ask((HOST, port), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME))
                     for port in self.sentinels}
            port = int(next(iter(named))[1])
            is_new = len(named) == 1 and port != self.master_port
            return port if is_new and ask((HOST, port), "ROLE")[0] == b"master" else None
        return HOST, wait_until("a new master", agreed, 30.0)

    def master_address(self):
        """Where to look at the data without holdfastd in between."""
        return self.socket if self.plain else (HOST, self.master_port)

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 8.0
        for process in self.processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    topology = Topology(plain="--plain" in sys.argv[1:])
    topology.start()
    print(topology.socket, flush=True)
    signal.pause()
