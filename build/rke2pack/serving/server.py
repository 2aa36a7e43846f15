"""Server: accepts connections on one address, each with a thread of its own, up to a ceiling.

Where all threads are taken, the connection that has been idle longest is ended;
as long as none is idle, new ones wait in the kernel's queue.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rke2pack.errors import ConfigError, ToolError
from rke2pack.serving.connection import Connection, Limits
from rke2pack.serving.message import Answerer

LOOPBACK = "127.0.0.1"
_LISTEN = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>\d{1,5})\Z"
)
_MAX_PORT = 65535
_BACKLOG = 512
_PAUSE = 0.05

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen: a host or an address, and a port; 0 stands for a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Parse ``127.0.0.1:5000`` or ``[::1]:5000``; raises ConfigError."""
        match = _LISTEN.match(text)
        if match is None or int(match["port"]) > _MAX_PORT:
            msg = f"not an address to listen on: {text[:100]!r}"
            raise ConfigError(msg, hint="write it as HOST:PORT, like 127.0.0.1:5000")
        return cls(host=match["six"] or match["host"], port=int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server:
    """A listening socket and the connections that came through it."""

    def __init__(
        self,
        listen: Listen,
        answer: Answerer,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        tell: Callable[[str], None] = _log.debug,
    ) -> None:
        """Open the port; raises ToolError. ``tell`` gets one line an answer."""
        self._answer, self._tls, self._tell = answer, tls, tell
        self._limits = limits or Limits()
        self._socket = _bound(listen)
        self._slots = threading.BoundedSemaphore(self._limits.connections)
        self._connections: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._is_ending = False
        port: int = self._socket.getsockname()[1]
        self.listen = Listen(host=listen.host, port=port)
        self._acceptor = threading.Thread(target=self._accept, name="acceptor", daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://{self.listen}"

    def start(self) -> None:
        """Accept connections from now on."""
        self._acceptor.start()

    def stop(self, *, seconds: float) -> bool:
        """Accept no more, finish the answers under way; return whether all were in time."""
        self._is_ending = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._socket.close()
        deadline = time.monotonic() + seconds
        for connection in self._open():
            connection.end()
        for thread in self._threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        late = self._open()
        for connection in late:
            connection.cut()
        return not late

    def _open(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._connections.values())

    def _accept(self) -> None:
        while not self._is_ending:
            try:
                sock, peer = self._socket.accept()
            except OSError as exc:
                if exc.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    _log.warning("cannot accept a connection: %s", exc.strerror)
                    time.sleep(_PAUSE)
                continue
            if not self._has_slot():
                sock.close()
                return
            connection = Connection(sock, str(peer[0]), self._limits, self._tell)
            thread = threading.Thread(
                target=self._run, args=(connection,), name="connection", daemon=True
            )
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _has_slot(self) -> bool:
        """Take a slot, waiting for one; false when the server ends meanwhile."""
        while not self._slots.acquire(timeout=_PAUSE):
            if self._is_ending:
                return False
            idle = [(c.idle_since, c) for c in self._open() if c.idle_since is not None]
            if idle:
                min(idle, key=lambda each: each[0])[1].end()
        return True

    def _run(self, connection: Connection) -> None:
        try:
            connection.serve(self._answer, self._tls)
        finally:
            with self._lock:
                del self._connections[connection]
            self._slots.release()


@contextlib.contextmanager
def running(
    answer: Answerer, *, listen: Listen | None = None, limits: Limits | None = None
) -> Iterator[Server]:
    """Run a server on loopback for the length of a block; raises ToolError."""
    server = Server(listen or Listen(host=LOOPBACK, port=0), answer, limits=limits)
    server.start()
    try:
        yield server
    finally:
        server.stop(seconds=1.0)


def _bound(listen: Listen) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(_BACKLOG)
        except BaseException:
            sock.close()
            raise
    except OSError as exc:
        msg = f"cannot listen on {listen}: {exc.strerror or exc}"
        raise ToolError(
            msg, hint="choose another port, or an address of this machine, with --listen"
        ) from exc
    return sock
