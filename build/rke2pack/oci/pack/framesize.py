"""Frame size: how long a frame is decoded, as it says itself; nothing is decoded for it.

Sources: RFC 8878, section 3.1.1.1 (Frame_Content_Size); RFC 1952, section 2.3.1 (ISIZE).
"""

from __future__ import annotations

from typing import Final

START_BYTES: Final = 18
END_BYTES: Final = 4
GZIP_MODULUS: Final = 1 << 32
_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_SINGLE_SEGMENT = 0x20


def decoded(start: bytes, end: bytes) -> int | None:
    """Return how many bytes a frame decodes to; None where it is no frame or does not say.

    ``start`` are its first 18 bytes and ``end`` its last 4, or all of a shorter
    one. What a gzip member says is the size modulo 2**32.
    """
    if start.startswith(_GZIP) and len(end) == END_BYTES:
        return int.from_bytes(end, "little")
    if not start.startswith(_ZSTD) or len(start) <= len(_ZSTD):
        return None
    descriptor = start[4]
    is_single = bool(descriptor & _SINGLE_SEGMENT)
    length = (int(is_single), 2, 4, 8)[descriptor >> 6]
    first = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    field = start[first : first + length]
    if not length or len(field) < length:
        return None
    size = int.from_bytes(field, "little")
    return size + 256 if length == 2 else size  # noqa: PLR2004 - two bytes count from 256
