"""Whole archives from small layouts, by every profile and in both formats."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

from rke2pack.files import Cache
from rke2pack.oci import coding
from rke2pack.oci.pack import recipes
from rke2pack.oci.pack.packer import Artifact, Found, Packer
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from tests.unit.oci.archives import BASE
from tests.unit.oci.imaging import layer, put_image

AMD64 = Platform.parse("linux/amd64")
PROFILES: tuple[ProfileName, ...] = ("fast", "default", "small")
FORMATS: tuple[Format, ...] = ("zst", "gz")


class Workshop:
    """Packs everything that a layout has."""

    def __init__(self, layout: Layout, cache: Path) -> None:
        self.layout = layout
        self.cache = cache

    def packer(self, profile: ProfileName, form: Format, **options: Any) -> Packer:  # noqa: ANN401 - of Packer
        store = Store(layout=self.layout)
        recipe = recipes.recipe(profile, form)
        return Packer(store=store, cache=Cache(self.cache), recipe=recipe, **options)

    def images(self, platform: Platform = AMD64) -> list[Found]:
        store = Store(layout=self.layout)
        found = []
        for name in store.names:
            reference = Reference.parse(name)
            manifest, own = store.manifest(reference, platform)
            found.append(Found(reference=reference, manifest=manifest, platform=own))
        return found

    def pack(
        self,
        path: Path,
        profile: ProfileName = "default",
        form: Format = "zst",
        platform: Platform = AMD64,
    ) -> tuple[Artifact, ...]:
        return self.packer(profile, form).pack(path, self.images(platform))

    def tar(
        self, path: Path, profile: ProfileName = "default", form: Format = "zst"
    ) -> dict[str, bytes]:
        self.pack(path, profile, form)
        return members(path.read_bytes(), form)


def plain(data: bytes, form: Format) -> bytes:
    if form == "gz":
        return gzip.decompress(data)
    return b"".join(coding.unzstd([data], what="archive"))


def members(data: bytes, form: Format) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(plain(data, form))) as tar:
        found = [(each.name, tar.extractfile(each)) for each in tar]
        names = [name for name, _ in found]
        assert len(names) == len(set(names)), "each file is there once"
        return {name: content.read() for name, content in found if content}


def blob(digest: object) -> str:
    return f"blobs/sha256/{str(digest).removeprefix('sha256:')}"


def put_three(layout: Layout) -> None:
    for number in range(3):
        put_image(
            layout,
            f"docker.io/example/app{number}:v{number}",
            [(BASE, "gzip"), (layer({"n": str(number).encode()}), "gzip")],
            is_docker=number == 1,
        )
