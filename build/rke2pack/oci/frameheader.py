"""Frame header: what a frame says of itself, its decoded size and window; nothing is decoded.

Sources: RFC 8878, section 3.1.1.1 (Zstandard's header); RFC 1952, section 2.3.1 (ISIZE).
"""

from __future__ import annotations

from typing import Final

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
START_BYTES: Final = 18
END_BYTES: Final = 4
GZIP_MODULUS: Final = 1 << 32
_SHORTEST = 6
_DESCRIPTOR = len(ZSTD)
_SINGLE_SEGMENT = 0x20


def decoded(start: bytes, end: bytes) -> int | None:
    """Return how many bytes a frame decodes to; None where it is no frame or does not say.

    ``start`` are its first 18 bytes and ``end`` its last 4, or all of a shorter
    one. What a gzip member says is the size modulo 2**32.
    """
    if start.startswith(GZIP) and len(end) == END_BYTES:
        return int.from_bytes(end, "little")
    return _content_size(start) if start.startswith(ZSTD) else None


def window(start: bytes) -> int:
    """Return how many bytes a decoder keeps for a frame; 0 for one without content.

    ``start`` are the first 18 bytes of the frame, or all of a shorter one.
    """
    if not start.startswith(ZSTD) or len(start) < _SHORTEST:
        return 0
    if start[_DESCRIPTOR] & _SINGLE_SEGMENT:
        return _content_size(start) or 0
    said = start[_DESCRIPTOR + 1]
    base = 1 << (10 + (said >> 3))
    return base + (base >> 3) * (said & 7)


def _content_size(start: bytes) -> int | None:
    if len(start) <= _DESCRIPTOR:
        return None
    descriptor = start[_DESCRIPTOR]
    is_single = bool(descriptor & _SINGLE_SEGMENT)
    length = (int(is_single), 2, 4, 8)[descriptor >> 6]
    first = _DESCRIPTOR + 1 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    field = start[first : first + length]
    if not length or len(field) < length:
        return None
    size = int.from_bytes(field, "little")
    return size + 256 if length == 2 else size  # noqa: PLR2004 - two bytes count from 256
