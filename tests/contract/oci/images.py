"""Images made for tests: small, deterministic, of any platform and media type."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor
from rke2pack.oci.platform import Platform
from rke2pack.oci.store.layout import Layout

AMD64 = Platform.parse("linux/amd64")
ARM64 = Platform.parse("linux/arm64")


@dataclass(frozen=True, kw_only=True)
class Made:
    """One manifest or index with all blobs below it; documents children first."""

    media_type: str
    raw: bytes
    platform: Platform | None = None
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)
    children: tuple[Made, ...] = ()

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.raw))

    @property
    def documents(self) -> tuple[Made, ...]:
        return (*(each for child in self.children for each in child.documents), self)

    @property
    def all_blobs(self) -> dict[Digest, bytes]:
        return {d: data for each in self.documents for d, data in each.blobs.items()}


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311 - the same bytes each time


def layer_tar(content: bytes, name: str = "file") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def manifest(
    platform: Platform = AMD64,
    layers: Iterable[bytes] = (b"one", b"two"),
    *,
    is_docker: bool = False,
    urls: tuple[str, ...] = (),
    extra: Mapping[str, Any] | None = None,
) -> Made:
    """One platform's image; ``layers`` are what the one file of each holds."""
    tars = [layer_tar(content) for content in layers]
    packed = [gzip.compress(tar, 1, mtime=0) for tar in tars]
    config = {
        "architecture": platform.architecture,
        "os": platform.os,
        **({"variant": platform.variant} if platform.variant else {}),
        **({"os.version": platform.os_version} if platform.os_version else {}),
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars],
        },
    }
    blobs = [json.dumps(config).encode(), *packed]
    kind = media.DOCKER_MANIFEST if is_docker else media.OCI_MANIFEST
    layer = (
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
        if is_docker
        else f"{media.OCI_LAYER}+gzip"
    )
    types = [media.DOCKER_CONFIG if is_docker else media.OCI_CONFIG, *[layer] * len(packed)]
    described = [
        {"mediaType": t, "digest": str(Digest.of(data)), "size": len(data)}
        for t, data in zip(types, blobs, strict=True)
    ]
    if urls:
        described[1]["urls"] = list(urls)
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": described[0],
        "layers": described[1:],
        **(extra or {}),
    }
    raw = json.dumps(document, indent=3).encode()
    return Made(
        media_type=kind,
        raw=raw,
        platform=platform,
        blobs={Digest.of(data): data for data in blobs},
    )


def index(*children: Made, is_docker: bool = False, has_platforms: bool = True) -> Made:
    kind = media.DOCKER_INDEX if is_docker else media.OCI_INDEX
    document = {
        "schemaVersion": 2,
        "mediaType": kind,
        "manifests": [
            {
                **child.descriptor.to_json(),
                **(_platform(child.platform) if child.platform and has_platforms else {}),
            }
            for child in children
        ],
    }
    return Made(media_type=kind, raw=json.dumps(document).encode(), children=children)


def attestation(of: Made) -> Made:
    made = manifest(Platform(os="unknown", architecture="unknown"), [of.raw[:20]])
    return Made(media_type=made.media_type, raw=made.raw, platform=made.platform, blobs=made.blobs)


def _platform(platform: Platform) -> dict[str, Any]:
    found = {"os": platform.os, "architecture": platform.architecture}
    if platform.variant:
        found["variant"] = platform.variant
    if platform.os_version:
        found["os.version"] = platform.os_version
    return {"platform": found}


def multi(seed: int = 1, size: int = 1000, *, shared: bytes = b"base") -> Made:
    """An image for amd64 and arm64, with an attestation, on one base layer."""
    children = [
        manifest(platform, [shared, noise(size, seed * 10 + number)])
        for number, platform in enumerate((AMD64, ARM64))
    ]
    return index(*children, attestation(children[0]))


def write(root: Path, images: Mapping[str, Made]) -> Layout:
    """Write an OCI layout, as another tool would."""
    layout = Layout.open(root)
    for made in images.values():
        for each in made.documents:
            for data in (*each.blobs.values(), each.raw):
                layout.put(data)
    layout.tag({name: made.descriptor for name, made in images.items()})
    return layout
