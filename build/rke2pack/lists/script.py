"""The lists of scripts/build-images as sections, as images.txt has them."""

from __future__ import annotations

from rke2pack.lists.text import Section
from rke2pack.tree.imagescript import ARCHITECTURES, COMMUNITY, REGISTRIES
from rke2pack.tree.rke2 import Rke2Tree


def sections(tree: Rke2Tree) -> tuple[Section, ...]:
    """Return the community's lists, with what is known of each image; raises ConfigError.

    An image whose tag only a build knows, such as rke2-runtime's, stands with its variables.
    """
    found: dict[str, dict[str, int]] = {}
    platforms: dict[str, list[str]] = {}
    for run in tree.sources.parsed.runs:
        if run.edition != COMMUNITY:
            continue
        for name, entries in run.lists.items():
            platforms.setdefault(name, []).append(f"linux/{run.architecture}")
            images = (entry.image or _without_registry(entry.text.raw) for entry in entries)
            lines = {f"{REGISTRIES[COMMUNITY]}/{image}": 0 for image in images}
            found.setdefault(name, {}).update(lines)
    return tuple(
        Section(
            component=name,
            platforms=() if len(platforms[name]) == len(ARCHITECTURES) else tuple(platforms[name]),
            lines=lines,
        )
        for name, lines in found.items()
    )


def _without_registry(raw: str) -> str:
    return raw.partition("/")[2] if raw.startswith("$") else raw
