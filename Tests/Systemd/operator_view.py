# SPDX-License-Identifier: Apache-2.0
"""The operator's side under systemd: who may administer, reloads, the watchdog, a stopped journal, instances."""
import grp
import json
import os
import re
import signal
import subprocess
import threading
import urllib.request

import resp
from manager import (SERVICE, DropIn, as_user, journal, main_pid, output, show, state, systemctl, wait_for_entry,
                     wait_for_status)
from topology import HOST, MASTER_NAME, wait_until

PATH = "/run/holdfast/holdfast.sock"
FILE = "/etc/holdfast/holdfastd.yaml"
RELOADED = "MESSAGE_ID=5d37900d03f645ce95769722978be9e7"
REFUSED = "MESSAGE_ID=6e938c1c1c8c4f90b39f095d3ebcdfc0"
SWITCHED = "MESSAGE_ID=2a6ef5a3576446949dec2d80931f444a"
DENIED = "MESSAGE_ID=b0c1b6bd6c0346c4a0f47e5a9c3cbb3c"
RESTARTS = 3


def holdfast(*arguments, groups=None, user=0, stdin=""):
    """The command line's exit status and output."""
    result = subprocess.run(["holdfast", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            input=stdin, timeout=60, user=user, group=user, extra_groups=groups or [], check=False)
    return result.returncode, result.stdout


def edit(change):
    with open(FILE, encoding="utf-8") as file:
        text = file.read()
    with open(FILE, "w", encoding="utf-8") as file:
        file.write(change(text))
    return text


def access(lab, check):
    clients, admins = (grp.getgrnam(name).gr_gid for name in ("holdfast-clients", "holdfast-admin"))
    code, text = holdfast("status")
    check("holdfast status, as root: exit 0 and the master on the screen",
          code == 0 and f"{HOST}:{lab.master_port()}" in text and "3 of 3 answer" in text, f"{code} {text}")
    code, text = holdfast("status", user=60001, groups=[clients])
    check("holdfast status, as a mere client: refused, with the reason", code == 1 and "access.adminGroup" in text, text)
    code, text = holdfast("status", user=60001, groups=[clients, admins])
    check("holdfast status, as a member of holdfast-admin: served", code == 0, f"{code} {text}")
    code, text = holdfast("ping", user=60001, groups=[clients])
    check("holdfast ping is for everyone", (code, text) == (0, "READY\n"), text)
    code, text = holdfast("ping", "--socket", "/run/nothing")
    check("a socket that is not there: exit 2 and what to do", code == 2 and "holdfastd.socket" in text, text)
    entry = wait_for_entry(DENIED)
    check("the refusal is in the journal with the client's uid", entry["HOLDFAST_CLIENT_UID"] == "60001", entry)
    code, text = holdfast("status", "--json")
    status = json.loads(text)
    check("status --json", (status["state"], len(status["sentinels"]), len(status["replicas"]))
          == ("serving", 3, 2), text)
    ids = [json.loads(item)["id"] if isinstance(item, str) else item["id"]
           for item in json.loads(holdfast("events", "--json")[1])]
    check("events --json: numbered without a gap", ids == list(range(ids[0], ids[0] + len(ids))), ids)
    text = output("journalctl", "-x", "-n", "20", "--no-pager", "-u", SERVICE)
    check("the catalog explains events", "Documentation: man:holdfastd(8)" in text, text[-500:])


def reload(_, check):
    pid = main_pid()
    text = edit(lambda old: old.replace("waitMilliseconds: 40000", "waitMilliseconds: 41000"))
    systemctl("reload", SERVICE)
    entry = wait_for_entry(RELOADED)
    check("systemctl reload: the journal names the changed key",
          entry["HOLDFAST_CHANGED"] == "failover.waitMilliseconds", entry)
    rows = json.loads(holdfast("config", "show", "--json")[1])
    value = next(row["value"] for row in rows if row["key"] == "failover.waitMilliseconds")
    check("config show: the new value", value == "41000", value)

    edit(lambda old: old.replace("waitMilliseconds: 41000", "waitMilliseconds: soon"))
    result = subprocess.run(["systemctl", "reload", SERVICE], capture_output=True, text=True, check=False, timeout=60)
    check("a bad file: systemctl reload fails", result.returncode != 0, result.stderr)
    entry = wait_for_entry(REFUSED)
    check("a bad file: file, line and key are in the journal",
          re.search(r"holdfastd\.yaml:\d+: failover\.waitMilliseconds", entry["MESSAGE"]), entry["MESSAGE"])
    check("a bad file: the daemon serves on", (main_pid(), state()) == (pid, ("active", "running")), state())
    code, text2 = holdfast("config", "check")
    check("config check: as the daemon would say it, exit 78", code == 78 and "waitMilliseconds" in text2, text2)

    with open(FILE, "w", encoding="utf-8") as file:
        file.write(text + "pool:\n  shards: 2\n")
    code, text2 = holdfast("reload")
    check("what needs a restart is named", code == 0 and "pool.shards" in text2, text2)
    with open(FILE, "w", encoding="utf-8") as file:
        file.write(text)
    reloaded = len(journal(RELOADED))
    os.kill(pid, signal.SIGHUP)
    wait_until("a reload by SIGHUP", lambda: len(journal(RELOADED)) > reloaded)
    check("SIGHUP reloads too", main_pid() == pid)


def keep_alive(_, check):
    """Connections that stay: what was written is answered, also by a daemon that is about to stop."""
    over, lost, trouble, served, cut = threading.Event(), [], [], [0] * 6, [0] * 6

    def client(index):
        while not over.is_set():
            try:
                connection = resp.Connection(PATH, timeout=45)
            except OSError as error:
                trouble.append(repr(error))
                continue
            with connection:
                while not over.is_set():
                    try:
                        connection.send(resp.encode("SET", f"keep{index}", served[index]))
                    except (BrokenPipeError, ConnectionResetError):
                        cut[index] += 1  # it knows that nothing was sent
                        break
                    try:
                        connection.reply()
                    except (OSError, resp.ErrorReply) as error:
                        lost.append(repr(error))
                        break
                    served[index] += 1
    threads = [threading.Thread(target=client, args=(index,), daemon=True) for index in range(len(served))]
    for thread in threads:
        thread.start()
    wait_until("clients that are served", lambda: min(served) > 20)
    for _ in range(RESTARTS):
        systemctl("restart", SERVICE)
        reached = list(served)
        wait_until("clients that are served again", lambda: all(now > then + 20 for now, then in zip(served, reached)))
    over.set()
    for thread in threads:
        thread.join(50)
    check(f"{RESTARTS} restarts under load: every request that was written is answered ({sum(served)}; "
          f"{sum(cut)} writes met a closed connection)", not lost and not trouble, f"{lost[:3]} {trouble[:3]}")


def watchdog(_, check):
    with DropIn("WatchdogSec=2s", "TimeoutAbortSec=1s"):
        systemctl("restart", SERVICE)
        wait_for_status(f"master {HOST}:")
        pid, restarts = main_pid(), int(show("NRestarts"))
        os.kill(pid, signal.SIGSTOP)
        wait_until("another daemon", lambda: show("MainPID") not in ("0", str(pid)) and state()[1] == "running", 30)
        check("a daemon that hangs is replaced by the watchdog", int(show("NRestarts")) > restarts)
        with resp.Connection(PATH, timeout=45) as connection:
            check("and the next one serves", connection.call("SET", "watchdog", "1") == b"OK")
    systemctl("restart", SERVICE)
    wait_for_status(f"master {HOST}:")


def silent_journal(lab, check):
    """journald is stopped while a failover happens: nobody waits for it."""
    units = ["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"]
    old = lab.master_port()
    wait_until("sentinels that are done", lambda: lab.about_master()[b"flags"] == b"master")
    subprocess.run(["systemctl", "kill", "-s", "STOP", units[0]], check=True, timeout=20)
    try:
        wait_until("a failover that is allowed", lambda: commanded(lab))
        lab.wait_for_master_after(old)
        with resp.Connection(PATH, timeout=20) as connection:
            for number in range(200):
                connection.call("SET", "silent", number)
        check("journald hangs during a failover: requests are answered", True)
        check("and the command line answers", holdfast("status")[0] == 0)
    finally:
        subprocess.run(["systemctl", "kill", "-s", "CONT", units[0]], check=True, timeout=20)
    wait_for_entry(SWITCHED, f"HOLDFAST_OLD_MASTER={HOST}:{old}")
    check("when it goes on, the switch is in it", True)


def commanded(lab):
    try:
        lab.ask(26379, "SENTINEL", "FAILOVER", MASTER_NAME)
    except resp.ErrorReply:
        return False
    return True


def metrics(_, check):
    """What the alerts speak of must exist, or they never fire."""
    with urllib.request.urlopen("http://127.0.0.1:9736/metrics", timeout=10) as answer:
        text = answer.read().decode()
    known = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    with open("/opt/holdfast-tests/prometheus-alerts.yml", encoding="utf-8") as file:
        used = {re.sub("_(bucket|sum|count)$", "", name) for name in re.findall(r"\bholdfast_[a-z_]+\b", file.read())}
    check(f"every figure of the alerts exists ({len(used)} of {len(known)} used)", used and used <= known, used - known)
    values = dict(re.findall(r"^(holdfast_[a-z_]+) (\S+)$", text, re.M))
    check("metrics: the master is served, three sentinels answer",
          (values["holdfast_master_serving"], values["holdfast_sentinels_reachable"]) == ("1", "3"), values)
    bad = [line for line in text.splitlines()
           if not re.match(r'# (HELP|TYPE) |[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? [-+0-9.e]+$', line)]
    check("metrics: every line is of Prometheus' text format", not bad, bad[:3])
    with resp.Connection(PATH) as connection:
        same = connection.call("HOLDFAST.METRICS").decode()
    check("HOLDFAST.METRICS gives the same figures", set(re.findall(r"^# TYPE (\S+)", same, re.M)) == known)


def doctor(_, check):
    code, text = holdfast("doctor", "--json")
    findings = json.loads(text)
    codes = {finding["code"] for finding in findings}
    # One node was killed before.
    check(f"doctor finds what the lab lacks ({', '.join(sorted(codes))})",
          {"maxmemory-unset", "persistence-off", "backlog-small", "node-unreachable"} <= codes, text)
    check("and nothing that it has", not codes & {"sentinels-too-few", "quorum-one", "address-filtered",
                                                  "sentinel-unreachable"}, text)
    check("its exit status is the gravest finding's", code == max(finding["exit-code"] for finding in findings), code)
    code, text = holdfast("doctor")
    check("doctor in words", "CONFIG SET repl-backlog-size 64mb" in text, text)


def drill(lab, check):
    wait_until("sentinels that are done", lambda: lab.about_master()[b"flags"] == b"master")
    old = lab.master_port()
    code, text = holdfast("drill", "--planned", stdin="n\n")
    check("a drill asks first", code == 1 and "Go on?" in text and lab.master_port() == old, text)
    check("and says that a replica lags: one is dead", "Not every replica" in text, text)

    def rehearsed():
        code, text = holdfast("drill", "--planned", "--yes")
        # Sentinel refuses a failover soon after another one.
        return None if "no sentinel began" in text else (code, text)
    code, text = wait_until("a drill that is allowed", rehearsed, 60)
    check("a drill: no request fails, no acknowledged write is missing",
          code == 0 and "0 failed, 0 acknowledged writes missing" in text and "planned" in text, text)
    lab.wait_for_master_after(old)
    code, text = holdfast("drill", "--report")
    check("drill --report shows the last failover", code == 0 and "switched" in text, text)


def instance(_, check):
    """A second daemon of the template, with settings and a socket of its own."""
    with open(FILE, encoding="utf-8") as file:
        text = file.read()
    with open("/etc/holdfast/shop.yaml", "w", encoding="utf-8") as file:
        file.write(text.replace("9736", "9737"))
    systemctl("start", "holdfastd@shop.socket")
    with resp.Connection("/run/holdfast/shop.sock", timeout=45) as connection:
        check("holdfastd@shop serves on a socket of its own", connection.call("SET", "shop", "1") == b"OK")
    check("holdfast reaches it by --socket", holdfast("ping", "--socket", "/run/holdfast/shop.sock")[0] == 0)
    systemctl("stop", "holdfastd@shop.socket", "holdfastd@shop.service")


def terminal(_, check):
    """What an operator sees at a terminal, of eighty columns and colours."""
    def screen(*arguments):
        text = subprocess.run(["script", "-qec", " ".join(["holdfast", *arguments]), "/dev/null"],
                              capture_output=True, text=True, timeout=30, check=False,
                              env={**os.environ, "TERM": "xterm"}).stdout
        return text
    check("status at a terminal has colours", "\x1b[32mSERVING\x1b[0m" in screen("status"), screen("status"))
    text = screen("top", "--once")
    check("top shows classes and commands", all(word in text for word in ("p99.9", "SET", "write")), text)
    text = screen("failovers", "1")
    check("failovers draws a timeline", "●" in text and "requests go to the new master" in text, text)
    for command in ("", "status", "top", "events", "failovers", "sessions", "doctor", "drill", "config"):
        code, text = holdfast(*command.split(), "--help")
        check(f"holdfast {command} --help teaches", code == 0 and "OVERVIEW" in text, text)


STEPS = (access, reload, keep_alive, watchdog, metrics, doctor, silent_journal, drill, instance, terminal)
