"""Recipes: how archives are compressed, by profile and format (docs/adr/0006-archives.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from rke2pack.oci import wrapping
from rke2pack.oci.coding import Coding, Gzip, Search, Strategy, Zstd
from rke2pack.oci.wrapping import Wrapping

Format = Literal["zst", "gz"]
ProfileName = Literal["fast", "default", "small"]
# Chosen for layers: programs for the most part, in frames of 32 MiB.
_ZSTD: Mapping[ProfileName, Zstd] = MappingProxyType(
    {
        "fast": Zstd(level=3),
        "default": Zstd(
            level=9, search=Search(strategy=Strategy.lazy, min_match=5, search_log=3, hash_log=22)
        ),
        "small": Zstd(
            level=16,
            search=Search(
                strategy=Strategy.btopt,
                min_match=3,
                search_log=3,
                hash_log=21,
                chain_log=21,
                target_length=96,
            ),
        ),
    }
)


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
        return Recipe(keeps_blobs=keeps, splices=True, plain=Gzip(level=6), packed=wrapping.GZIP)
    return Recipe(keeps_blobs=keeps, splices=False, plain=_ZSTD[profile], packed=wrapping.ZSTD)
