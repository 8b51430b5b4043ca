# SPDX-License-Identifier: Apache-2.0
"""The daemon's life under systemd, from the first client to the last stop. Run inside the box, as root."""
import grp
import os
import re
import signal
import sys
import threading
import time
import traceback

import operator_view
import resp
from lab import Lab
from manager import (SERVICE, SOCKET, DropIn, as_user, journal, main_pid, output, show, state, systemctl,
                     wait_for_entry, wait_for_status)
from topology import HOST, MASTER_NAME, wait_until

PATH = "/run/holdfast/holdfast.sock"
CREDENTIAL = "/etc/credstore/redis-password"
PASSWORD = "correct-horse-battery-staple"
WRONG_PASSWORD = "a-password-that-is-wrong"
MEMBER, STRANGER = 60001, 60002
DRAIN_MILLISECONDS = 3000
RESTARTS = 3
CONFIGURATION = f"""\
sentinel:
  addresses: [{HOST}:26379, {HOST}:26380, {HOST}:26381]
  master: {MASTER_NAME}
failover:
  waitMilliseconds: 40000
shutdown:
  drainMilliseconds: {DRAIN_MILLISECONDS}
metrics:
  listen: 127.0.0.1:9736
log:
  level: debug
"""
# The journal's MESSAGE_IDs, which never change once released.
SWITCHED = "MESSAGE_ID=2a6ef5a3576446949dec2d80931f444a"
STARTED = "MESSAGE_ID=007de80821054ace8c0cb47e18e8a7cd"
DRAINING = "MESSAGE_ID=f8145495baec4101a6daf8b44a87cb46"
STOPPED = "MESSAGE_ID=5eb78b6fb69545acbfeabc04b4eda43e"
REFUSED_CREDENTIALS = "MESSAGE_ID=9363bc8d6e44424eba61e747237c4cfa"

passed = failed = 0


def check(what, is_so, detail=""):
    global passed, failed
    if is_so:
        passed += 1
        print(f"ok    {what}", flush=True)
    else:
        failed += 1
        print(f"FAIL  {what}: {detail}", flush=True)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def call(*command, timeout=45.0):
    with resp.Connection(PATH, timeout=timeout) as connection:
        return connection.call(*command)


def in_background(action):
    """Starts `action`; what is returned waits for its result, or raises its error."""
    outcome = {}

    def run():
        try:
            outcome["value"] = action()
        except BaseException as error:  # raised by whoever asks for the result
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result(seconds=50.0):
        thread.join(seconds)
        if thread.is_alive():
            raise RuntimeError(f"no result within {seconds:g} s")
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]
    return result


def units(_):
    files = [f"/usr/lib/systemd/system/{name}"
             for name in (SERVICE, SOCKET, "holdfastd@shop.service", "holdfastd@shop.socket")]
    text = output("systemd-analyze", "verify", "--man=no", *files, check=False)
    check("systemd-analyze verify prints nothing", text == "", text)
    text = output("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=13", files[0],
                  check=False)
    last = text.strip().splitlines()[-1]
    exposure = re.search(r"for \S+: ([0-9.]+)", last)
    check("systemd-analyze security stays below 1.3", exposure and float(exposure[1]) <= 1.3, last)


def activation(lab):
    """The first clients; what starts the daemon. The sentinels start only after it."""
    systemctl("start", SOCKET)
    clients = grp.getgrnam("holdfast-clients").gr_gid
    about = os.stat(PATH)
    check("the socket belongs to group holdfast-clients, mode 0660",
          (about.st_gid, about.st_mode & 0o777) == (clients, 0o660), about)
    try:
        as_user(STRANGER, STRANGER, lambda: call("PING"))
        check("a stranger is refused", False, "was served")
    except PermissionError:
        check("a stranger is refused (EACCES)", True)
    check("nothing was started yet", state() == ("inactive", "dead"), state())

    check("a member of holdfast-clients gets PONG from a service that was not started",
          as_user(MEMBER, clients, lambda: call("PING")) == b"PONG")
    wait_until("an active service", lambda: state() == ("active", "running"))
    status = wait_for_status("sentinels 0 of 3")
    check("it is active while no sentinel answers, and says so", state()[0] == "active", status)

    lab.start()
    wait_for_status(f"master {HOST}:")
    check("SET is answered", as_user(MEMBER, clients, lambda: call("SET", "session", "one")) == b"OK")
    check("GET is answered", as_user(MEMBER, clients, lambda: call("GET", "session")) == b"one")


