# SPDX-License-Identifier: Apache-2.0
"""Bad input and bad manners against a running daemon, while well-behaved clients check that what they get is theirs.

Called as `bad_input.py session SOCKET NAME` (see drivers.py). DRIVER_SERVER_PID is the daemon's process,
DRIVER_PLAIN is set where it is a plain Redis, which has other limits.
"""
import os
import random
import resource
import select
import socket
import sys
import threading
import time

from resp import Connection, ErrorReply, encode

ANSWER_SECONDS = 10.0
WITNESSES = 4
MANY_CLIENTS = 5000
MEMORY_GROWTH_MIB = 300
plain = bool(os.environ.get("DRIVER_PLAIN"))
server = int(os.environ.get("DRIVER_SERVER_PID") or 0)


def connect_patiently(path, database=0):
    """A full backlog is no answer, only the kernel asking to come again."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return Connection(path, timeout=20.0, database=database)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


class Witness(threading.Thread):
    """A well-behaved client: pipelines of any depth, each reply known beforehand and nobody else's."""

    def __init__(self, path, number):
        super().__init__(daemon=True)
        self.path, self.number = path, number
        self.random = random.Random(number)
        self.stopping = threading.Event()
        self.batches, self.complaint = 0, ""

    def run(self):
        try:
            with connect_patiently(self.path, self.number % 2) as connection:
                while not self.stopping.is_set():
                    self.batch(connection)
                    time.sleep(0.002)
        except Exception as error:  # Whatever it is, it must not happen to this client.
            self.complaint = f"{type(error).__name__}: {error}"

    def batch(self, connection):
        commands, expected = [], []
        for depth in range(self.random.randint(1, 12)):
            token = f"{self.number}.{self.batches}.{depth}".encode() * self.random.choice((1, 1, 50))
            key = f"witness:{self.number}:{depth}"
            kind = self.random.randrange(4)
            if kind == 0:
                commands.append(("ECHO", token))
                expected.append(token)
            elif kind == 1:
                commands += [("SETEX", key, 60, token), ("GET", key)]
                expected += [b"OK", token]
            elif kind == 2:
                commands.append(("EVAL", "return ARGV[1]", 0, token))
                expected.append(token)
            else:
                commands += [("MULTI",), ("SETEX", key, 60, token), ("GET", key), ("EXEC",)]
                expected += [b"OK", b"QUEUED", b"QUEUED", [b"OK", token]]
        found = connection.pipeline(commands)
        for command, got, wanted in zip(commands, found, expected):
            if got != wanted:
                raise AssertionError(f"{command!r:.120} was answered {got!r:.120}")
        self.batches += 1


def everything(connection, seconds):
    """All bytes until the server closes, and whether it did."""
    data, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        connection.socket.settimeout(left)
        try:
            received = connection.socket.recv(65536)
        except TimeoutError:
            return data, False
        except ConnectionError:
            return data, True
        if not received:
            return data, True
        data += received
    return data, False


def refused(path, what, data):
    """The client gets an error reply, or is closed; what comes is nothing else."""
    with Connection(path, timeout=ANSWER_SECONDS) as connection:
        try:
            connection.send(data)
            got = connection.reply()
        except ConnectionError:
            return
        except TimeoutError:
            raise AssertionError(f"{what}: no answer and no close in {ANSWER_SECONDS:g} s") from None
        if not isinstance(got, ErrorReply):
            raise AssertionError(f"{what}: answered {got!r:.120} instead of an error")
        if not str(got).strip():
            raise AssertionError(f"{what}: an error without a word")


MALFORMED = {
    "a count that is no number": b"*x\r\n",
    "a count beyond all numbers": b"*99999999999999999999\r\n",
    "a count that no limit allows": b"*4294967295\r\n$4\r\nPING\r\n",
    "a length that is no number": b"*1\r\n$abc\r\n",
    "a negative length": b"*1\r\n$-1\r\n",
    "a length beyond all numbers": b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
    "a length that no limit allows": b"*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n",
    "a length above the request's limit": b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4294967295\r\n",
    "an array within a request": b"*2\r\n*1\r\n$4\r\nPING\r\n$1\r\na\r\n",
    "an integer within a request": b"*2\r\n$4\r\nECHO\r\n:5\r\n",
    "a streamed array": b"*?\r\n$4\r\nPING\r\n.\r\n",
    "a streamed string": b"*2\r\n$4\r\nECHO\r\n$?\r\n;4\r\nabcd\r\n;0\r\n",
    "a header without an end": b"*" + b"1" * 100_000,
    "an inline command without an end": b"a" * 200_000,
    "an inline command with open quotes": b'SET a "b\r\n',
    "an unknown command": encode("NOSUCHCOMMAND", "a"),
    "an unknown command of many bytes": encode("N" * 50_000, "\r\n" * 1000),
    "too few arguments": encode("GET"),
    "an HTTP request": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nSET hacked 1\r\n",
}


