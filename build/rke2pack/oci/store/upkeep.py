"""Upkeep of a layout: what it holds, whether it is intact, and what nobody needs."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import media
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.model import Descriptor, Index, Manifest
from rke2pack.oci.store.layout import Layout

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Numbers of a layout; bytes are of files, partial blobs counted apart."""

    images: int
    blobs: int
    bytes: int
    unreachable: int
    unreachable_bytes: int
    partial: int
    partial_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was hashed; ``damaged`` blobs are removed, ``incomplete`` names lack blobs then."""

    blobs: int
    bytes: int
    damaged: tuple[Digest, ...]
    incomplete: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was removed, and how many unreachable files were too young to be."""

    removed: int
    bytes: int
    young: int


def stats(layout: Layout) -> Stats:
    """Count; raises IntegrityError where a manifest is damaged."""
    reached = reachable(layout)
    blobs = dict(_files(layout.path(Digest("0" * 64)).parent))
    partial = dict(_files(layout.partial_folder))
    idle = {path: size for path, size in blobs.items() if path.name not in reached}
    return Stats(
        images=len(layout.entries()),
        blobs=len(blobs),
        bytes=sum(blobs.values()),
        unreachable=len(idle),
        unreachable_bytes=sum(idle.values()),
        partial=len(partial),
        partial_bytes=sum(partial.values()),
    )


def verify(layout: Layout, *, is_dry_run: bool = False, jobs: int = 2) -> Verified:
    """Hash every blob again and remove the damaged ones, unless it ``is_dry_run``.

    Raises ToolError where something is to be removed while another process
    uses the layout.
    """
    blobs = dict(_files(layout.path(Digest("0" * 64)).parent))
    with ThreadPoolExecutor(jobs) as pool:
        goods = tuple(pool.map(_is_good, blobs))
    wrong = [path for path, is_good in zip(blobs, goods, strict=True) if not is_good]
    if wrong and not is_dry_run:
        with layout.alone():
            for path in wrong:
                if not _is_good(path):  # it may have been brought anew meanwhile
                    with files.reported("remove", path):
                        path.unlink(missing_ok=True)
    damaged = tuple(Digest(path.name) for path in wrong if len(path.name) == 64)  # noqa: PLR2004 - sha256
    gone = frozenset(digest.hex for digest in damaged)
    # Names and what they need, without a gc between the two.
    with contextlib.nullcontext() if is_dry_run else layout.in_use():
        incomplete = tuple(
            entry.name or str(entry.descriptor.digest)
            for entry in layout.entries()
            if not _is_complete(layout, entry.descriptor, gone)
        )
    return Verified(
        blobs=len(blobs), bytes=sum(blobs.values()), damaged=damaged, incomplete=incomplete
    )


def gc(
    layout: Layout,
    *,
    now: float,
    hours: float,
    is_dry_run: bool = False,
    without: frozenset[str] = frozenset(),
) -> Collected:
    """Remove blobs that no entry reaches and rests of interrupted work.

    Files younger than ``hours`` (by ``now``, seconds since 1970) stay: a
    run that was interrupted may go on with them. Entries named in ``without``
    are forgotten. Raises ToolError while another process uses the layout; then
    nothing is. Raises IntegrityError where a manifest is damaged.
    """
    removed, size, young = 0, 0, 0
    with layout.alone():
        reached = reachable(layout, without=without)
        if without and not is_dry_run:
            layout.untag(without)
        idle = [
            each
            for each in _files(layout.path(Digest("0" * 64)).parent)
            if each[0].name not in reached
        ]
        rests = [each for each in _files(layout.root) if each[0].name.endswith(".tmp")]
        for path, length in (*idle, *_files(layout.partial_folder), *rests):
            with files.reported("remove", path):
                if now - path.stat().st_mtime < hours * _HOUR:
                    young += 1
                    continue
                if not is_dry_run:
                    path.unlink(missing_ok=True)
            removed, size = removed + 1, size + length
    return Collected(removed=removed, bytes=size, young=young)


def reachable(layout: Layout, *, without: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the hex of every blob that an entry leads to, whether it is there or not.

    Raises IntegrityError for a damaged manifest: what it reaches is not known.
    """
    found: set[str] = set()
    todo = [entry.descriptor for entry in layout.entries() if entry.name not in without]
    while todo:
        descriptor = todo.pop()
        if descriptor.digest.hex in found:
            continue
        found.add(descriptor.digest.hex)
        if media.is_document(descriptor.media_type):
            todo += _children(layout, descriptor)
    return frozenset(found)


def _children(layout: Layout, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    try:
        document = layout.document(descriptor)
    except NotFoundError:
        return ()
    except IntegrityError as exc:
        raise IntegrityError(exc.message, hint="run 'rke2pack cache verify', then pull") from exc
    match document:
        case Manifest():
            return document.blobs
        case Index():
            return document.manifests


def is_complete(layout: Layout, descriptor: Descriptor) -> bool:
    """Whether a document and its blobs are there; an index needs one manifest that is."""
    return _is_complete(layout, descriptor, frozenset())


def _is_complete(layout: Layout, descriptor: Descriptor, gone: frozenset[str]) -> bool:
    """Whether a document and its blobs are there; an index needs one manifest that is."""
    if descriptor.digest.hex in gone or not layout.has(descriptor):
        return False
    if not media.is_document(descriptor.media_type):
        return True
    try:
        document = layout.document(descriptor)
    except IntegrityError:
        return False
    if isinstance(document, Manifest):
        return all(blob.digest.hex not in gone and layout.has(blob) for blob in document.blobs)
    there = [child for child in document.manifests if layout.path(child.digest).exists()]
    return bool(there) and all(_is_complete(layout, child, gone) for child in there)


def _is_good(path: Path) -> bool:
    with files.reported("read", path):
        try:
            return digest_of(path).hex == path.name
        except FileNotFoundError:
            return True  # removed meanwhile, by gc


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files of a folder with their sizes, by name."""
    with files.reported("list", folder):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):  # one on its way has its name by now
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status.st_size
