"""Place: files of shards brought into one folder, all of them or none.

Each gets a temporary name first: linked where that is possible, else copied.
What has that name is hashed, and that very file gets its final name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files, wording
from rke2pack.errors import IntegrityError
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.pack import outfile
from rke2pack.oci.pack.outfile import Written
from rke2pack.shards.record import Made

_HINT = "run the shard again, or fetch its files again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A file of a shard: where it is, and what its record says of it."""

    folder: Path
    made: Made

    @property
    def path(self) -> Path:
        """Where the shard has it."""
        return self.folder / self.made.name


def verify(piece: Piece, path: Path | None = None) -> None:
    """Raise IntegrityError unless a piece (or what ``path`` has of it) is what its record says."""
    place = path or piece.path
    try:
        state = place.lstat()
    except FileNotFoundError as exc:
        msg = f"{piece.path}: the record of its shard has it, it is not there"
        raise IntegrityError(msg, hint=_HINT) from exc
    if not stat.S_ISREG(state.st_mode):
        msg = f"{piece.path}: not a file"
        raise IntegrityError(msg, hint=_HINT)
    if state.st_size != piece.made.size:
        found = wording.count(state.st_size, "byte")
        msg = f"{piece.path}: {found}, the record says {piece.made.size}"
        raise IntegrityError(msg, hint=_HINT)
    with files.reported("read", place):
        digest = digest_of(place)
    if digest != piece.made.digest:
        msg = f"{piece.path}: content is {digest}, the record says {piece.made.digest}"
        raise IntegrityError(msg, hint=_HINT)


@contextlib.contextmanager
def claimed(pieces: Iterable[Piece], folder: Path) -> Iterator[None]:
    """Keep others from writing these archives; raises ToolError where one is just written."""
    wholes = {folder / _whole(each.made.name) for each in pieces}
    with contextlib.ExitStack() as stack:
        for path in sorted(wholes):
            stack.enter_context(outfile.claimed(path))
        yield


def bring(pieces: Iterable[Piece], folder: Path) -> tuple[Written, ...]:
    """Bring the pieces into a folder; raises IntegrityError or ToolError, then nothing is new."""
    every = tuple(pieces)
    with files.reported("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _temporary(every, folder) as places:
        for piece, place in places:
            verify(piece, place)
        return tuple(_finish(piece, place, folder) for piece, place in places)


@contextlib.contextmanager
def _temporary(every: tuple[Piece, ...], folder: Path) -> Iterator[list[tuple[Piece, Path]]]:
    places: list[tuple[Piece, Path]] = []
    try:
        for piece in every:
            place = folder / f".{piece.made.name}.merge.tmp"
            places.append((piece, place))
            _link(piece, place)
        yield places
    finally:
        for _, place in places:
            place.unlink(missing_ok=True)


def _link(piece: Piece, place: Path) -> None:
    """Give a file a second name, or copy it."""
    if piece.path.is_symlink() or not piece.path.is_file():
        verify(piece)
    with files.reported("write", place):
        place.unlink(missing_ok=True)
        try:
            os.link(piece.path, place, follow_symlinks=False)
        except OSError:
            shutil.copyfile(piece.path, place, follow_symlinks=False)


def _finish(piece: Piece, place: Path, folder: Path) -> Written:
    made, target = piece.made, folder / piece.made.name
    with files.reported("write", target):
        # Two names of one file: rename would leave both.
        if target.exists() and target.samefile(place):
            place.unlink()
        else:
            place.replace(target)
        time = target.stat().st_mtime_ns
    return Written(path=target, size=made.size, digest=made.digest, mtime_ns=time)


def clear(names: Iterable[str], folder: Path) -> None:
    """Remove what another run has left of an archive: the whole beside parts, or parts too many."""
    wanted = set(names)
    for whole in sorted(set(map(_whole, wanted))):
        with files.reported("remove", folder / whole):
            for path in (folder / whole, *folder.glob(f"{whole}.part[0-9][0-9]")):
                if path.name not in wanted:
                    path.unlink(missing_ok=True)


def _whole(name: str) -> str:
    """Return the name of the archive that a file is, or is a part of."""
    return name.rpartition(".part")[0] or name
