"""Hashing: SHA-256 on a thread of its own, beside the one that reads or writes the bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rke2pack.digest import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future

_CHUNK = 1024 * 1024
_AHEAD = 4


def digest_of(path: Path) -> Digest:
    """Return the digest of a file, read in constant memory; raises OSError."""
    hashed = hashlib.sha256()
    with path.open("rb", buffering=0) as handle:
        while chunk := handle.read(_CHUNK):
            hashed.update(chunk)
    return Digest(hashed.hexdigest())


class Hashing:
    """Hashes chunks in the order in which they are given; at most a few of them wait."""

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow, not for a file

        self._hashed = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def update(self, chunk: bytes) -> None:
        """Take the next bytes, which must not change any more."""
        self._waiting.append(self._pool.submit(self._hashed.update, chunk))
        while len(self._waiting) > _AHEAD:
            self._waiting.popleft().result()

    def digest(self) -> Digest:
        """Return the digest of everything."""
        while self._waiting:
            self._waiting.popleft().result()
        return Digest(self._hashed.hexdigest())


class Trail(threading.Thread):
    """Hashes a file from its start while another thread appends to it."""

    def __init__(self, descriptor: int) -> None:
        """Read ``descriptor``, which stays open until `digest` or `stop`, by position."""
        super().__init__(name="trail", daemon=True)
        self._descriptor = descriptor
        self._hashed = hashlib.sha256()
        self._changed = threading.Condition()
        self._size = 0
        self._done = 0
        self._is_whole = False
        self._error: OSError | None = None

    def grown(self, size: int) -> None:
        """Say that the file has ``size`` bytes now."""
        with self._changed:
            self._size = size
            self._changed.notify()

    def digest(self) -> Digest:
        """Wait for the end and return the digest; raises OSError when the file is not readable."""
        self._finish()
        if self._error is not None:
            raise self._error
        return Digest(self._hashed.hexdigest())

    def stop(self) -> None:
        """Leave the file where it is; does nothing at its end."""
        with self._changed:
            self._size = 0
        self._finish()

    def run(self) -> None:
        """Follow the writer."""
        while size := self._wait():
            try:
                chunk = os.pread(self._descriptor, min(_CHUNK, size), self._done)
            except OSError as exc:
                self._error = exc
                return
            if not chunk:
                self._error = OSError(errno.EIO, "the file was cut short while it was written")
                return
            self._hashed.update(chunk)
            self._done += len(chunk)

    def _wait(self) -> int:
        """Return how many bytes there are to hash, 0 at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_whole or self._size > self._done)
            return max(self._size - self._done, 0)

    def _finish(self) -> None:
        with self._changed:
            self._is_whole = True
            self._changed.notify()
        if self.ident is not None:
            self.join()
