"""Outfile: a large file that gets its name when it is whole, in one piece or in parts.

Until then it is ``.<name>.tmp``, locked, so that two runs never write the same
file and what a killed run has left is written over by the next one.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2pack import filelock, files
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, ToolError
from rke2pack.oci.coding import Buffer
from rke2pack.oci.hashing import Trail, digest_of

MAX_PARTS = 100
_CHUNK = 1024 * 1024
_CANNOT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file in its place."""

    path: Path
    size: int
    digest: Digest
    mtime_ns: int

    @property
    def is_untouched(self) -> bool:
        """Whether the file has still the size and time that it was given."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


class Outfile:
    """What is written so far; made by `opened`."""

    def __init__(self, descriptor: int, path: Path, temporary: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._temporary = temporary
        self._trail = Trail(descriptor)
        self._trail.start()
        self.size = 0

    def write(self, *buffers: Buffer | memoryview) -> None:
        """Append at most 1,024 buffers (IOV_MAX); raises ToolError when the disk is full."""
        size = sum(map(len, buffers))
        with files.reported("write", self._temporary):
            done = os.writev(self._descriptor, buffers)
            if done < size:
                _write(self._descriptor, memoryview(b"".join(buffers))[done:])
        self._grow(size)

    def copy(self, source: Path, size: int) -> None:
        """Append the ``size`` bytes of a file, by the kernel where it can."""
        with files.reported(f"copy {source} to", self._temporary), source.open("rb") as handle:
            _copy(handle.fileno(), self._descriptor, size)
        self._grow(size)

    def finish(self, *, max_size: int | None = None) -> tuple[Written, ...]:
        """Give the file its name, or the parts of at most ``max_size`` bytes theirs.

        Parts are ``<name>.part01`` and so on: ``cat <name>.part* > <name>`` joins
        them. What was there under these names before is gone then.
        """
        wanted, stale = self._places(max_size), set(_placed(self._path))
        if len(wanted) == 1:
            sources, digests = [self._temporary], [self._digest()]
        else:
            self.close()
            sources = self._cut(wanted)
            digests = [_digest(source) for source in sources]
        with files.reported("write", self._path):
            for old in stale - {path for path, _ in wanted}:
                old.unlink(missing_ok=True)
            times = [source.stat().st_mtime_ns for source in sources]
            for source, (path, _) in zip(reversed(sources), reversed(wanted), strict=True):
                source.replace(path)
        return tuple(
            Written(path=path, size=size, digest=digest, mtime_ns=mtime)
            for (path, size), digest, mtime in zip(wanted, digests, times, strict=True)
        )

    def close(self) -> None:
        """End what goes on beside the writing; `finish` does so too."""
        self._trail.stop()

    def _grow(self, size: int) -> None:
        self.size += size
        self._trail.grown(self.size)

    def _digest(self) -> Digest:
        with files.reported("read", self._temporary):
            return self._trail.digest()

    def _places(self, max_size: int | None) -> list[tuple[Path, int]]:
        if max_size is None or self.size <= max_size:
            return [(self._path, self.size)]
        count = -(-self.size // max_size)
        if count >= MAX_PARTS:
            msg = f"{self._path}: more than {MAX_PARTS - 1} parts of {max_size} bytes"
            raise ConfigError(msg, hint="choose a larger --max-size")
        return [
            (part(self._path, number + 1), min(max_size, self.size - number * max_size))
            for number in range(count)
        ]

    def _cut(self, wanted: list[tuple[Path, int]]) -> list[Path]:
        """Move the end of the file to files of their own, the last part first."""
        sources = [self._temporary]
        for path, size in reversed(wanted[1:]):
            cut = path.with_name(f".{path.name}.tmp")
            with files.reported("write", cut):
                start = os.lseek(self._descriptor, -size, os.SEEK_END)
                target = os.open(cut, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                try:
                    _copy(self._descriptor, target, size)
                finally:
                    os.close(target)
                os.ftruncate(self._descriptor, start)
            sources.insert(1, cut)
        return sources


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Outfile]:
    """Begin a file; without `Outfile.finish` nothing is left at the end of the block.

    Raises ToolError while another process writes it.
    """
    with claimed(path) as descriptor:
        files.empty(descriptor)
        out = Outfile(descriptor, path, _temporary(path))
        with contextlib.closing(out):
            yield out


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[int]:
    """Keep others from writing a file, and yield what is open of its temporary one.

    Raises ToolError while another process writes it.
    """
    temporary = _temporary(path)
    with files.reported("write", temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not filelock.take(descriptor, temporary):
            msg = f"{path}: another rke2pack is writing it"
            raise ToolError(msg, hint=filelock.HINT)
        _drop_cuts(path)
        try:
            yield descriptor
        finally:
            # Once the file has its name, what is called so belongs to the next writer.
            if filelock.leads_to(temporary, descriptor):
                _drop_cuts(path)
                temporary.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _drop_cuts(path: Path) -> None:
    """Remove parts that have not got their names; the caller holds the file."""
    for left in path.parent.glob(f".{path.name}.part[0-9][0-9].tmp"):
        left.unlink(missing_ok=True)


def part(path: Path, number: int) -> Path:
    """Return the name of a part, counted from 1."""
    return path.with_name(f"{path.name}.part{number:02}")


def _placed(path: Path) -> Iterator[Path]:
    """Yield what is there of a file, whole or in parts."""
    yield from (each for each in (path,) if each.exists())
    yield from path.parent.glob(f"{path.name}.part[0-9][0-9]")


def _copy(source: int, target: int, size: int) -> None:
    left = size
    try:
        while left and (done := os.copy_file_range(source, target, left)):
            left -= done
    except OSError as exc:
        if exc.errno not in _CANNOT_COPY:
            raise
    with os.fdopen(os.dup(source), "rb", buffering=0) as reader:
        while left and (chunk := reader.read(min(left, _CHUNK))):
            _write(target, memoryview(chunk))
            left -= len(chunk)
    if left:
        raise OSError(errno.EIO, "the file was cut short while it was copied")


def _write(target: int, data: memoryview) -> None:
    rest = data
    while rest:
        rest = rest[os.write(target, rest) :]


def _digest(path: Path) -> Digest:
    with files.reported("read", path):
        return digest_of(path)
