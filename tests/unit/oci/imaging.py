"""Images made by hand, put into a layout: the input of archives."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from rke2pack.digest import Digest
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.store.layout import Layout

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Packing = Literal["gzip", "zstd", "none"]
Packed = tuple[bytes, Packing]
BOTH = ("linux/amd64", "linux/arm64")
_OCI = {
    "gzip": f"{media.OCI_LAYER}+gzip",
    "zstd": f"{media.OCI_LAYER}+zstd",
    "none": media.OCI_LAYER,
}
_DOCKER = {
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "none": "application/vnd.docker.image.rootfs.diff.tar",
}


def layer(files: Mapping[str, bytes]) -> bytes:
    """A layer's tar with the given files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def packed(tar: bytes, packing: Packing) -> bytes:
    match packing:
        case "gzip":
            return gzip.compress(tar, 6, mtime=0)
        case "zstd":
            return zstd.compress(tar, 3)
        case "none":
            return tar


def put_image(
    layout: Layout,
    name: str,
    layers: Sequence[Packed] | Callable[[str], Sequence[Packed]],
    *,
    platforms: Sequence[str] = BOTH,
    is_docker: bool = False,
) -> dict[str, Manifest]:
    """Put an image under ``name``; return its manifests by platform."""
    found = {
        each: _put_manifest(
            layout, each, layers(each) if callable(layers) else layers, is_docker=is_docker
        )
        for each in platforms
    }
    kind = media.DOCKER_INDEX if is_docker else media.OCI_INDEX
    children = [
        {**manifest.descriptor.to_json(), "platform": _platform(each)}
        for each, manifest in found.items()
    ]
    index = _json({"schemaVersion": 2, "mediaType": kind, "manifests": children})
    layout.tag({name: Descriptor(media_type=kind, digest=layout.put(index), size=len(index))})
    return found


def _put_manifest(
    layout: Layout, platform: str, layers: Sequence[Packed], *, is_docker: bool
) -> Manifest:
    config = _json(
        {
            **_platform(platform),
            "config": {"Cmd": ["/bin/main"], "Env": ["PATH=/bin"]},
            "created": "2024-01-01T00:00:00Z",
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "test"}] * len(layers),
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(tar)) for tar, _ in layers]},
        }
    )
    types = _DOCKER if is_docker else _OCI
    blobs = [(types[packing], packed(tar, packing)) for tar, packing in layers]
    document = {
        "schemaVersion": 2,
        "mediaType": media.DOCKER_MANIFEST if is_docker else media.OCI_MANIFEST,
        "config": _put(layout, media.DOCKER_CONFIG if is_docker else media.OCI_CONFIG, config),
        "layers": [_put(layout, kind, data) for kind, data in blobs],
    }
    raw = _json(document)
    layout.put(raw)
    found = model.parse(raw, media_type="", what="made")
    assert isinstance(found, Manifest)
    return found


def _put(layout: Layout, media_type: str, data: bytes) -> dict[str, object]:
    digest = layout.put(data)
    return Descriptor(media_type=media_type, digest=digest, size=len(data)).to_json()


def _platform(platform: str) -> dict[str, str]:
    parsed = Platform.parse(platform)
    return {
        "architecture": parsed.architecture,
        "os": parsed.os,
        **({"os.version": parsed.os_version} if parsed.os_version else {}),
        **({"variant": parsed.variant} if parsed.variant else {}),
    }


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
