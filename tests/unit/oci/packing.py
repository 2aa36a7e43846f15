"""Archives as airgap makes them, of everything that a layout has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rke2pack.files import Cache
from rke2pack.oci.pack import recipes
from rke2pack.oci.pack.packer import Found, Packer
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store


def pack(
    layout: Layout,
    path: Path,
    profile: ProfileName = "default",
    *,
    form: Format = "zst",
    platform: str = "linux/amd64",
    names: Iterable[str] | None = None,
    max_size: int | None = None,
) -> Path:
    """Pack the named images of a layout, else all of them."""
    store = Store(layout=layout)
    images = []
    for name in names or store.names:
        reference = Reference.parse(name)
        manifest, own = store.manifest(reference, Platform.parse(platform))
        images.append(Found(reference=reference, manifest=manifest, platform=own))
    cache = Cache(layout.root.parent / "frames-of-tests")
    recipe = recipes.recipe(profile, form)
    Packer(store=store, cache=cache, recipe=recipe, max_size=max_size).pack(path, images)
    return path
