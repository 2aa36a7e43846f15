"""Coding: how bytes become one frame of a ``.tar.zst`` or one member of a ``.tar.gz``, and back.

The same bytes always give the same frame with the same library; ``name`` says
what decides it. Frames and members may follow each other (RFC 8878, RFC 1952).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from isal import isal_zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from rke2pack.errors import IntegrityError
from rke2pack.oci import frameheader

Strategy = zstd.Strategy  # libzstd's ways to search
Buffer = bytes | bytearray
WINDOW_LOG = 25
FRAME_BYTES = 32 * 1024 * 1024
HINT = "run 'rke2pack cache verify', then pull"
_GZIP_BITS = 31
_GZIP_ERROR: type[Exception] = cast("type[Exception]", isal_zlib.error)  # its stub has a value
_UNPACK = 1024 * 1024


class Coding(Protocol):
    """What `frames.encode` calls, in several threads."""

    @property
    def name(self) -> str:
        """A file name that tells apart what gives different bytes."""

    def encode(self, data: Buffer) -> bytes:
        """Return one frame; releases the interpreter while it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How matches are looked for, instead of the level's own way (zstd.h, ZSTD_cParameter).

    ``min_match`` is in bytes, a match of ``target_length`` is good enough; the
    others are powers of two: attempts at a place, and places that the two tables
    remember. 0 is the level's own.
    """

    strategy: Strategy
    min_match: int
    search_log: int
    hash_log: int
    chain_log: int = 0
    target_length: int = 0

    def __str__(self) -> str:
        numbers = {
            "m": self.min_match,
            "s": self.search_log,
            "h": self.hash_log,
            "c": self.chain_log,
            "t": self.target_length,
        }
        said = "".join(f"{letter}{number}" for letter, number in numbers.items() if number)
        return f"{self.strategy.name}-{said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zstd:
    """Zstandard with content size and checksum, and a window of at most 32 MiB.

    A node's decoder takes no larger window. Each frame is compressed by one
    thread: inside of one, the work of several would depend on their number.
    Long-distance matching is off: the window covers a whole frame.
    """

    level: int
    search: Search | None = None

    @property
    def name(self) -> str:
        """Return ``zstd-<level>-<window_log>[-<search>]-<libzstd's version>``."""
        search = f"-{self.search}" if self.search else ""
        return f"zstd-{self.level}-{WINDOW_LOG}{search}-{zstd.zstd_version}"

    def encode(self, data: Buffer) -> bytes:
        """Return one frame."""
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: self.level,
            zstd.CompressionParameter.window_log: WINDOW_LOG,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        if self.search is not None:
            options |= {
                zstd.CompressionParameter.strategy: self.search.strategy,
                zstd.CompressionParameter.min_match: self.search.min_match,
                zstd.CompressionParameter.search_log: self.search.search_log,
                zstd.CompressionParameter.hash_log: self.search.hash_log,
                zstd.CompressionParameter.chain_log: self.search.chain_log,
                zstd.CompressionParameter.target_length: self.search.target_length,
            }
        compressor = zstd.ZstdCompressor(options=options)
        return compressor.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip:
    """Gzip by zlib, time 0 and no name."""

    level: int

    @property
    def name(self) -> str:
        """Return ``gzip-<level>-<zlib's version>``."""
        return f"gzip-{self.level}-{zlib.ZLIB_RUNTIME_VERSION}"

    def encode(self, data: Buffer) -> bytes:
        """Return one member."""
        return zlib.compress(data, self.level, _GZIP_BITS)


def gunzipped(chunks: Iterable[bytes], *, what: str, hint: str = HINT) -> Iterator[bytes]:
    """Decode gzip, of one member or several; raises IntegrityError where it is damaged."""
    decoder = isal_zlib.decompressobj(_GZIP_BITS)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if decoder.eof:
                    decoder = isal_zlib.decompressobj(_GZIP_BITS)
                yield decoder.decompress(rest, _UNPACK)
                rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    except _GZIP_ERROR as exc:
        raise _damaged(what, str(exc), hint) from exc
    if not decoder.eof:
        raise _damaged(what, "it ends too early", hint)


def unzstd(
    chunks: Iterable[bytes],
    *,
    what: str,
    hint: str = HINT,
    on_frame: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """Decode Zstandard frames; raises IntegrityError where they are damaged.

    ``on_frame`` is called with the window that each frame needs, in bytes. A
    window above 128 MiB is an error: the decoder holds it in memory.
    """
    decoder = zstd.ZstdDecompressor()
    start, is_new = b"", True
    try:
        for chunk in _with_end(chunks):
            rest = start + chunk
            start = b""
            while rest or not (is_new or decoder.eof or decoder.needs_input):
                if is_new and chunk and len(rest) < frameheader.START_BYTES:
                    start = rest
                    break
                if is_new:
                    if on_frame is not None:
                        on_frame(frameheader.window(rest))
                    decoder, is_new = zstd.ZstdDecompressor(), False
                yield decoder.decompress(rest, _UNPACK)
                is_new = decoder.eof
                rest = decoder.unused_data if is_new else b""
    except zstd.ZstdError as exc:
        raise _damaged(what, str(exc), hint) from exc
    if not decoder.eof:
        raise _damaged(what, "it ends too early", hint)


def _with_end(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks that are not empty, then an empty one."""
    yield from filter(None, chunks)
    yield b""


def _damaged(what: str, why: str, hint: str) -> IntegrityError:
    return IntegrityError(f"{what} is damaged: {why}", hint=hint)