def malformed(path):
    for what, data in MALFORMED.items():
        refused(path, what, data)


def words_that_close(path):
    """Redis closes a connection that says these, taking it for a browser's: that must not be the others' one."""
    for number in range(40):
        with Connection(path, timeout=ANSWER_SECONDS, database=number % 2) as connection:
            word = ("POST", "Host:", "post", "host:")[number % 4]
            connection.send(encode(word, "/") if number % 3 else f"{word} /\r\n".encode())
            everything(connection, 0.05)


def garbage(path):
    """Random bytes: any answer or none, but the daemon and the others stay as they were."""
    source = random.Random(7)
    for number in range(60):
        data = source.randbytes(source.randrange(1, 20_000))
        if number % 3 == 0:
            data = b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n" + data
        with Connection(path, timeout=2.0) as connection:
            try:
                connection.send(data + b"\r\n")
            except OSError:
                continue
            everything(connection, 0.02)


def after_an_error(path):
    """What a client sent before its malformed bytes is answered, in order, before it is told or closed."""
    with Connection(path, timeout=ANSWER_SECONDS) as connection:
        connection.send(encode("SETEX", "before", 60, "1") + encode("GET", "before") + b"*1\r\n$x\r\n")
        got = [connection.reply(), connection.reply()]
        if got != [b"OK", b"1"]:
            raise AssertionError(f"before malformed bytes: {got!r}")
        rest, closed = everything(connection, ANSWER_SECONDS)
        if not closed or (rest and not rest.startswith(b"-")):
            raise AssertionError(f"after malformed bytes: {rest[:100]!r}, closed: {closed}")


def byte_by_byte(path):
    """A slow sender is served, not punished."""
    with Connection(path, timeout=ANSWER_SECONDS) as connection:
        for command, expected in ((("SETEX", "slow", 60, "a\r\nb"), b"OK"), (("GET", "slow"), b"a\r\nb")):
            for byte in encode(*command):
                connection.send(bytes([byte]))
            if (got := connection.reply()) != expected:
                raise AssertionError(f"one byte at a time: {got!r}")
        for byte in b"PING\r\n":
            connection.send(bytes([byte]))
        if (got := connection.reply()) != b"PONG":
            raise AssertionError(f"an inline command, one byte at a time: {got!r}")


def truncated(path):
    """Clients that die in mid-command, at each of its bytes: it is not executed."""
    command = encode("SETEX", "truncated", 60, "x" * 20)
    for length in range(1, len(command)):
        with Connection(path) as connection:
            connection.send(command[:length])
    with Connection(path) as connection:
        if connection.call("GET", "truncated") is not None:
            raise AssertionError("a truncated command was executed")


def dying_readers(path):
    """Clients that leave with many replies still to come: nobody else gets them."""
    source = random.Random(11)
    for number in range(200):
        with Connection(path, database=number % 2) as connection:
            burst = b"".join(encode("ECHO" if n % 3 else "EVAL", *(("dead",) if n % 3 else ("return 'dead'", 0)))
                             for n in range(source.randrange(1, 200)))
            if number % 4 == 0:
                burst = encode("MULTI") + burst  # An open transaction, on a connection of its own.
            elif number % 4 == 1:
                burst += encode("BLPOP", "dead:list", 20)
            elif number % 4 == 2:
                burst += encode("SUBSCRIBE", "dead:channel")
            connection.send(burst + b"*2\r\n$3\r\nGET")
            if number % 5 == 0:
                # With a reset instead of an orderly end.
                connection.socket.recv(1)


