"""Tars of docker save, made by hand."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

LAYERS = (b"layer one" * 1000, b"layer two")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config(*layers: bytes) -> bytes:
    diff_ids = [f"sha256:{sha(layer)}" for layer in layers]
    return json.dumps(
        {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()


def tar(files: Mapping[str, bytes | str]) -> bytes:
    """Pack files in order; a text is a link's target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                packed.addfile(member)
            else:
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def listing(config_name: str, layers: list[str], *tags: str) -> dict[str, object]:
    return {"Config": config_name, "RepoTags": list(tags), "Layers": layers}


def saved(*layers: bytes, real: tuple[bytes, ...] | None = None) -> dict[str, bytes | str]:
    """The files of docker save, as engines before 25 write them."""
    own = config(*(real or layers))
    files: dict[str, bytes | str] = {}
    for number, layer in enumerate(layers):
        files[f"id{number}/VERSION"] = b"1.0"
        files[f"id{number}/layer.tar"] = layer
    files[f"{sha(own)}.json"] = own
    names = [f"id{number}/layer.tar" for number in range(len(layers))]
    entry = listing(f"{sha(own)}.json", names, "rancher/rke2-runtime:v1")
    files["manifest.json"] = json.dumps([entry]).encode()
    return files
