"""The lab's images: small, for every platform, and the same bytes each time they are made.

Every image has two layers: a base that all images of a platform share, with
the program that runs, and one file of its own that tells its name. Images that
RKE2 mirrors have Docker's media types, as they have on Docker Hub; all others OCI's.
Nothing depends on a compressor: gzip's blocks are stored, not deflated.
"""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.lab import program
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor
from rke2pack.oci.pack import tarball
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.wish import Wish

_CREATED = "2025-05-01T00:00:00Z"
_BLOCK = 65535
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_MIRRORED = "/mirrored-"
_RUN, _READ = 0o755, 0o644
_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "linux": ("bin", "etc", "tmp"),
    "windows": ("Files", "Hives"),
}
_USERS = b"root:x:0:0:root:/:/bin/lab\nnobody:x:65534:65534:nobody:/:/bin/lab\n"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: its tar, and the gzip that is its blob."""

    tar: bytes
    blob: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Types:
    """The media types of one family."""

    index: str
    manifest: str
    config: str
    layer: str


_OCI = Types(
    index=media.OCI_INDEX,
    manifest=media.OCI_MANIFEST,
    config=media.OCI_CONFIG,
    layer=f"{media.OCI_LAYER}+gzip",
)
_DOCKER = Types(
    index=media.DOCKER_INDEX,
    manifest=media.DOCKER_MANIFEST,
    config=media.DOCKER_CONFIG,
    layer=_DOCKER_LAYER,
)


def make(layout: Layout, wishes: Iterable[Wish]) -> None:
    """Put an image for every wish into ``layout``, under its name.

    Raises ConfigError for a platform that the lab has no program for.
    """
    bases: dict[Platform, Layer] = {}
    names: dict[str, Descriptor] = {}
    for wish in wishes:
        for platform in wish.platforms:
            if platform not in bases:
                bases[platform] = _base(platform)
        own = {platform: bases[platform] for platform in sorted(wish.platforms)}
        names[str(wish.reference)] = _image(layout, wish.reference, own)
    layout.tag(names)


def _image(layout: Layout, reference: Reference, bases: Mapping[Platform, Layer]) -> Descriptor:
    types = _DOCKER if _MIRRORED in reference.repository else _OCI
    manifests = [
        {
            **_manifest(layout, reference, platform, base, types),
            "platform": platform.to_json(),
        }
        for platform, base in bases.items()
    ]
    document = {"schemaVersion": 2, "mediaType": types.index, "manifests": manifests}
    found = _kept(layout, types.index, strictjson.dump(document))
    return Descriptor.parse(found, what=str(reference))


def _manifest(
    layout: Layout, reference: Reference, platform: Platform, base: Layer, types: Types
) -> dict[str, Any]:
    layers = (base, _own(reference, platform))
    entrypoint = "C:\\lab.exe" if platform.os == "windows" else "/bin/lab"
    config = {
        **platform.to_json(),
        "created": _CREATED,
        "config": {
            "Entrypoint": [entrypoint],
            "Labels": {"org.opencontainers.image.title": str(reference)},
        },
        "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(each.tar)) for each in layers]},
        "history": [{"created": _CREATED, "created_by": "rke2pack lab"}] * len(layers),
    }
    document = {
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": _kept(layout, types.config, strictjson.dump(config)),
        "layers": [_kept(layout, types.layer, each.blob) for each in layers],
    }
    return _kept(layout, types.manifest, strictjson.dump(document))


def _base(platform: Platform) -> Layer:
    """Return the layer that all images of a platform share."""
    files: dict[str, tuple[int, bytes]] = (
        {"Files/lab.exe": (_RUN, program.build(platform))}
        if platform.os == "windows"
        else {"bin/lab": (_RUN, program.build(platform)), "etc/passwd": (_READ, _USERS)}
    )
    return _layer(_FOLDERS[platform.os], files)


def _own(reference: Reference, platform: Platform) -> Layer:
    """Return the layer that tells whose image it is."""
    name = "Files/lab-image" if platform.os == "windows" else "etc/lab-image"
    return _layer((), {name: (_READ, f"{reference} {platform}\n".encode())})


def _layer(folders: Iterable[str], files: Mapping[str, tuple[int, bytes]]) -> Layer:
    parts = [_header(name, _RUN, 0, kind=tarfile.DIRTYPE) for name in folders]
    for name, (mode, data) in files.items():
        parts += [_header(name, mode, len(data)), data, tarball.padding(len(data))]
    tar = b"".join((*parts, tarball.END))
    return Layer(tar, gzipped(tar))


def _header(name: str, mode: int, size: int, *, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.mode, info.size, info.type, info.mtime = mode, size, kind, 0
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def gzipped(data: bytes) -> bytes:
    """Return a gzip file of ``data`` in stored blocks (RFC 1951, 3.2.4; RFC 1952)."""
    pieces = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)] or [b""]
    blocks = [
        struct.pack("<BHH", number == len(pieces), len(piece), len(piece) ^ 0xFFFF) + piece
        for number, piece in enumerate(pieces, start=1)
    ]
    head = bytes.fromhex("1f8b08000000000000ff")
    return head + b"".join(blocks) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _kept(layout: Layout, media_type: str, data: bytes) -> dict[str, Any]:
    digest = layout.put(data)
    return Descriptor(media_type=media_type, digest=digest, size=len(data)).to_json()
