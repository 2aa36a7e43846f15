"""Byte stream: chunks of any length, read by the byte."""

from __future__ import annotations

from collections.abc import Iterable


class ByteStream:
    """What chunks hold, one after the other; a piece is a view of a chunk, not a copy."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Read ``chunks``, each when the one before it is used up."""
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def piece(self, limit: int) -> memoryview:
        """Return at least one and at most ``limit`` bytes, none at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return memoryview(b"")
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:limit], self._rest[limit:]
        return piece

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""
        found = bytearray()
        while len(found) < size:
            piece = self.piece(size - len(found))
            if not piece:
                break
            found += piece
        return bytes(found)
