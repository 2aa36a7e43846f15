"""Content: a layer's bytes as the store has them, or as the tar that they unpack to.

What a blob is, is told by its first bytes: the media types of old images are
not always right. Nothing is unpacked to the disk; a tar is only bytes here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import coding
from rke2pack.oci.layout import Layout
from rke2pack.oci.model import Descriptor

Packing = Literal["gzip", "zstd", "none"]
_MAGIC: dict[bytes, Packing] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_READ = 256 * 1024


def packing(layout: Layout, blob: Descriptor) -> Packing:
    """Return how a layer's blob is compressed."""
    path = layout.path(blob.digest)
    with files.reported("read", path), path.open("rb") as handle:
        start = handle.read(4)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "none")


def verbatim(layout: Layout, blob: Descriptor) -> Iterator[bytes]:
    """Yield a blob's bytes; raises IntegrityError at its end when they are others."""
    return _verified(_read(layout, blob), blob.digest, what=f"{layout.root}: {blob.digest}")


def unpacked(layout: Layout, blob: Descriptor, diff_id: Digest) -> Iterator[bytes]:
    """Yield the tar of a layer; raises IntegrityError when it is damaged or not ``diff_id``."""
    what = f"{layout.root}: layer {blob.digest}"
    chunks = _read(layout, blob)
    match packing(layout, blob):
        case "gzip":
            chunks = coding.gunzipped(chunks, what=what)
        case "zstd":
            chunks = coding.unzstd(chunks, what=what)
        case "none":
            pass
    return _verified(chunks, diff_id, what=what)


def _read(layout: Layout, blob: Descriptor) -> Iterator[bytes]:
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
            yield chunk


def _verified(chunks: Iterator[bytes], expected: Digest, *, what: str) -> Iterator[bytes]:
    hashed = hashlib.sha256()
    for chunk in chunks:
        hashed.update(chunk)
        yield chunk
    if hashed.hexdigest() != expected.hex:
        msg = f"{what}: content is sha256:{hashed.hexdigest()}, expected {expected}"
        raise IntegrityError(msg, hint=coding.HINT)
