"""Coding: how bytes become one frame of a ``.tar.zst`` or one member of a ``.tar.gz``, and back.

The same bytes always give the same frame with the same library; ``name`` says
what decides it. Frames and members may follow each other (RFC 8878, RFC 1952).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from rke2pack.errors import IntegrityError

Buffer = bytes | bytearray
WINDOW_LOG = 25
HINT = "run 'rke2pack cache verify', then pull"
_GZIP_BITS = 31
_UNPACK = 1024 * 1024


class Coding(Protocol):
    """What `frames.encode` calls, in several threads."""

    @property
    def name(self) -> str:
        """A file name that tells apart what gives different bytes."""

    def encode(self, data: Buffer) -> bytes:
        """Return one frame; releases the interpreter while it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zstd:
    """Zstandard with content size and checksum, and a window of at most 32 MiB.

    A node's decoder takes no larger window. Each frame is compressed by one
    thread: inside of one, the work of several would depend on their number.
    Looking for matches far back is left out where it ``is_near``: in what is
    compressed already it finds nothing and takes most of the time.
    """

    level: int
    is_near: bool = False

    @property
    def name(self) -> str:
        """Return ``zstd-<level>-<window_log>-<libzstd's version>``."""
        near = "-near" if self.is_near else ""
        return f"zstd-{self.level}-{WINDOW_LOG}{near}-{zstd.zstd_version}"

    def encode(self, data: Buffer) -> bytes:
        """Return one frame."""
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: self.level,
            zstd.CompressionParameter.window_log: WINDOW_LOG,
            zstd.CompressionParameter.enable_long_distance_matching: int(not self.is_near),
            zstd.CompressionParameter.checksum_flag: 1,
        }
        compressor = zstd.ZstdCompressor(options=options)
        return compressor.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip:
    """Gzip by zlib, time 0 and no name; level 0 only wraps."""

    level: int

    @property
    def name(self) -> str:
        """Return ``gzip-<level>-<zlib's version>``."""
        return f"gzip-{self.level}-{zlib.ZLIB_RUNTIME_VERSION}"

    def encode(self, data: Buffer) -> bytes:
        """Return one member."""
        return zlib.compress(data, self.level, _GZIP_BITS)


def gunzipped(chunks: Iterable[bytes], *, what: str) -> Iterator[bytes]:
    """Decode gzip, of one member or several; raises IntegrityError where it is damaged."""
    decoder = zlib.decompressobj(_GZIP_BITS)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if decoder.eof:
                    decoder = zlib.decompressobj(_GZIP_BITS)
                yield decoder.decompress(rest, _UNPACK)
                rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    except zlib.error as exc:
        raise _damaged(what, str(exc)) from exc
    if not decoder.eof:
        raise _damaged(what, "it ends too early")


def unzstd(chunks: Iterable[bytes], *, what: str) -> Iterator[bytes]:
    """Decode Zstandard frames; raises IntegrityError where they are damaged."""
    decoder = zstd.ZstdDecompressor()
    try:
        for chunk in chunks:
            rest = chunk
            while rest or not (decoder.eof or decoder.needs_input):
                if decoder.eof:
                    decoder = zstd.ZstdDecompressor()
                yield decoder.decompress(rest, _UNPACK)
                rest = decoder.unused_data if decoder.eof else b""
    except zstd.ZstdError as exc:
        raise _damaged(what, str(exc)) from exc
    if not decoder.eof:
        raise _damaged(what, "it ends too early")


def _damaged(what: str, why: str) -> IntegrityError:
    return IntegrityError(f"{what} is damaged: {why}", hint=HINT)