def readiness(lab):
    status = wait_for_status(f"master {HOST}:{lab.master_port()}, generation ", "sentinels 3 of 3")
    check(f"STATUS= names master, generation and sentinels: {status}",
          re.search(r"master \S+, generation \d+, sentinels 3 of 3", status), status)
    check("the unit is Type=notify", show("Type") == "notify")
    systemctl("stop", SERVICE)
    with DropIn("UnsetEnvironment=NOTIFY_SOCKET"):
        before = len(journal(STARTED))
        check("the first client of a daemon that cannot say READY is served", call("PING") == b"PONG")
        wait_until("a started daemon", lambda: len(journal(STARTED)) > before)
        check("but without READY the unit is not active", state() == ("activating", "start"), state())
        systemctl("kill", "-s", "KILL", SERVICE)
    systemctl("stop", SERVICE)
    systemctl("reset-failed", SERVICE)
    systemctl("start", SERVICE)
    check("with READY it is", state() == ("active", "running"), state())


def switched(lab, how, act):
    """A master switch, seen from the journal."""
    old = lab.master_port()
    status = wait_for_status(f"master {HOST}:{old}", "sentinels 3 of 3")
    generation = int(re.search(r"generation (\d+)", status)[1])
    act(old)
    new, epoch = lab.wait_for_master_after(old)
    entry = wait_for_entry(SWITCHED, f"HOLDFAST_MASTER={HOST}:{new}")
    fields = [entry.get(f"HOLDFAST_{name}") for name in ("OLD_MASTER", "MASTER", "EPOCH")]
    check(f"{how}: the switch is in the journal with its MESSAGE_ID, both masters and the epoch",
          # A promotion that is followed early has the old epoch, until a sentinel names the new one.
          fields[:2] == [f"{HOST}:{old}", f"{HOST}:{new}"]
          and fields[2] in (str(epoch), str(epoch - 1)), f"{fields}, epoch is {epoch}")
    entry_generation = int(entry.get("HOLDFAST_GENERATION", -1))
    check(f"{how}: with a higher generation", entry_generation > generation,
          f"{entry_generation} after {generation}")
    check(f"{how}: as a notice of unit and identifier",
          (entry["PRIORITY"], entry["_SYSTEMD_UNIT"], entry["SYSLOG_IDENTIFIER"])
          == ("5", SERVICE, "holdfastd"), entry)
    check(f"{how}: a write is answered", call("SET", "session", how) == b"OK")
    wait_for_status(f"master {HOST}:{new}")
    check(f"{how}: it is the new master's", lab.ask(new, "GET", "session") == how.encode())


def failovers(lab):
    switched(lab, "SENTINEL FAILOVER",
             lambda _: lab.ask(26379, "SENTINEL", "FAILOVER", MASTER_NAME))

    def kill_under_request(port):
        lab.kill(port)
        during.append(in_background(lambda: call("SET", "during", "1")))
    during = []
    # A failover by command makes the sentinels wait before the next one.
    wait_until("sentinels that are done", lambda: lab.about_master()[b"flags"] == b"master")
    switched(lab, "kill -9 of the master", kill_under_request)
    check("kill -9 of the master: a request made meanwhile is answered", during[0]() == b"OK")


def is_blocked(lab, command):
    """Whether the master holds a client's command back. Sentinels' PUBLISH may be held back too."""
    clients = lab.ask(lab.master_port(), "CLIENT", "LIST").decode()
    return re.search(rf" flags=\w*b\w* .* cmd={command} ", clients)


def set_held_back(lab, key):
    """A SET that the master holds back: in flight until `CLIENT UNPAUSE`."""
    master = lab.master_port()
    lab.ask(master, "CLIENT", "PAUSE", 30000, "WRITE")
    reply = in_background(lambda: call("SET", key, "1"))
    wait_until("a request in flight", lambda: is_blocked(lab, "set"))
    return reply, lambda: lab.ask(master, "CLIENT", "UNPAUSE")


