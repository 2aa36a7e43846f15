"""Watch: ends waits for the other side, which a socket's own time-out does not.

A time-out counts from one byte to the next, so that a host which sends a byte
now and then could keep a thread for ever; and nothing tells a socket that the
work was stopped. So the sockets that are waited for are shut from outside.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

# What a head may take beyond the time until its first byte.
HEAD_SECONDS = 30.0
SEND_SECONDS = 60.0
_TICK = 0.25


class Watch:
    """Shuts sockets whose time is over, or all when ``stopped`` is set; safe for threads."""

    def __init__(self, stopped: threading.Event) -> None:
        """Run a thread only as long as there is something to look after."""
        self._stopped = stopped
        self._ends: dict[socket.socket, float] = {}
        self._shut: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_running = False

    @contextlib.contextmanager
    def over(
        self, sock: socket.socket, seconds: float, what: str = "the head of the answer"
    ) -> Iterator[None]:
        """Look after a socket for the length of a block, in which it is waited for ``what``.

        Raises TimeoutError where the block took longer than ``seconds``,
        CancelledError where the work was stopped; the socket is shut then.
        """
        with self._lock:
            self._ends[sock] = time.monotonic() + seconds
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="watch", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._ends.pop(sock, None)
                was_shut = sock in self._shut
                self._shut.discard(sock)
            if was_shut:
                if self._stopped.is_set():
                    raise CancelledError
                msg = f"{what} took too long"
                raise TimeoutError(msg)

    def _run(self) -> None:
        idle = 0
        while True:
            if self._stopped.is_set():
                time.sleep(_TICK)
            else:
                self._stopped.wait(_TICK)
            with self._lock:
                idle = 0 if self._ends else idle + 1
                if idle > 1:
                    self._is_running = False
                    return
                self._shut_late()

    def _shut_late(self) -> None:
        now, is_stopped = time.monotonic(), self._stopped.is_set()
        for sock, end in list(self._ends.items()):
            if is_stopped or now > end:
                del self._ends[sock]
                self._shut.add(sock)
                # Of the connection below TLS: TLS itself is in use by the thread that waits.
                # (urllib3's TLS within a proxy's TLS is no socket and has one.)
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(getattr(sock, "socket", sock), socket.SHUT_RDWR)


def attach(pool: Any, watch: Watch) -> None:  # noqa: ANN401 - urllib3's, which has its home elsewhere
    """Have all connections of a pool looked after while they send, and wait for an answer."""
    own = pool.ConnectionCls
    if issubclass(own, _Watched):
        return
    pool.ConnectionCls = type(f"Watched{own.__name__}", (_Watched, own), {"watch": watch})


class _Watched:
    """What is put before a pool's class of connections."""

    watch: Watch
    sock: socket.socket | None
    timeout: float | None

    def send(self, data: Any) -> None:  # noqa: ANN401 - whatever the pool's class takes
        """Send a part of a request."""
        parent: Any = super()
        if self.sock is None:
            parent.send(data)
            return
        with self.watch.over(self.sock, SEND_SECONDS, "sending"):
            parent.send(data)

    def getresponse(self) -> Any:  # noqa: ANN401 - whatever the pool's class gives
        """Read the head of an answer; who reads its body is told how to be looked after."""
        parent: Any = super()
        sock = self.sock
        if sock is None:
            return parent.getresponse()
        with self.watch.over(sock, (self.timeout or 0.0) + HEAD_SECONDS):
            # Without a name: one that came in part would be kept open by the error's traceback.
            return _watched(parent.getresponse(), partial(self.watch.over, sock, what="the answer"))


def _watched(answer: Any, waiting: Callable[[float], AbstractContextManager[None]]) -> Any:  # noqa: ANN401 - as above
    answer.waiting = waiting
    return answer
