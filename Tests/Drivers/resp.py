# SPDX-License-Identifier: Apache-2.0
"""A bare RESP2 client for the tests themselves, so that they depend on none of the clients under test."""
import socket


class ErrorReply(Exception):
    """The server answered with an error; its text begins with the error word."""


def encode(*arguments):
    """One request as bytes. Arguments are bytes or anything str() takes."""
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


class Connection:
    """One connection to a Unix socket (a path) or to a TCP port (a host and a port)."""

    def __init__(self, address, timeout=5.0, database=0):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.pending = b""
        try:
            self.socket.connect(address)
            if database:
                self.call("SELECT", database)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def call(self, *arguments):
        """Sends one command and returns its reply; raises ErrorReply."""
        self.send(encode(*arguments))
        reply = self.reply()
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def pipeline(self, commands):
        """Sends all commands in one write; errors are among the replies."""
        self.send(b"".join(encode(*c) for c in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        """The next reply; an error reply is returned, not raised. Raises ConnectionError at the end."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ErrorReply(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else self._bytes(int(rest))
        if kind == b"*":
            return None if int(rest) < 0 else [self.reply() for _ in range(int(rest))]
        raise ConnectionError(f"not a RESP2 reply: {line[:80]!r}")

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the server")
        self.pending += data

    def _line(self):
        while b"\r\n" not in self.pending:
            self._more()
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def _bytes(self, count):
        while len(self.pending) < count + 2:
            self._more()
        value, self.pending = self.pending[:count], self.pending[count + 2:]
        return value
