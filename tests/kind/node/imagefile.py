"""Images of one layer, in a file that docker and containerd load."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PLATFORM: Final = {"architecture": "amd64", "os": "linux"}
_MEDIA: Final = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A full name, the file of its only layer (a plain tar), and what is to run."""

    name: str
    layer: Path
    config: Mapping[str, Any] = field(default_factory=dict)


def write(target: Path, images: Iterable[Image]) -> None:
    """Write an archive that is an OCI layout and a docker archive at once."""
    manifests: list[dict[str, Any]] = []
    listed: list[dict[str, Any]] = []
    partial = target.with_name(f"{target.name}.partial")
    with tarfile.open(partial, "w") as tar:
        for image in images:
            layer = _put_file(tar, image.layer, f"{_MEDIA}.layer.v1.tar")
            rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
            described = {**PLATFORM, "config": dict(image.config), "rootfs": rootfs}
            config = _put(tar, described, f"{_MEDIA}.config.v1+json")
            media = f"{_MEDIA}.manifest.v1+json"
            manifest = {"schemaVersion": 2, "mediaType": media}
            found = _put(tar, {**manifest, "config": config, "layers": [layer]}, media)
            short = image.name.removeprefix("docker.io/")
            paths = {"Config": _path(config), "Layers": [_path(layer)]}
            listed.append({**paths, "RepoTags": [short]})
            found["annotations"] = {"io.containerd.image.name": image.name}
            manifests.append({**found, "platform": PLATFORM})
        index = {"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json"}
        _add(tar, "index.json", json.dumps({**index, "manifests": manifests}).encode())
        _add(tar, "manifest.json", json.dumps(listed).encode())
        _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    partial.replace(target)


def layer(target: Path, files: Mapping[str, Path]) -> Path:
    """Write a plain tar of files under their names, links followed, all owned by root."""
    with tarfile.open(target, "w", dereference=True) as tar:
        for name, path in sorted(files.items()):
            tar.add(path, arcname=name, recursive=False, filter=_owned)
    return target


def _owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def _put_file(tar: tarfile.TarFile, path: Path, media: str) -> dict[str, Any]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = stream.tell()
        if f"blobs/sha256/{digest}" not in tar.getnames():
            stream.seek(0)
            info = tarfile.TarInfo(f"blobs/sha256/{digest}")
            info.size = size
            tar.addfile(info, stream)
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": size}


def _put(tar: tarfile.TarFile, document: object, media: str) -> dict[str, Any]:
    content = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    found = {"mediaType": media, "digest": digest, "size": len(content)}
    if _path(found) not in tar.getnames():
        _add(tar, _path(found), content)
    return found


def _path(descriptor: Mapping[str, Any]) -> str:
    return f"blobs/{str(descriptor['digest']).replace(':', '/')}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