def restart(lab):
    """A request in flight and a client that comes while nobody accepts; then a crowd."""
    pid, inode, drained = main_pid(), os.stat(PATH).st_ino, len(journal(DRAINING))
    in_flight, release = set_held_back(lab, "restart")
    systemctl("restart", "--no-block", SERVICE)
    wait_until("a daemon that drains", lambda: len(journal(DRAINING)) > drained)
    with resp.Connection(PATH, timeout=45) as newcomer:
        # Nobody accepts now; systemd holds the socket open.
        release()
        check("systemctl restart: the request in flight is answered", in_flight() == b"OK")
        check("systemctl restart: a client that connected meanwhile is served",
              newcomer.call("SET", "newcomer", "1") == b"OK")
    wait_until("the next daemon", lambda: main_pid() != pid and state() == ("active", "running"))
    check("systemctl restart: the listening socket is the same", os.stat(PATH).st_ino == inode)

    crowd_through_restarts()


def crowd_through_restarts():
    """New connections one after another. Each must be made; one that the old daemon had accepted, but not yet read,
    when it stopped may be cut off, as any idle connection is: whoever connects again at once is served."""
    over, trouble, cut, counts = threading.Event(), [], [], [0] * 4

    def client(index):
        while not over.is_set():
            try:
                connection = resp.Connection(PATH, timeout=45)
            except OSError as error:
                trouble.append(repr(error))
                continue
            try:
                with connection:
                    connection.call("SET", f"crowd{index}", counts[index])
                counts[index] += 1
            except ConnectionError as error:
                cut.append(error)
            except (OSError, resp.ErrorReply) as error:
                trouble.append(repr(error))
    crowd = [in_background(lambda index=index: client(index)) for index in range(len(counts))]
    wait_until("a crowd that is served", lambda: min(counts) >= 5)
    for _ in range(RESTARTS):
        systemctl("restart", SERVICE)
        reached = list(counts)
        wait_until("a crowd that is served again",
                   lambda: all(now > then + 5 for now, then in zip(counts, reached)))
    over.set()
    for end in crowd:
        end()
    check(f"{RESTARTS} restarts: no connect is refused, no request fails ({sum(counts)} served)",
          not trouble, f"{len(trouble)} did: {trouble[:3]}")
    check(f"{RESTARTS} restarts: at most one connection a client is cut off each ({len(cut)})",
          len(cut) <= RESTARTS * len(counts), cut[:3])


def stop(lab):
    drained = len(journal(DRAINING))
    in_flight, release = set_held_back(lab, "stop")
    systemctl("stop", "--no-block", SERVICE)
    wait_until("a daemon that drains", lambda: len(journal(DRAINING)) > drained)
    check("systemctl stop: the unit is deactivating while a request is in flight",
          state()[0] == "deactivating", state())
    release()
    check("systemctl stop: the request in flight is answered", in_flight() == b"OK")
    check("systemctl stop: exit 0", exit_status() == ("exited", "0", "success"), exit_status())
    check("systemctl stop: the last word in the journal is 'stopped'", "MESSAGE_ID=" +
          journal(STOPPED)[-1]["MESSAGE_ID"] == STOPPED)

    check("the stopped service is started by the next client", call("PING") == b"PONG")
    with resp.Connection(PATH) as waiting:
        waiting.call("SET", "session", "stop")
        waiting.send(resp.encode("BLPOP", "nothing-comes", 0))
        wait_until("a blocked client", lambda: is_blocked(lab, "blpop"))
        began = time.monotonic()
        systemctl("stop", SERVICE)
        seconds = time.monotonic() - began
    check("systemctl stop under BLPOP: ends with the drain deadline",
          seconds < DRAIN_MILLISECONDS / 1000 + 3, f"{seconds:.1f} s")
    check("systemctl stop under BLPOP: exit 0", exit_status() == ("exited", "0", "success"), exit_status())
    systemctl("start", SERVICE)


def exit_status():
    wait_until("a stopped service", lambda: state()[0] in ("inactive", "failed"))
    code = {"1": "exited", "2": "killed", "3": "dumped"}.get(show("ExecMainCode"), show("ExecMainCode"))
    return code, show("ExecMainStatus"), show("Result")


