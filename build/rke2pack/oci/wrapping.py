"""Wrapping: frames around bytes that are compressed already; nothing gets smaller.

The bytes stand in blocks that say so themselves (RFC 8878, section 3.1.1.2.2;
RFC 1951, section 3.2.4), so nothing is searched and nothing copied: what comes
out is what went in, with headers between, for `os.writev`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import xxhash
from isal import isal_zlib

from rke2pack.oci import frameheader
from rke2pack.oci.coding import FRAME_BYTES, Buffer

# What is wrapped at a time; a frame has a whole number of these, and these of blocks.
PIECE_BYTES = 1024 * 1024
# The most that one block may have, and the power of two that is a decoder's whole memory for it.
_ZSTD_BLOCK, _ZSTD_WINDOW_LOG = 128 * 1024, 17
_GZIP_BLOCK = 32 * 1024
# Magic number, then: a content size of 4 bytes, a checksum, a window of its own.
_ZSTD_START = frameheader.ZSTD + b"\x84" + bytes([(_ZSTD_WINDOW_LOG - 10) << 3])
_GZIP_START = frameheader.GZIP + b"\x08" + bytes(6) + b"\xff"


class ZstdFrame:
    """A Zstandard frame of raw blocks, with content size and checksum."""

    block_bytes = _ZSTD_BLOCK

    def __init__(self) -> None:
        self._hashed = xxhash.xxh64()

    def start(self, length: int) -> bytes:
        """Return what stands before a frame of ``length`` bytes."""
        return _ZSTD_START + length.to_bytes(4, "little")

    def block(self, length: int, *, is_last: bool) -> bytes:
        """Return what stands before a block."""
        return (length << 3 | is_last).to_bytes(3, "little")

    def add(self, piece: Buffer) -> None:
        """Take the next bytes into the checksum."""
        self._hashed.update(piece)

    def end(self, length: int) -> bytes:  # noqa: ARG002 - the header has it
        """Return what stands at the end: the low four bytes of XXH64."""
        return (self._hashed.intdigest() & 0xFFFFFFFF).to_bytes(4, "little")


class GzipFrame:
    """A gzip member of stored blocks, time 0 and no name; as `ZstdFrame`."""

    block_bytes = _GZIP_BLOCK

    def __init__(self) -> None:
        self._checksum = 0

    def start(self, length: int) -> bytes:  # noqa: ARG002 - the end has it
        """Return what stands before a member."""
        return _GZIP_START

    def block(self, length: int, *, is_last: bool) -> bytes:
        """Return what stands before a block."""
        lengths = length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little")
        return bytes([is_last]) + lengths

    def add(self, piece: Buffer) -> None:
        """Take the next bytes into the checksum."""
        self._checksum = isal_zlib.crc32(piece, self._checksum)

    def end(self, length: int) -> bytes:
        """Return what stands at the end: CRC-32 and length."""
        return self._checksum.to_bytes(4, "little") + length.to_bytes(4, "little")


Frame = ZstdFrame | GzipFrame


class Wrapping:
    """Wraps bytes in frames of one format; ``name`` tells apart what gives different bytes."""

    def __init__(self, name: str, frame: type[Frame]) -> None:
        self.name, self._frame = name, frame

    def wrap(self, pieces: Iterable[Buffer], size: int) -> Iterator[list[Buffer | memoryview]]:
        """Yield, a list a piece, the frames of pieces with ``size`` bytes in all.

        Each piece but the last has `PIECE_BYTES`; a frame holds at most `FRAME_BYTES`.
        """
        left, room = size, 0
        for piece in pieces:
            found: list[Buffer | memoryview] = []
            if not room:
                length = room = min(left, FRAME_BYTES)
                frame = self._frame()
                found.append(frame.start(length))
            room -= len(piece)
            left -= len(piece)
            frame.add(piece)
            found += _blocks(frame, piece, is_end=not room)
            if not room:
                found.append(frame.end(length))
            yield found


def _blocks(frame: Frame, piece: Buffer, *, is_end: bool) -> Iterator[Buffer | memoryview]:
    view = memoryview(piece)
    for start in range(0, len(piece), frame.block_bytes):
        part = view[start : start + frame.block_bytes]
        is_last = is_end and start + len(part) == len(piece)
        yield frame.block(len(part), is_last=is_last)
        yield part


ZSTD = Wrapping(f"zstd-wrap-{_ZSTD_BLOCK}", ZstdFrame)
GZIP = Wrapping(f"gzip-wrap-{_GZIP_BLOCK}", GzipFrame)
