# SPDX-License-Identifier: Apache-2.0
"""What the Python clients share: the two modes, and how results are told (see ../drivers.py)."""
import logging
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


def documented(error):
    """Whether the README says what an app does on this: the connection to the master was lost while the outcome was
    open, or a subscription ended."""
    text = f"{type(error).__name__} {error}"
    return any(word in text for word in ("UNCERTAIN", "ExecAbortError", "Connection closed by server"))


class Complaints(logging.Handler):
    """What a worker says in its log, for one that goes on or ends there and raises nothing."""
    def __init__(self, logger, level):
        super().__init__(level)
        self.found = []
        logging.getLogger(logger).addHandler(self)
        logging.getLogger(logger).propagate = False

    def emit(self, record):
        error = record.exc_info[1] if record.exc_info else None
        self.found.append(record.getMessage() + (f" {type(error).__name__} {error}" if error else ""))

    def words(self):
        """As a loop's words, and forgets them."""
        found, self.found = self.found, []
        return [f"{'unsure' if documented(text) else 'error'} {text}".replace("\n", " ") for text in found]


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
