# SPDX-License-Identifier: Apache-2.0
"""systemd as the tests see it: units, their properties, the journal; and clients of other users."""
import json
import os
import pickle
import subprocess

from topology import wait_until

SERVICE = "holdfastd.service"
SOCKET = "holdfastd.socket"


def output(*command, seconds=40, check=True):
    """Standard output and error of a command together."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL, timeout=seconds, check=False)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stdout}")
    return result.stdout


def systemctl(*arguments):
    return output("systemctl", *arguments)


def show(name, unit=SERVICE):
    """One property of a unit."""
    return systemctl("show", "--value", "-p", name, unit).strip()


def main_pid():
    """The daemon's process. 0 would be a whole group to whoever sends signals."""
    if (pid := int(show("MainPID"))) == 0:
        raise ProcessLookupError(f"{SERVICE} has no process")
    return pid


def state():
    return show("ActiveState"), show("SubState")


def wait_for_status(*parts, seconds=30):
    """The status line, once all parts stand in it."""
    def matching():
        text = show("StatusText")
        return text if all(part in text for part in parts) else None
    return wait_until(f"a status with {' and '.join(parts)} (it is {show('StatusText')!r})", matching, seconds)


def journal(*matches):
    """The daemon's journal entries with these fields, oldest first."""
    output("journalctl", "--sync")
    text = output("journalctl", "-o", "json", "--no-pager", "-q", f"_SYSTEMD_UNIT={SERVICE}", *matches,
                  check=False)
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def wait_for_entry(*matches, where=lambda entry: True, seconds=30):
    """The newest entry with these fields that `where` accepts."""
    def found():
        entries = [entry for entry in journal(*matches) if where(entry)]
        return entries[-1] if entries else None
    return wait_until(f"a journal entry with {' '.join(matches)}", found, seconds)


class DropIn:
    """Lines added to the service's unit, for as long as the block lasts."""

    def __init__(self, *lines):
        self.lines = lines
        self.path = f"/run/systemd/system/{SERVICE}.d/test.conf"

    def __enter__(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("\n".join(["[Service]", *self.lines, ""]))
        systemctl("daemon-reload")

    def __exit__(self, *_):
        os.unlink(self.path)
        systemctl("daemon-reload")


def as_user(uid, gid, action):
    """What `action` returns when a process of this user and group alone does it; raises what it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            result = (True, action())
        except BaseException as error:  # the parent raises it
            result = (False, error)
        with os.fdopen(writer, "wb") as file:
            pickle.dump(result, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        is_good, value = pickle.load(file)
    os.waitpid(child, 0)
    if is_good:
        return value
    raise value
