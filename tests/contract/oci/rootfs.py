"""Images that start programs, of layers given as tars."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.coding import Zstd
from rke2pack.oci.platform import Platform
from tests.contract.oci.images import AMD64, ARM64, Made, index
from tests.unit.oci.programs import elf, folder, layer

MACHINES = {"amd64": 62, "arm64": 183}
BASE = layer(folder("usr"), folder("usr/bin"), ("usr/share/doc", b"text" * 5000))


def image(
    *tars: bytes,
    platform: Platform = AMD64,
    config: Mapping[str, Any] | None = None,
    claims: Platform | None = None,
    packing: Literal["gzip", "zstd", "none"] = "gzip",
) -> Made:
    """One platform's image; its config ``claims`` another platform where one is given."""
    said = claims or platform
    raw = json.dumps(
        {
            "architecture": said.architecture,
            "os": said.os,
            "config": {"Entrypoint": ["/usr/bin/app"]} if config is None else config,
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars],
            },
        }
    ).encode()
    pack = {"gzip": lambda tar: gzip.compress(tar, 1, mtime=0), "zstd": Zstd(level=1).encode,
            "none": bytes}[packing]  # fmt: skip
    blobs = [raw, *(pack(tar) for tar in tars)]
    ending = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}[packing]
    types = [media.OCI_CONFIG, *[f"{media.OCI_LAYER}{ending}"] * len(tars)]
    described = [
        {"mediaType": kind, "digest": str(Digest.of(data)), "size": len(data)}
        for kind, data in zip(types, blobs, strict=True)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": described[0],
        "layers": described[1:],
    }
    return Made(
        media_type=media.OCI_MANIFEST,
        raw=json.dumps(document).encode(),
        platform=platform,
        blobs={Digest.of(data): data for data in blobs},
    )


def app(architecture: str, *, name: str = "usr/bin/app") -> bytes:
    """A layer with one program."""
    return layer((name, elf(MACHINES[architecture])))


def multi(*, arm64: str = "arm64", **more: Any) -> Made:  # noqa: ANN401 - options of `image`
    """An image for amd64 and arm64 on one base; ``arm64`` is what its program is really for."""
    return index(
        image(BASE, app("amd64"), platform=AMD64, **more),
        image(BASE, app(arm64), platform=ARM64, **more),
    )