def never_reads(path):
    """A client that asks and never reads: it is stopped, and the daemon's memory has a bound."""
    before = resident_mib()
    with Connection(path) as setup:
        setup.call("SETEX", "large", 60, "x" * 1_048_576)
    with Connection(path, timeout=1.0) as connection:
        connection.socket.setblocking(False)
        request, deadline = encode("GET", "large"), time.monotonic() + 10.0
        unsent, cut, peak = memoryview(request * 4000), False, 0
        while time.monotonic() < deadline and not cut:
            poll = select.poll()
            poll.register(connection.socket, select.POLLOUT if unsent else 0)
            cut = any(event & select.POLLHUP for _, event in poll.poll(50))
            try:
                unsent = unsent[connection.socket.send(unsent[:2048]):]
            except BlockingIOError:
                pass
            except ConnectionError:
                cut = True
            peak = max(peak, resident_mib() - before)
        sent = 4000 - len(unsent) // len(request)
    if plain:
        return  # Redis has no such limit of its own.
    print(f"note never-reader: {'cut off' if cut else 'held back'} after asking for {sent} MiB, "
          f"memory +{peak} MiB")
    if peak > MEMORY_GROWTH_MIB:
        raise AssertionError(f"a client that never reads: memory grew by {peak} MiB")
    if not cut:
        raise AssertionError("a client that never reads was not cut off")


def subscriber_never_reads(path):
    """The same with pushed messages, which nobody asked for one by one."""
    with Connection(path, timeout=5.0) as deaf, Connection(path, timeout=20.0) as speaker:
        deaf.call("SUBSCRIBE", "loud")
        before, message = resident_mib(), "x" * 200_000
        for _ in range(60):
            speaker.pipeline([("PUBLISH", "loud", message)] * 10)
        if not plain and resident_mib() - before > MEMORY_GROWTH_MIB:
            raise AssertionError(f"a deaf subscriber: memory grew by {resident_mib() - before} MiB")


def many_clients(path):
    """Thousands of connections at once: each gets its own answer, an error or a close."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(MANY_CLIENTS, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, wanted + 200)), hard))
    connections, answered, turned_away = [], 0, 0
    try:
        for number in range(wanted):
            try:
                connections.append(connect_patiently(path))
            except ConnectionError:
                turned_away += 1
                continue
            try:
                connections[-1].send(encode("ECHO", number) + encode("EVAL", "return ARGV[1]", 0, number))
            except ConnectionError:
                pass  # Turned away: its reply below says so, or its close.
            connections[-1].token = str(number).encode()
        for connection in connections:
            try:
                got = [connection.reply(), connection.reply()]
            except ConnectionError:
                turned_away += 1
                continue
            if any(isinstance(reply, ErrorReply) for reply in got):
                turned_away += 1
            elif got == [connection.token] * 2:
                answered += 1
            else:
                raise AssertionError(f"one of many clients: {got!r} instead of {connection.token!r}")
    finally:
        for connection in connections:
            connection.close()
    print(f"note {answered} of {wanted} clients at once answered, {turned_away} turned away")
    if answered < min(wanted, 1000):
        raise AssertionError(f"only {answered} of {wanted} clients at once were answered")


def resident_mib():
    if not server:
        return 0
    with open(f"/proc/{server}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def descriptors():
    return len(os.listdir(f"/proc/{server}/fd")) if server else 0


def no_leak(before):
    """Once all have gone, so have their descriptors; what the pool holds may differ a little."""
    deadline = time.monotonic() + 15.0
    while descriptors() > before + 16:
        if time.monotonic() > deadline:
            raise AssertionError(f"{descriptors()} descriptors are open afterwards, {before} were before")
        time.sleep(0.05)


ATTACKS = [malformed, words_that_close, garbage, after_an_error, byte_by_byte, truncated, dying_readers,
           never_reads, subscriber_never_reads, many_clients]


def main():
    path = sys.argv[2]
    failures, before = [], descriptors()
    for attack in ATTACKS:
        witnesses = [Witness(path, number) for number in range(WITNESSES)]
        for witness in witnesses:
            witness.start()
        while any(w.is_alive() and not w.batches for w in witnesses):
            time.sleep(0.005)  # Bounded by their own timeout.
        try:
            attack(path)
        except Exception as error:  # Each attack for itself: the next one still tells something.
            failures.append(f"{attack.__name__}: {type(error).__name__}: {error}")
        for witness in witnesses:
            witness.stopping.set()
        for witness in witnesses:
            witness.join(30.0)
            if witness.is_alive():
                failures.append(f"{attack.__name__}: a well-behaved client hangs")
            elif witness.complaint:
                failures.append(f"{attack.__name__}: to a well-behaved client: {witness.complaint}")
            elif not witness.batches:
                failures.append(f"{attack.__name__}: a well-behaved client got nothing done")
    try:
        no_leak(before)
    except AssertionError as error:
        failures.append(str(error))
    print("version", f"{len(MALFORMED)} malformed requests")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