def crash(lab):
    pid, restarts = main_pid(), int(show("NRestarts"))
    in_flight, release = set_held_back(lab, "crash-in-flight")
    os.kill(pid, signal.SIGKILL)
    try:
        check("kill -9 of the daemon: a request in flight gets no wrong reply", False, in_flight(20))
    except (ConnectionError, EOFError) as error:
        check("kill -9 of the daemon: a connection with a request in flight is closed, not left hanging", True, error)
    finally:
        release()
    check("kill -9 of the daemon: a new connection is served", call("SET", "session", "crash") == b"OK")
    wait_until("the next daemon", lambda: state() == ("active", "running"))
    check("kill -9 of the daemon: Restart= started another", main_pid() != pid)
    check("kill -9 of the daemon: once", int(show("NRestarts")) == restarts + 1, show("NRestarts"))
    wait_for_status(f"master {HOST}:{lab.master_port()}")


def secrets(lab):
    check("the password comes from the credential",
          f"/run/credentials/{SERVICE}/redis-password" in credentials_of(main_pid()))
    write(CREDENTIAL, WRONG_PASSWORD + "\n", 0o600)
    systemctl("restart", SERVICE)
    entry = wait_for_entry(REFUSED_CREDENTIALS)
    check("a wrong password is an error in the journal", entry["PRIORITY"] == "3", entry)
    write(CREDENTIAL, PASSWORD + "\n", 0o600)
    systemctl("restart", SERVICE)
    check("the right one works again", call("SET", "session", "secret") == b"OK")

    with open(f"/proc/{main_pid()}/environ", encoding="utf-8", errors="replace") as file:
        environment = file.read()
    places = {
        "ps": output("ps", "axwwe", "-o", "args"),
        "the daemon's environment": environment,
        "the journal": output("journalctl", "-o", "export", "--no-pager"),
        "systemctl show": systemctl("show", SERVICE),
        "systemctl status": systemctl("status", "--no-pager", "-n", "1000", SERVICE),
    }
    for place, text in places.items():
        check(f"no password in {place}", PASSWORD not in text and WRONG_PASSWORD not in text)
    # What the search finds when it is there.
    known = {"ps": "redis-server", "the daemon's environment": "CREDENTIALS_DIRECTORY=",
             "the journal": "WRONGPASS", "systemctl show": "ExecMainPID=", "systemctl status": "Main PID:"}
    unread = [place for place, word in known.items() if word not in places[place]]
    check("each of these places was read", not unread, unread)


def credentials_of(pid):
    folder = os.path.join("/proc", str(pid), "root", "run", "credentials", SERVICE)
    return [f"/run/credentials/{SERVICE}/{name}" for name in os.listdir(folder)]


def quiet(_):
    """Nothing in the journal that an administrator would have to explain."""
    denied = [entry["MESSAGE"] for entry in journal()
              if re.search("denied|not permitted|Fatal error", str(entry.get("MESSAGE")))]
    check("the sandbox denied nothing", not denied, denied[:3])
    cores = [entry for entry in journal() if "dumped core" in str(entry.get("MESSAGE"))]
    check("no crash of its own", not cores, cores[:1])


def main():
    write("/etc/holdfast/holdfastd.yaml", CONFIGURATION)
    write(CREDENTIAL, PASSWORD + "\n", 0o600)
    lab = Lab(PASSWORD)
    began = time.monotonic()
    steps = [(step, ()) for step in (units, activation, readiness, failovers, restart, stop, crash)]
    steps += [(step, (check,)) for step in operator_view.STEPS]
    for step, extra in [*steps, (secrets, ()), (quiet, ())]:
        try:
            step(lab, *extra)
        except Exception as error:  # one step's trouble is not the next one's
            check(step.__name__, False, f"{error!r} {traceback.format_exc(limit=-2)}")
    if failed:
        print(output("systemctl", "status", "--no-pager", "-n", "0", SERVICE, check=False))
        print(output("journalctl", "--no-pager", "-n", "60", "-u", SERVICE, check=False))
    print(f"{passed} passed, {failed} failed ({time.monotonic() - began:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
