"""Archives made by hand are verified: what passed, what failed."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

from rke2pack.oci.intake import archivefile
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.checks import Verified
from tests.unit.oci.archives import (
    BASE,
    NAME,
    OWN,
    blob,
    config,
    docker_listing,
    image_files,
    index,
    manifest,
    tar,
    write,
)

FILE = "rke2-images-core.linux-amd64.tar.zst"
Files = dict[str, bytes]
Change = Callable[[Files], Files | list[tuple[str, bytes]]]
LISTED = manifest(config(BASE, OWN), BASE, OWN)


def verify(path: Path, *bases: Path) -> Verified:
    scan = scans.scan(archivefile.find(path))
    return verifyarchive.verify(scan, [scans.scan(archivefile.find(base)) for base in bases])


def verified(folder: Path, files: Files | list[tuple[str, bytes]], name: str = FILE) -> Verified:
    listed = files.items() if isinstance(files, dict) else files
    return verify(write(folder / name, tar(listed)))


def failed(found: Verified) -> dict[str, list[str]]:
    """What each failed check told."""
    wrong: dict[str, list[str]] = {}
    for each in found.results:
        if each.status == "failed":
            wrong.setdefault(each.check, []).append(each.detail)
    return wrong


def states(found: Verified) -> dict[str, str]:
    return {each.check: each.status for each in found.results}


def with_layers(*layers: bytes) -> Change:
    """Other layers, under a config that knows BASE and OWN."""

    def change(_files: Files) -> Files:
        own = config(BASE, OWN)
        listed = manifest(own, *layers)
        return {
            "oci-layout": image_files()["oci-layout"],
            "index.json": index({NAME: listed}),
            "manifest.json": docker_listing({NAME: (own, layers)}),
            **dict(sorted(map(blob, {own, listed, *layers}))),
        }

    return change


def content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = opened.extractfile(member)
    assert found is not None
    return found.read()
