"""Content: a layer's bytes as the store has them, or as the tar that they unpack to.

What a blob is, is told by its first bytes: the media types of old images are
not always right. Nothing is unpacked to the disk; a tar is only bytes here.
"""

from __future__ import annotations

from collections.abc import Iterator

from rke2pack import files, progress
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import coding
from rke2pack.oci.hashing import Hashing
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake.archivefile import Packing
from rke2pack.oci.model import Descriptor
from rke2pack.oci.store.layout import Layout
from rke2pack.progress import Advance

_READ = 1024 * 1024


def packing(layout: Layout, blob: Descriptor) -> Packing:
    """Return how a layer's blob is compressed."""
    path = layout.path(blob.digest)
    with files.reported("read", path), path.open("rb") as handle:
        return archivefile.packing_of(handle.read(4))


def verbatim(
    layout: Layout, blob: Descriptor, *, advance: Advance = progress.nothing
) -> Iterator[bytes]:
    """Yield a blob's bytes; raises IntegrityError at its end when they are others.

    ``advance`` is told how many were read.
    """
    what = f"{layout.root}: {blob.digest}"
    return _verified(_read(layout, blob, advance), blob.digest, what=what)


def is_good(layout: Layout, blob: Descriptor) -> bool:
    """Whether a layout has a blob, and undamaged: it is read to its end."""
    if not layout.has(blob):
        return False
    try:
        for _ in verbatim(layout, blob):
            pass
    except (IntegrityError, NotFoundError):
        return False
    return True


def unpacked(
    layout: Layout, blob: Descriptor, diff_id: Digest, *, advance: Advance = progress.nothing
) -> Iterator[bytes]:
    """Yield the tar of a layer; raises IntegrityError when it is damaged or not ``diff_id``.

    ``advance`` is told how many of the blob's bytes were read.
    """
    what = f"{layout.root}: layer {blob.digest}"
    chunks = _read(layout, blob, advance)
    match packing(layout, blob):
        case "gzip":
            chunks = coding.gunzipped(chunks, what=what)
        case "zstd":
            chunks = coding.unzstd(chunks, what=what)
        case "none":
            pass
    return _verified(chunks, diff_id, what=what)


def _read(layout: Layout, blob: Descriptor, advance: Advance) -> Iterator[bytes]:
    path = layout.path(blob.digest)
    with files.reported("read", path):
        try:
            handle = path.open("rb", buffering=0)
        except FileNotFoundError as exc:
            msg = f"{layout.root}: has no blob {blob.digest}"
            raise NotFoundError(msg) from exc
    with handle:
        while True:
            with files.reported("read", path):
                chunk = handle.read(_READ)
            if not chunk:
                return
            advance(len(chunk))
            yield chunk


def _verified(chunks: Iterator[bytes], expected: Digest, *, what: str) -> Iterator[bytes]:
    with Hashing() as hashing:
        for chunk in chunks:
            hashing.update(chunk)
            yield chunk
        got = hashing.digest()
    if got != expected:
        msg = f"{what}: content is {got}, expected {expected}"
        raise IntegrityError(msg, hint=coding.HINT)
