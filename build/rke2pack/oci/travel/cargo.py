"""Cargo: a cache as an OCI artifact, so that another machine starts with it.

A manifest (OCI image-spec, manifest.md, "Guidelines for Artifact Usage") with
`ARTIFACT`. Its config has the names of the image store. Its layers are the
files of the cache: blobs of the store and frames as they are, so that a
registry that has them is not sent them again; what is small is packed into
tars, by the first digit of its digest, so that few of them change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from rke2pack import files, strictjson
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ValidationError
from rke2pack.files import Cache
from rke2pack.oci import media, model
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.pack import tarball
from rke2pack.oci.reference import Reference
from rke2pack.oci.store import upkeep
from rke2pack.oci.store.layout import Layout

ARTIFACT: Final = "application/vnd.rke2pack.cache.v1"
CONFIG: Final = "application/vnd.rke2pack.cache.config.v1+json"
BLOB: Final = "application/vnd.rke2pack.cache.blob.v1"
FRAMES: Final = "application/vnd.rke2pack.cache.frames.v1"
BUNDLE: Final = "application/vnd.rke2pack.cache.bundle.v1.tar"
TITLE: Final = "org.opencontainers.image.title"
MAX_BUNDLE: Final = 32 * 1024 * 1024
MAX_CONFIG: Final = 16 * 1024 * 1024
_SMALL: Final = 128 * 1024
_VERSION: Final = 1
_BLOBS: Final = "blobs/sha256/"
_FRAMES: Final = "frames/"
BLOB_NAME: Final = re.compile(r"blobs/sha256/(?P<hex>[0-9a-f]{64})\Z")
FRAME_NAME: Final = re.compile(
    r"frames/(?P<coding>(?:zstd|gzip)-[a-z0-9.-]{1,60})/(?P<hex>[0-9a-f]{64})\.(?P<kind>frames|json)\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One layer on its way out: a file, or what makes a small tar when it is sent."""

    descriptor: Descriptor
    title: str
    source: Path | Callable[[], bytes]

    def to_json(self) -> dict[str, object]:
        """Return the descriptor that the manifest has."""
        return {**self.descriptor.to_json(), "annotations": {TITLE: self.title}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """A whole cache: the manifest, its config, and its layers."""

    manifest: Manifest
    config: bytes
    pieces: tuple[Piece, ...]


def pack(layout: Layout, cache: Cache) -> Cargo:
    """Collect what the names of a store need, and all frames.

    Raises ConfigError where that is more than a manifest can list.
    """
    every = (*_blobs(layout), *_frames(cache))
    small = [each for each in every if each[2] < _SMALL]
    large = [each for each in every if each[2] >= _SMALL]
    bundles = [_bundle(digit, own) for digit, own in _by_digit(small).items()]
    pieces = (*map(_piece, large), *bundles)
    names = {entry.name: entry.descriptor.to_json() for entry in layout.entries() if entry.name}
    config = strictjson.dump({"version": _VERSION, "names": names})
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "artifactType": ARTIFACT,
        "config": _descriptor(CONFIG, config).to_json(),
        "layers": [each.to_json() for each in pieces],
    }
    raw = strictjson.dump(document)
    if len(raw) > model.MAX_BYTES:
        msg = f"{layout.root}: {len(pieces)} large files are more than one manifest lists"
        raise ConfigError(msg, hint="remove what nobody needs with 'rke2pack cache gc'")
    manifest = model.parse(raw, media_type=media.OCI_MANIFEST, what="the cache")
    if not isinstance(manifest, Manifest):
        raise TypeError(manifest)
    return Cargo(manifest=manifest, config=config, pieces=pieces)


def check(document: object, *, what: str) -> Manifest:
    """Return a manifest that is a cache's; raises ValidationError for anything else."""
    if not isinstance(document, Manifest) or document.artifact_type != ARTIFACT:
        msg = f"{what}: not a cache of rke2pack"
        raise ValidationError(msg, hint="name what 'rke2pack cache push' has written")
    return document


