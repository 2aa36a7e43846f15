"""Tarball: the bytes of a tar with nothing in it that depends on who made it, or when.

Format: POSIX ustar. A member of 8 GiB or more has its size in GNU's base-256
form, which ustar's eleven octal digits cannot hold; Go, Python and GNU tar read it.
"""

from __future__ import annotations

import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)
_USTAR_LIMIT = 8 * 1024**3
_MODE = 0o644


def header(name: str, size: int) -> bytes:
    """Return the header of a file: mode 0644, owner 0:0 without names, time 0."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, _MODE, 0
    if size < _USTAR_LIMIT:
        return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """Return the zeros that follow a file's content, up to the next block."""
    return bytes(-size % BLOCK)


def member(name: str, data: bytes) -> bytes:
    """Return a whole small file: header, content, padding."""
    return header(name, len(data)) + data + padding(len(data))
