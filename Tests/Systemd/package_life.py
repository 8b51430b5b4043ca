# SPDX-License-Identifier: Apache-2.0
"""Install, upgrade under load, remove and purge, inside the box, as root."""
import os
import subprocess
import sys
import threading

import resp
import topology
from manager import SERVICE, SOCKET, main_pid, output, show, state
from topology import HOST, wait_until

PATH = "/run/holdfast/holdfast.sock"
HERE = os.path.dirname(os.path.abspath(__file__))
failed = 0


def check(what, is_so, detail=""):
    global failed
    failed += 0 if is_so else 1
    print(f"{'ok   ' if is_so else 'FAIL '} {what}{'' if is_so else f': {detail}'}", flush=True)


def dpkg(*arguments):
    return output("dpkg", *arguments, seconds=90)


def redis():
    folder = "/tmp/redis"
    os.makedirs(folder)
    subprocess.Popen(["redis-server", "--port", "6379", "--bind", HOST, "--save", "", "--dir", folder],
                     executable=topology.server_program(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def answers():
        with resp.Connection((HOST, 6379)) as connection:
            return connection.call("PING") == b"PONG"
    wait_until("Redis", answers)


def install():
    dpkg("-i", f"{HERE}/0.1.0.deb")
    check("installed: the socket is enabled and listens",
          (show("ActiveState", SOCKET), show("UnitFileState", SOCKET)) == ("active", "enabled"), show("ActiveState", SOCKET))
    check("installed: the service waits for its first client", state()[0] == "inactive", state())
    about = os.stat("/etc/holdfast/holdfastd.yaml")
    check("installed: the settings are not for everybody", os.stat("/etc/holdfast").st_mode & 0o777 == 0o750
          and about.st_mode & 0o777 == 0o644, oct(about.st_mode))
    with resp.Connection(PATH, timeout=30) as connection:
        check("installed: the first client is served", connection.call("SET", "first", "1") == b"OK")
    for page in ("holdfastd.8", "holdfast.1", "holdfastd.yaml.5"):
        path = f"/usr/share/man/man{page[-1]}/{page}.gz"
        check(f"installed: {page}", os.path.exists(path))


def upgrade():
    """New connections all the while: none may be refused, no request may fail."""
    over, trouble, served = threading.Event(), [], [0] * 4

    def client(index):
        while not over.is_set():
            try:
                with resp.Connection(PATH, timeout=45) as connection:
                    connection.call("SET", f"crowd{index}", served[index])
                served[index] += 1
            except (OSError, resp.ErrorReply) as error:
                trouble.append(repr(error))
    threads = [threading.Thread(target=client, args=(index,), daemon=True) for index in range(len(served))]
    for thread in threads:
        thread.start()
    wait_until("a crowd that is served", lambda: min(served) > 5)
    pid = main_pid()
    dpkg("-i", f"{HERE}/0.1.1.deb")
    wait_until("the new daemon", lambda: state() == ("active", "running") and main_pid() != pid)
    reached = list(served)
    wait_until("a crowd that is served again", lambda: all(now > then + 5 for now, then in zip(served, reached)))
    over.set()
    for thread in threads:
        thread.join(50)
    check(f"upgraded under load: no connection is refused, no request fails ({sum(served)} served)",
          not trouble, trouble[:3])


def purge():
    dpkg("--purge", "holdfast")
    check("purged: nothing runs", (show("ActiveState", SOCKET), state()[0]) == ("inactive", "inactive"), state())
    left = output("find", "/etc", "/usr", "/var", "/run", "-name", "*holdfast*", "-not", "-path", "/proc/*",
                  "-not", "-path", "/run/user/*", check=False).split()
    ours = {"/etc/systemd/system/holdfastd.service.d"}
    # The kernel does away with a stopped unit's invocation links a moment later.
    left = [path for path in left if path not in ours and not path.startswith("/run/systemd/")]
    check("purged: nothing is left behind", not left, left)


def main():
    redis()
    for step in (install, upgrade, purge):
        try:
            step()
        except Exception as error:  # one step's trouble is not the next one's
            check(step.__name__, False, repr(error))
    if failed:
        print(output("journalctl", "--no-pager", "-n", "40", "-u", SERVICE, check=False))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