def names_of(raw: bytes, *, what: str) -> Mapping[str, Descriptor]:
    """Read the names of a store from a config; raises IntegrityError."""
    found = strictjson.load_object(raw, what=what, max_bytes=MAX_CONFIG)
    names = found.get("names")
    if found.get("version") != _VERSION or not isinstance(names, dict):
        msg = f"{what}: version is not {_VERSION}, or it has no names"
        raise IntegrityError(msg)
    return {
        _name(n, what): Descriptor.parse(each, what=f"{what}: {n}") for n, each in names.items()
    }


def _name(name: str, what: str) -> str:
    try:
        reference = Reference.parse(name)
    except ConfigError as exc:
        msg = f"{what}: {exc.message}"
        raise IntegrityError(msg) from exc
    if str(reference) != name:
        msg = f"{what}: {name[:100]!r} is not a full name"
        raise IntegrityError(msg)
    return name


_File = tuple[str, Path, int, Digest]


def _blobs(layout: Layout) -> Iterator[_File]:
    """Yield name, path, size and digest of what the names of a store need and is there."""
    for each in sorted(upkeep.reachable(layout)):
        digest = Digest(each)
        path = layout.path(digest)
        if path.is_file():
            yield f"{_BLOBS}{each}", path, path.stat().st_size, digest


def _frames(cache: Cache) -> Iterator[_File]:
    """Yield the same of frames and what says what they are; entries of both alone."""
    for note in sorted((cache.folder / "frames").glob("*/*.json")):
        path = note.with_suffix(".frames")
        title = f"{_FRAMES}{note.parent.name}/{path.name}"
        raw = _read(note)
        if raw is None or not FRAME_NAME.match(title) or not path.is_file():
            continue
        yield title, path, path.stat().st_size, _said(raw) or digest_of(path)
        yield title.removesuffix(".frames") + ".json", note, len(raw), Digest.of(raw)


def _read(path: Path) -> bytes | None:
    with files.reported("read", path):
        return path.read_bytes() if path.stat().st_size < _SMALL else None


def _said(raw: bytes) -> Digest | None:
    """Return the digest that frames were kept with; sending them proves it."""
    try:
        return Digest.parse(json.loads(raw)["sha256"])
    except (ValueError, TypeError, KeyError, AttributeError, IntegrityError, RecursionError):
        return None


def _piece(file: _File) -> Piece:
    title, path, size, digest = file
    kind = BLOB if title.startswith(_BLOBS) else FRAMES
    descriptor = Descriptor(media_type=kind, digest=digest, size=size)
    return Piece(descriptor=descriptor, title=title, source=path)


def _by_digit(small: Iterable[_File]) -> dict[str, list[_File]]:
    """Sort small files into bundles; a full one goes on under another name."""
    bundles: dict[str, list[_File]] = {}
    sizes: dict[str, int] = {}
    for file in sorted(small):
        name = digit = file[3].hex[0]
        number = 0
        length = len(tarball.header(file[0], file[2])) * 2 + file[2]
        while sizes.get(name, 0) + length > MAX_BUNDLE - len(tarball.END):
            number += 1
            name = f"{digit}-{number}"
        bundles.setdefault(name, []).append(file)
        sizes[name] = sizes.get(name, 0) + length
    return dict(sorted(bundles.items()))


def _bundle(name: str, own: Iterable[_File]) -> Piece:
    make = partial(_tar, tuple(own))
    return Piece(descriptor=_descriptor(BUNDLE, make()), title=f"small-{name}.tar", source=make)


def _tar(own: Iterable[_File]) -> bytes:
    members = []
    for title, path, _, digest in own:
        with files.reported("read", path):
            data = path.read_bytes()
        digest.verify(data, what=str(path))
        members.append(tarball.member(title, data))
    return b"".join(members) + tarball.END


def _descriptor(media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
