"""Stream: a blob on its way into a registry, checked before its last bytes leave.

A registry gives a blob its name when the upload is complete. The last block is
held back until all bytes were hashed, so a blob that is not what its digest
says is never completed. Nothing is kept but hash states: going back to an
earlier place reads from the origin again.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rke2pack import files
from rke2pack.errors import IntegrityError
from rke2pack.oci.model import Descriptor
from rke2pack.progress import Position

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry

_BLOCK = 256 * 1024
# How much is read again at most, when an upload is taken up.
_MARK = 16 * 1024 * 1024


class Origin(Protocol):
    """Where a blob's bytes are; they need not be what its digest says."""

    def read(self, start: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOrigin:
    """A blob that is a file."""

    path: Path

    def read(self, start: int) -> Iterator[bytes]:
        """Yield the file's bytes; raises ToolError."""
        with files.reported("read", self.path):
            handle = self.path.open("rb", buffering=0)
        with handle:
            handle.seek(start)
            while True:
                with files.reported("read", self.path):
                    chunk = handle.read(_BLOCK)
                if not chunk:
                    return
                yield chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesOrigin:
    """A small blob in memory."""

    data: bytes

    def read(self, start: int) -> Iterator[bytes]:
        """Yield the bytes at once."""
        yield self.data[start:]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOrigin:
    """A blob in a registry's repository; what breaks is taken up by Range."""

    registry: Registry
    repository: str
    blob: Descriptor

    def read(self, start: int) -> Iterator[bytes]:
        """Yield the blob's bytes; raises RegistryError after retries."""
        return self.registry.read_blob(self.repository, self.blob, start=start)


class ShownOrigin:
    """An origin that tells how far it was read."""

    def __init__(self, origin: Origin, position: Position) -> None:
        """Move ``position`` along."""
        self._origin, self._position = origin, position

    def read(self, start: int) -> Iterator[bytes]:
        """Yield the origin's bytes."""
        for chunk in self._origin.read(start):
            start += len(chunk)
            self._position.move(start)
            yield chunk


class Stream:
    """One blob's bytes, in parts that follow each other or go back."""

    def __init__(
        self, blob: Descriptor, origin: Origin, *, what: str, count: Callable[[int], None]
    ) -> None:
        """Read ``blob`` from ``origin``; ``what`` stands in messages, ``count`` is told of bytes.

        Told are the bytes that are given out.
        """
        self.blob = blob
        self.count = count
        self.failure: BaseException | None = None
        self._origin, self._what = origin, what
        self._hash = hashlib.sha256()
        self._marks = [(0, self._hash.copy())]
        self._position = 0
        self._chunk, self._taken = b"", 0
        self._chunks: Iterator[bytes] | None = None

    def close(self) -> None:
        """Let go of the origin."""
        chunks, self._chunks = self._chunks, None
        if chunks is not None and hasattr(chunks, "close"):
            with contextlib.suppress(Exception):
                chunks.close()

    def part(self, start: int, length: int) -> Part:
        """Return ``length`` bytes from ``start`` on as a request's body."""
        return Part(self, start, length)

    def go(self, position: int) -> None:
        """Make ``position`` the next place to read from."""
        if position == self._position and self._chunks is not None:
            return
        self.close()
        place, state = next(mark for mark in reversed(self._marks) if mark[0] <= position)
        self._marks = [mark for mark in self._marks if mark[0] <= place]
        self._position, self._hash = place, state.copy()
        self._chunk, self._taken = b"", 0
        self._chunks = self._origin.read(place)
        while self._position < position:
            self.read(position - self._position)

    def read(self, limit: int) -> bytes:
        """Return at most ``limit`` of the next bytes.

        Raises IntegrityError instead of the last ones, where all of them are
        not what the digest says. What goes wrong is ``failure``, too.
        """
        try:
            return self._read(limit)
        except BaseException as exc:
            self.failure = exc
            raise

    def _read(self, limit: int) -> bytes:
        if self._taken == len(self._chunk):
            self._chunk, self._taken = next(self._chunks or iter(()), b""), 0
        data = self._chunk[self._taken : self._taken + limit]
        if not data:
            msg = f"{self._what}: ends at byte {self._position} of {self.blob.size}"
            raise IntegrityError(msg)
        self._taken += len(data)
        self._hash.update(data)
        self._position += len(data)
        if self._position - self._marks[-1][0] >= _MARK:
            self._marks.append((self._position, self._hash.copy()))
        if self._position == self.blob.size and self._hash.hexdigest() != self.blob.digest.hex:
            msg = f"{self._what}: content is sha256:{self._hash.hexdigest()}"
            raise IntegrityError(
                msg, hint="fetch it again; if it stays, the source was changed or damaged"
            )
        return data


class Part:
    """A part of a stream; a `wire.Rereadable`."""

    def __init__(self, stream: Stream, start: int, length: int) -> None:
        """Cover ``length`` bytes from ``start`` on."""
        self.len = length
        self._stream, self._start = stream, start
        self._place = 0

    def tell(self) -> int:
        """Return the place within the part."""
        return self._place

    def seek(self, position: int) -> int:
        """Go to a place within the part; bytes before it may be read again."""
        self._place = position
        return position

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002 - the least of a block, a part and what has come
        """Read on, never beyond the part."""
        left = self.len - self._place
        if not left:
            return b""
        self._stream.go(self._start + self._place)
        # One block is one send, and has to be through before the connection's time-out.
        data = self._stream.read(min(left, _BLOCK))
        self._stream.count(len(data))
        self._place += len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data
