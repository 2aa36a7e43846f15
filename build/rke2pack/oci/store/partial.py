"""Partial: a blob on its way into a layout, taken up where an earlier process died.

Bytes go to ``partial/<hex>.partial`` under an exclusive lock (``flock``, freed
by the kernel); verified, the file gets its blob's name by rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from rke2pack import filelock, files, wording
from rke2pack.errors import IntegrityError
from rke2pack.oci.model import Descriptor

_CHUNK = 1024 * 1024


class Partial:
    """The bytes of one blob so far; a `download.Sink`."""

    def __init__(self, path: Path, handle: IO[bytes], blob: Descriptor) -> None:
        """Take up what ``handle`` holds; the caller has its lock."""
        self._path = path
        self._handle = handle
        self._blob = blob
        self._hash = hashlib.sha256()
        self.offset = 0
        with files.reported("read", path):
            while chunk := handle.read(_CHUNK):
                self._hash.update(chunk)
                self.offset += len(chunk)
        if self.offset > blob.size:
            self.restart()
        self.was_resumed = self.offset > 0

    def write(self, data: bytes) -> None:
        """Append; raises ToolError when the disk is full."""
        with files.reported("write", self._path):
            rest = memoryview(data)
            while rest:
                rest = rest[self._handle.write(rest) :]
        self._hash.update(data)
        self.offset += len(data)

    def restart(self) -> None:
        """Forget all bytes."""
        with files.reported("write", self._path):
            self._handle.seek(0)
            files.empty(self._handle.fileno())
        self._hash = hashlib.sha256()
        self.offset = 0

    def commit(self, target: Path) -> None:
        """Give the blob its name; raises IntegrityError and removes it when it is another one."""
        got = self._hash.hexdigest()
        if self.offset != self._blob.size or got != self._blob.digest.hex:
            self.discard()
            size = wording.count(self.offset, "byte")
            expected = wording.count(self._blob.size, "byte")
            msg = f"{self._blob.digest}: content is sha256:{got}, {size}; expected {expected}"
            raise IntegrityError(
                msg, hint="fetch it again; if it stays, the source was changed or damaged"
            )
        with files.reported("write", target):
            os.fchmod(self._handle.fileno(), 0o644)
            self._path.replace(target)

    def discard(self) -> None:
        """Remove the bytes from the disk, unless that was done and another process begins anew."""
        with files.reported("remove", self._path):
            if filelock.leads_to(self._path, self._handle.fileno()):
                self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(
    path: Path,
    blob: Descriptor,
    *,
    is_there: Callable[[], bool],
    wait: Callable[[float], None],
) -> Iterator[Partial | None]:
    """Lock and open a partial blob; None where another process has finished it meanwhile.

    ``wait`` is called with seconds while another process holds it. Errors
    other than IntegrityError leave the bytes for the next time.
    """
    while True:
        if is_there():
            yield None
            return
        with files.reported("open", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        with handle:
            if not filelock.take(handle.fileno(), path):
                wait(filelock.PAUSE_SECONDS)
                continue
            if is_there():  # brought between the first look and the lock
                path.unlink(missing_ok=True)
                continue
            partial = Partial(path, handle, blob)
            try:
                yield partial
            except IntegrityError:
                partial.discard()
                raise
            return
