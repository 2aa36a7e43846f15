"""Locks made for tests."""

from __future__ import annotations

from rke2pack.digest import Digest
from rke2pack.lists import lock as locks
from rke2pack.lists.lock import Lock, LockedImage, LockedPlatform
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference


def digest(seed: str) -> Digest:
    return Digest.of(seed.encode())


def image(
    name: str, *platforms: str, seed: str = "", manifest: str = "", size: int = 100
) -> LockedImage:
    """An entry whose digests come from its name, or from ``seed`` and ``manifest``."""
    return locks.locked(
        Reference.parse(name),
        Descriptor(media_type=media.OCI_INDEX, digest=digest(seed or name), size=500),
        (
            LockedPlatform(
                platform=Platform.parse(each),
                manifest=digest(f"{manifest or name} {each}"),
                config=digest(f"{name} {each} config"),
                blobs=3,
                size=size,
            )
            for each in platforms or ("linux/amd64", "linux/arm64")
        ),
    )


def lock(*images: LockedImage) -> Lock:
    return Lock(images=images)
