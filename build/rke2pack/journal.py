"""Changing several files of a tree together: all of them or none.

The new contents are first written and synced below ``.rke2pack/journal/``; one
rename of its list, ``commit.json``, is the moment of decision. Before it, an
interrupted change never happened; after it, the change is carried through, by
this process or by the next command that opens the tree (`recover`). A lock
(``flock``, freed by the kernel when its holder dies) keeps writers apart.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from rke2pack import filelock, files
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, ToolError

FOLDER = ".rke2pack"
_COMMIT = "commit.json"
_PAUSES = 200


@contextlib.contextmanager
def locked(root: Path) -> Iterator[tuple[Path, ...]]:
    """Hold the tree's lock; raises ToolError naming the holder's process when it is taken.

    A change that the last holder decided and did not finish is carried through
    first; yields the files of that.
    """
    path = root / FOLDER / "lock"
    with files.reported("lock", path):
        path.parent.mkdir(exist_ok=True)
        _hide(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:  # without a buffer, whose rest would be written when it is closed
        if not filelock.take(descriptor, path):
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            msg = f"{root}: another rke2pack is changing this tree (process {holder})"
            raise ToolError(msg, hint=filelock.HINT)
        with files.reported("lock", path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield _settle(root)
    finally:
        os.close(descriptor)


def _hide(folder: Path) -> None:
    """Keep the folder out of git's sight: a checkout's own .gitignore may not know it."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")


def apply(root: Path, changes: Mapping[Path, bytes]) -> None:
    """Write ``changes`` (path below ``root`` -> new content), all or none.

    The caller holds the lock. Raises ToolError; then no file has changed.
    """
    journal = root / FOLDER / "journal"
    _discard(journal)
    listing: list[dict[str, str]] = []
    try:
        for number, (path, data) in enumerate(sorted(changes.items())):
            _check_writable(path)
            files.write(journal / str(number), data, durable=True)
            name = path.relative_to(root).as_posix()
            listing.append({"file": str(number), "path": name, "digest": str(Digest.of(data))})
        files.write(journal / _COMMIT, json.dumps(listing).encode(), durable=True)
        files.sync_folder(journal)
    except BaseException:
        with contextlib.suppress(ToolError):
            _discard(journal)
        raise
    _carry_through(root, journal)


def recover(root: Path, *, wait: Callable[[float], None] = time.sleep) -> tuple[Path, ...]:
    """Finish or forget a change that was interrupted; return the files it finished.

    Takes the lock only where there is something to do. Where a process is just writing,
    waits for its end, about ten seconds long, and then raises ToolError as `locked` does.
    """
    journal, lock, pauses = root / FOLDER / "journal", root / FOLDER / "lock", _PAUSES
    while journal.is_dir() and filelock.is_held(lock) and pauses:
        pauses -= 1
        wait(filelock.PAUSE_SECONDS)
    if not journal.is_dir():
        return ()
    with locked(root) as finished:
        return finished


def _settle(root: Path) -> tuple[Path, ...]:
    """Bring what a dead process left to its end: carried through where it was decided."""
    journal = root / FOLDER / "journal"
    if (journal / _COMMIT).is_file():
        return _carry_through(root, journal)
    _discard(journal)
    return ()


def _carry_through(root: Path, journal: Path) -> tuple[Path, ...]:
    changed: list[Path] = []
    for entry in _listing(journal):
        staged, target = journal / entry["file"], _inside(root, entry["path"])
        with files.reported("replace", target):
            if staged.is_file():
                Digest.parse(entry["digest"]).verify(staged.read_bytes(), what=str(staged))
                _put_in_place(staged, target)
        changed.append(target)
    for folder in {target.parent for target in changed}:
        files.sync_folder(folder)
    _discard(journal)
    return tuple(changed)


def _put_in_place(staged: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        staged.chmod(target.stat().st_mode & 0o7777)
    try:
        staged.replace(target)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        files.write(target, staged.read_bytes(), durable=True)  # dist/ may be on another disk


def _listing(journal: Path) -> list[dict[str, str]]:
    try:
        found = json.loads((journal / _COMMIT).read_bytes())
        listing = [{key: str(each[key]) for key in ("file", "path", "digest")} for each in found]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as exc:
        msg = f"{journal}: the journal of an interrupted change is not readable"
        raise ToolError(msg, hint=f"restore the tree with git and remove {journal}") from exc
    return listing


def _inside(root: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        msg = f"{root}: the journal names a path outside the tree: {name!r}"
        raise ConfigError(msg)
    return root / path


def _check_writable(path: Path) -> None:
    """Raise before the decision where the rename after it could not succeed."""
    folder = next(p for p in path.parents if p.exists())
    if not folder.is_dir() or path.is_dir():
        msg = f"cannot write {path}: {path if path.is_dir() else folder} is in the way"
        raise ToolError(msg, hint="move it elsewhere")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        msg = f"cannot write {path}: it is read-only"
        raise ToolError(msg, hint="make the tree writable, or look with --dry-run")


def _discard(journal: Path) -> None:
    """Remove the journal; its list goes first, so that half of it decides nothing."""
    with files.reported("clean up", journal):
        (journal / _COMMIT).unlink(missing_ok=True)
        shutil.rmtree(journal, ignore_errors=False) if journal.is_dir() else None
