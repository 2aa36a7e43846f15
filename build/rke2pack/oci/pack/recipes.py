"""Recipes: how archives are compressed, by profile and format (docs/adr/0006-archives.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rke2pack.oci.coding import Coding, Gzip, GzipWrap, Wrapping, Zstd, ZstdWrap

Format = Literal["zst", "gz"]
ProfileName = Literal["fast", "default", "small"]
# From here on zstd's search for long matches pays: below, it makes frames of
# 32 MiB, which the window covers, no smaller and takes a quarter of the time.
_FAR_LEVEL = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How archives of one profile and format are made.

    ``plain`` encodes everything but gzip layers that are kept as they are,
    which ``packed`` wraps.
    """

    keeps_blobs: bool
    splices: bool
    plain: Coding
    packed: Wrapping


def recipe(profile: ProfileName, form: Format) -> Recipe:
    """Return the recipe; default and small differ in their ``.tar.zst`` only."""
    keeps = profile == "fast"
    if form == "gz":
        return Recipe(keeps_blobs=keeps, splices=True, plain=Gzip(level=6), packed=GzipWrap())
    level = {"fast": 3, "default": 9, "small": 16}[profile]
    return Recipe(
        keeps_blobs=keeps,
        splices=False,
        plain=Zstd(level=level, is_near=level < _FAR_LEVEL),
        packed=ZstdWrap(),
    )
