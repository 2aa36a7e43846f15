"""Archives made by hand, good and hostile: tars, their packing, and images in them."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.coding import Zstd
from rke2pack.oci.intake import archivefile, tarstream
from rke2pack.oci.intake.tarstream import Member
from tests.unit.oci.imaging import layer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Files = Iterable[tuple[str, bytes]]
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
NAME = "docker.io/example/app:v1"
BASE = layer({"bin/main": b"base" * 5000})
OWN = layer({"etc/own": b"own" * 99})


def tar(files: Files, *, form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Pack files in order; a name may stand twice."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as packed:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def as_json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def blob(data: bytes) -> tuple[str, bytes]:
    """A blob under the name that its digest gives it."""
    return f"blobs/sha256/{Digest.of(data).hex}", data


def described(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def config(*tars: bytes, platform: Mapping[str, str] | None = None) -> bytes:
    own = platform or {"architecture": "amd64", "os": "linux"}
    diff_ids = [str(Digest.of(each)) for each in tars]
    return as_json({**own, "rootfs": {"type": "layers", "diff_ids": diff_ids}})


def manifest(own_config: bytes, *layers: bytes, kind: str = media.OCI_LAYER) -> bytes:
    return as_json(
        {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": described(media.OCI_CONFIG, own_config),
            "layers": [described(kind, each) for each in layers],
        }
    )


def index(manifests: Mapping[str, bytes], **more: object) -> bytes:
    """The index of images by name, as ours is; an empty name is none."""
    entries = [
        {
            **described(media.OCI_MANIFEST, data),
            "platform": {"architecture": "amd64", "os": "linux"},
            **({"annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": name.rpartition(":")[2],
            }} if name else {}),
        }
        for name, data in manifests.items()
    ]  # fmt: skip
    return as_json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries, **more})


def docker_listing(images: Mapping[str, tuple[bytes, tuple[bytes, ...]]]) -> bytes:
    """The manifest.json of images by name: config, layers."""
    return as_json(
        [
            {
                "Config": blob(own)[0],
                "RepoTags": [name] if name else [],
                "Layers": [blob(each)[0] for each in layers],
            }
            for name, (own, layers) in images.items()
        ]
    )


def image_files(
    *tars: bytes, name: str = NAME, platform: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The files of an archive of one image with plain layers, as ours has them."""
    own = config(*tars, platform=platform)
    listed = manifest(own, *tars)
    blobs = dict(sorted(blob(each) for each in {own, listed, *tars}))
    return {
        "oci-layout": LAYOUT_FILE,
        "index.json": index({name: listed}),
        "manifest.json": docker_listing({name: (own, tars)}),
        **blobs,
    }


def packed_index(manifests: Mapping[str, bytes], *blobs: bytes) -> dict[str, bytes]:
    """The files of an OCI layout with these images and blobs."""
    return {
        "oci-layout": LAYOUT_FILE,
        "index.json": index(manifests),
        **dict(sorted(map(blob, set(blobs)))),
    }


def write(path: Path, data: bytes, packing: str = "") -> Path:
    """Write a tar, packed as its ending or ``packing`` says."""
    match packing or path.suffix.removeprefix("."):
        case "zst":
            data = Zstd(level=1).encode(data)
        case "gz":
            data = gzip.compress(data, 1, mtime=0)
    path.write_bytes(data)
    return path


def members(path: Path) -> Iterator[Member]:
    """The members of an archive, whole or in parts."""
    found = archivefile.find(path)
    return tarstream.read(found.tar(), what=str(found.path))


def zstd_with_window(data: bytes, window_log: int) -> bytes:
    """One frame without content size that asks for a window of 2**window_log bytes."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: 1,
        zstd.CompressionParameter.window_log: window_log,
    }
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(data) + compressor.flush()
