"""Frame cache: the frames of layers, kept to be copied into the next archive.

``<coding>/<hex>.frames`` are a layer's frames, ``<coding>/<hex>.json`` says
what they are and is written last. Several processes may use it; a lost,
damaged or swapped entry is only slow, never wrong: before use its frames are
hashed, and held against the layer and the length that they were kept for.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.files import Cache
from rke2pack.oci import frameheader
from rke2pack.oci.coding import Coding
from rke2pack.oci.hashing import digest_of

_FOLDER = "frames"
_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Frames on the disk: ``raw_size`` is how long they are decoded."""

    path: Path
    size: int
    raw_size: int


@dataclass(kw_only=True)
class Growing:
    """Frames that are being written."""

    handle: IO[bytes]
    path: Path
    hashed: Any = field(default_factory=hashlib.sha256)
    size: int = 0
    lengths: list[int] = field(default_factory=list)

    def write(self, frame: bytes) -> None:
        """Append one frame."""
        with files.reported("write", self.path):
            self.handle.write(frame)
        self.hashed.update(frame)
        self.size += len(frame)
        self.lengths.append(len(frame))


@dataclass(frozen=True, kw_only=True)
class FrameCache:
    """Frames below a cache folder; an entry's time is when it was last used."""

    cache: Cache

    def find(self, coding: Coding, digest: Digest) -> Entry | None:
        """Return the frames of a layer, verified, or None.

        They are those that were kept for this layer under this coding, and say
        themselves that they decode to ``raw_size``.
        """
        path = self._path(coding, digest)
        raw = self.cache.get(self._key(coding, digest))
        try:
            known = json.loads(raw or b"null")
            entry = Entry(path=path, size=int(known["size"]), raw_size=int(known["raw_size"]))
            is_good = (
                (known["coding"], known["digest"]) == (coding.name, str(digest))
                and path.stat().st_size == entry.size == sum(known["frames"])
                and _raw_size(path, known["frames"]) == entry.raw_size
                and digest_of(path).hex == known["sha256"]
            )
            for used in (path, path.with_suffix(".json")) if is_good else ():
                os.utime(used)
        except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
            return None
        return entry if is_good else None

    def has(self, coding: Coding, digest: Digest) -> bool:
        """Whether there seem to be frames of a layer; `find` proves them."""
        path = self._path(coding, digest)
        return path.is_file() and path.with_suffix(".json").is_file()

    @contextmanager
    def growing(self, coding: Coding, digest: Digest) -> Iterator[Growing]:
        """Give a place for a layer's frames; `keep` gives it its name, else it is removed."""
        folder = self._path(coding, digest).parent
        with files.reported("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
        handle = os.fdopen(descriptor, "wb")
        try:
            yield Growing(handle=handle, path=Path(name))
        finally:
            Path(name).unlink(missing_ok=True)
            with files.reported("write", folder):  # the buffer's rest finds a full disk, too
                handle.close()

    def keep(self, coding: Coding, digest: Digest, done: Growing, *, raw_size: int) -> Entry:
        """Make written frames an entry."""
        path = self._path(coding, digest)
        with files.reported("write", path):
            done.handle.flush()
            done.path.replace(path)
        known = {
            "coding": coding.name,
            "digest": str(digest),
            "frames": done.lengths,
            "raw_size": raw_size,
            "sha256": done.hashed.hexdigest(),
            "size": done.size,
        }
        self.cache.put(self._key(coding, digest), json.dumps(known).encode())
        return Entry(path=path, size=done.size, raw_size=raw_size)

    def prune(self, *, now: float, days: float) -> int:
        """Remove what was not used for ``days``, and rests of killed runs; return the bytes."""
        removed = 0
        root = self.cache.folder / _FOLDER
        with files.reported("remove", root):
            for path in sorted(root.glob("*/*")):
                try:
                    status = path.stat()
                except FileNotFoundError:  # another run has just removed it, or given it its name
                    continue
                limit = _DAY if path.suffix == ".tmp" else days * _DAY
                if now - status.st_mtime > limit:
                    path.unlink(missing_ok=True)
                    removed += status.st_size
        return removed

    def _key(self, coding: Coding, digest: Digest) -> str:
        return f"{_FOLDER}/{coding.name}/{digest.hex}.json"

    def _path(self, coding: Coding, digest: Digest) -> Path:
        return self.cache.folder / _FOLDER / coding.name / f"{digest.hex}.frames"


def _raw_size(path: Path, lengths: Iterable[int]) -> int | None:
    """Return how long frames of these lengths are decoded; None where one does not say."""
    total = position = 0
    with path.open("rb", buffering=0) as handle:
        for length in lengths:
            start = os.pread(handle.fileno(), min(length, frameheader.START_BYTES), position)
            position += length
            left = min(length, frameheader.END_BYTES)
            size = frameheader.decoded(start, os.pread(handle.fileno(), left, position - left))
            if size is None:
                return None
            total += size
    return total
