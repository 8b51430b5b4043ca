# SPDX-License-Identifier: Apache-2.0
"""What the Python clients share: the two modes, and how results are told (see ../drivers.py)."""
import os
import sys
import time

DEADLINE_SECONDS = 90.0


def skip(reason):
    print(reason, file=sys.stderr)
    sys.exit(77)


def check(what, found, expected):
    if found != expected:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def check_between(what, found, low, high):
    if not low <= found <= high:
        raise AssertionError(f"{what}: {found!r} is not in {low}...{high}")


def run_loop(stop_file, one_round):
    """Calls one_round(number) until the file is there; it yields words about acknowledged writes."""
    longest, number, deadline = 0.0, 0, time.monotonic() + DEADLINE_SECONDS
    while not os.path.exists(stop_file) and time.monotonic() < deadline:
        began = time.monotonic()
        try:
            for word in one_round(number):
                print(word)
        except Exception as error:  # Every kind: the test is that there are none.
            print("error", type(error).__name__, str(error).replace("\n", " "))
            time.sleep(0.05)
        longest = max(longest, time.monotonic() - began)
        number += 1
        time.sleep(0.003)
    print("longest", round(longest * 1000))


def main(version, session, loop):
    """Arguments: `session SOCKET NAME` or `loop SOCKET NAME STOPFILE`."""
    mode, socket, name = sys.argv[1:4]
    if mode == "session":
        print("version", version)
        session(socket, name)
    else:
        run_loop(sys.argv[4], loop(socket, name))
