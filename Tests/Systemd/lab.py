# SPDX-License-Identifier: Apache-2.0
"""A master, two replicas and three sentinels behind passwords, on fixed ports: the box has a network of its own."""
import os
import subprocess
import tempfile

import resp
import topology
from topology import HOST, MASTER_NAME, wait_until

NODE_PORTS = (6379, 6380, 6381)
SENTINEL_PORTS = (26379, 26380, 26381)


class Lab:
    def __init__(self, password):
        self.password = password
        self.folder = tempfile.mkdtemp(prefix="redis-")
        self.program = topology.server_program()
        self.processes = {}  # by port

    def start(self):
        for port in NODE_PORTS:
            self._run(port, "redis-server", [
                f"requirepass {self.password}", f"masterauth {self.password}", 'save ""',
                f"dbfilename {port}.rdb", "repl-diskless-sync-delay 0",
                *([f"replicaof {HOST} {NODE_PORTS[0]}"] if port != NODE_PORTS[0] else [])])
        wait_until("two replicas online",
                   lambda: self.ask(NODE_PORTS[0], "INFO", "replication").count(b"state=online") == 2)
        for port in SENTINEL_PORTS:
            self._run(port, "redis-sentinel", [
                f"sentinel monitor {MASTER_NAME} {HOST} {NODE_PORTS[0]} 2",
                f"sentinel auth-pass {MASTER_NAME} {self.password}",
                f"sentinel down-after-milliseconds {MASTER_NAME} 1000",
                f"sentinel failover-timeout {MASTER_NAME} 3000"], "--sentinel")
        wait_until("sentinels that know each other and both replicas",
                   lambda: all(self._knows(port) for port in SENTINEL_PORTS), 30)

    def ask(self, port, *command):
        with resp.Connection((HOST, port), timeout=5) as connection:
            if port in NODE_PORTS:
                connection.call("AUTH", self.password)
            return connection.call(*command)

    def about_master(self, port=SENTINEL_PORTS[0]):
        """What a sentinel says of the master, as a dictionary of bytes."""
        flat = self.ask(port, "SENTINEL", "MASTER", MASTER_NAME)
        return dict(zip(flat[::2], flat[1::2]))

    def master_port(self):
        return int(self.about_master()[b"port"])

    def wait_for_master_after(self, old_port):
        """The port and epoch of the new master, once all sentinels name it and it says so itself."""
        def agreed():
            views = [self.about_master(port) for port in SENTINEL_PORTS]
            named = {(int(view[b"port"]), int(view[b"config-epoch"])) for view in views}
            port, epoch = next(iter(named))
            if len(named) == 1 and port != old_port and self.ask(port, "ROLE")[0] == b"master":
                return port, epoch
            return None
        return wait_until("a new master", agreed, 30)

    def kill(self, port):
        """SIGKILL, as a crash is."""
        self.processes[port].kill()
        self.processes[port].wait()

    def _knows(self, port):
        about = self.about_master(port)
        return (about[b"num-slaves"], about[b"num-other-sentinels"]) == (b"2", b"2")

    def _run(self, port, name, lines, *options):
        # In a file: a command line would show the password to everyone.
        path = os.path.join(self.folder, f"{port}.conf")
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write("\n".join([f"bind {HOST}", f"port {port}", f"dir {self.folder}", *lines, ""]))
        with open(os.path.join(self.folder, f"{port}.log"), "ab") as log:
            self.processes[port] = subprocess.Popen(
                [name, path, *options], executable=self.program, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.folder)
        wait_until(f"{name} on port {port}", lambda: self.ask(port, "PING") == b"PONG")
