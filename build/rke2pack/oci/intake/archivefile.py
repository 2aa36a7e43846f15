"""Archive file: the bytes of a `.tar`, `.tar.gz` or `.tar.zst` from outside, whole or in parts.

What it is, is told by its first bytes, not by its name. Nothing is believed:
what it unpacks to is held against how long it is, and memory does not depend
on either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from rke2pack import files
from rke2pack.errors import ConfigError, IntegrityError, ValidationError
from rke2pack.oci import coding, frameheader

Packing = Literal["zstd", "gzip", "none"]
HINT = "get the file again and compare its sha256"
BLOBS: Final = "blobs/sha256/"
# The endings of archives, and the compression that a node takes each for; the
# first counts where an archive is there in several.
ENDINGS: Final[dict[str, Packing]] = {
    ".tar.zst": "zstd",
    ".tzst": "zstd",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar": "none",
}
# What may unpack to more than this has to be an honest part of it in length.
FREE_BYTES = 16 * 1024**3
MAX_RATIO = 1000
_READ = 1024 * 1024
_PART = re.compile(r"(?P<name>.+)\.part(?P<number>\d\d)\Z")
_SKIPPABLE = range(0x50, 0x60)
_FOREIGN = {b"BZh": "bzip2", b"\x04\x22\x4d\x18": "lz4", b"\xfd7zXZ": "xz"}
Tap = Callable[[Path, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """An archive by its ``path``; ``parts`` are the files that hold it, in order."""

    path: Path
    parts: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of all parts together; raises ToolError."""
        with files.reported("read", self.path):
            return sum(part.stat().st_size for part in self.parts)

    @property
    def packing(self) -> Packing:
        """How it is compressed; raises ValidationError for a compression that is not read."""
        with files.reported("read", self.parts[0]), self.parts[0].open("rb") as handle:
            start = handle.read(8)
        for magic, name in _FOREIGN.items():
            if start.startswith(magic):
                msg = f"{self.path}: compressed with {name}, which is not read"
                raise ValidationError(msg, hint=f"unpack it with {name} first")
        return packing_of(start)

    def raw(self, tap: Tap | None = None) -> Iterator[bytes]:
        """Yield the bytes of all parts; ``tap`` is called with each part's own, in order."""
        for part in self.parts:
            with files.reported("read", part):
                handle = part.open("rb", buffering=0)
            with handle:
                while chunk := _chunk(handle.read, part):
                    if tap is not None:
                        tap(part, chunk)
                    yield chunk

    def tar(
        self, raw: Iterator[bytes] | None = None, on_frame: Callable[[int], None] | None = None
    ) -> Iterator[bytes]:
        """Yield the bytes of the tar, from those that `raw` yields where they are given.

        ``on_frame`` is called with the window that each zstd frame needs. Raises
        IntegrityError where it is damaged, cut short, or unpacks to out of
        all proportion.
        """
        what, chunks = str(self.path), raw or self.raw()
        match self.packing:
            case "zstd":
                chunks = coding.unzstd(chunks, what=what, hint=HINT, on_frame=on_frame)
            case "gzip":
                chunks = coding.gunzipped(chunks, what=what, hint=HINT)
            case "none":
                pass
        return Budget.of(self.size).bounded(chunks, what=what)


class OutOfProportionError(IntegrityError):
    """Nothing of what it is found in is worth to be looked at further."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """What may yet be unpacked; shared by all that comes from the same file."""

    packed_size: int
    left: int

    @classmethod
    def of(cls, packed_size: int) -> Budget:
        """Return the budget of ``packed_size`` bytes."""
        return cls(packed_size=packed_size, left=max(FREE_BYTES, MAX_RATIO * packed_size))

    def bounded(self, chunks: Iterable[bytes], *, what: str) -> Iterator[bytes]:
        """Yield chunks; raises OutOfProportionError when all from the budget are too many."""
        for chunk in chunks:
            self.left -= len(chunk)
            if self.left < 0:
                limit = max(FREE_BYTES, MAX_RATIO * self.packed_size)
                msg = f"{what}: {self.packed_size} bytes unpack to more than {limit}"
                raise OutOfProportionError(msg, hint="do not trust where it comes from")
            yield chunk


def ending(name: str) -> str:
    """Return which of `ENDINGS` a file's name has; empty where it has none."""
    return next((each for each in ENDINGS if name.endswith(each)), "")


def packing_of(start: bytes) -> Packing:
    """Return how bytes are compressed that begin with ``start`` (four are enough)."""
    if start.startswith(frameheader.GZIP):
        return "gzip"
    is_skippable = start[1:4] == b"\x2a\x4d\x18" and start[0] in _SKIPPABLE
    return "zstd" if start.startswith(frameheader.ZSTD) or is_skippable else "none"


def find(path: Path) -> ArchiveFile:
    """Find an archive by its name or by that of one of its parts.

    Raises ConfigError where there is none, IntegrityError for a gap in the parts.
    """
    match = _PART.match(path.name)
    whole = path.with_name(match["name"]) if match else path
    with files.reported("read", path):
        if whole == path and path.is_file():
            return ArchiveFile(path=path, parts=(path,))
        if path.is_dir():
            msg = f"{path}: a folder, not an archive"
            raise ConfigError(msg, hint="name the archive")
        prefix = f"{whole.name}.part"
        parts = sorted(each for each in whole.parent.glob("*") if each.name.startswith(prefix))
    parts = [each for each in parts if _PART.match(each.name)]
    if not parts:
        msg = f"{path}: no such file"
        raise ConfigError(msg, hint="check the path")
    for number, part in enumerate(parts, start=1):
        if part.name != f"{prefix}{number:02}":
            msg = f"{whole}: part {number:02} is missing"
            raise IntegrityError(msg, hint="put all parts into one folder")
    return ArchiveFile(path=whole, parts=tuple(parts))


def _chunk(read: Callable[[int], bytes], path: Path) -> bytes:
    with files.reported("read", path):
        return read(_READ)
