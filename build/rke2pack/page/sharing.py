"""Sharing: which layers are in several images or components, and how many bytes that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from rke2pack.page.archives import ArchivedImage, PageArchive

Kind = Literal["unique", "component", "components"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some images under a name: a component in an archive."""

    name: str
    images: tuple[ArchivedImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one treemap shows; an empty ``archive`` means all component archives of a platform."""

    platform: str
    archive: str
    groups: tuple[Group, ...]

    @property
    def title(self) -> str:
        """What the scope is called on the page."""
        return self.archive or f"All components, {self.platform}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Bytes of a group: of its images one by one, stored once, and shared between images.

    ``elsewhere`` are the bytes that archives of other components have too.
    """

    images: int
    alone: int
    stored: int
    shared: int
    elsewhere: int

    def to_json(self) -> dict[str, int]:
        """Return the object of the page's data."""
        return {
            "images": self.images,
            "alone": self.alone,
            "stored": self.stored,
            "unique": self.stored - self.shared,
            "shared": self.shared,
            "elsewhere": self.elsewhere,
        }


@dataclass(kw_only=True)
class Holders:
    """Who has a layer, in one scope."""

    sizes: dict[str, int] = field(default_factory=dict)
    images: dict[str, dict[str, None]] = field(default_factory=dict)
    groups: dict[str, dict[str, None]] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: Iterable[Group]) -> Holders:
        """Count the layers of groups."""
        found = cls()
        for group in groups:
            for image in group.images:
                for layer in image.layers:
                    found.sizes[layer.digest] = layer.size
                    found.images.setdefault(layer.digest, {})[image.reference] = None
                    found.groups.setdefault(layer.digest, {})[group.name] = None
        return found

    def kind(self, digest: str) -> Kind:
        """Return how a layer is shared."""
        if len(self.groups[digest]) > 1:
            return "components"
        return "component" if len(self.images[digest]) > 1 else "unique"

    def between(self) -> int:
        """Return the bytes of the layers that several groups have, each once."""
        return sum(s for digest, s in self.sizes.items() if self.kind(digest) == "components")

    def sums(self, group: Group) -> Sums:
        """Add up a group's layers."""
        own = {layer.digest for image in group.images for layer in image.layers}
        inside = Holders.of((group,))
        return Sums(
            images=len(group.images),
            alone=sum(image.size for image in group.images),
            stored=sum(self.sizes[digest] for digest in own),
            shared=sum(self.sizes[each] for each in own if len(inside.images[each]) > 1),
            elsewhere=sum(self.sizes[each] for each in own if len(self.groups[each]) > 1),
        )


def scopes(archives: Iterable[PageArchive], component_of: dict[str, str]) -> tuple[Scope, ...]:
    """Return what can be looked at: each platform's components, then each other archive.

    ``component_of`` maps a reference to its first component; an archive of
    several components is split by it.
    """
    platforms: dict[str, list[Group]] = {}
    others: list[Scope] = []
    for archive in archives:
        if archive.component and archive.images:
            group = Group(name=archive.component, images=archive.images)
            platforms.setdefault(archive.platform, []).append(group)
        elif archive.images:
            groups = _split(archive, component_of)
            others.append(Scope(platform=archive.platform, archive=archive.name, groups=groups))
    whole = [
        Scope(platform=platform, archive="", groups=tuple(groups))
        for platform, groups in sorted(platforms.items())
    ]
    return (*whole, *others)


def _split(archive: PageArchive, component_of: dict[str, str]) -> tuple[Group, ...]:
    found: dict[str, list[ArchivedImage]] = {}
    for image in archive.images:
        name = component_of.get(image.reference, "not in images.txt")
        found.setdefault(name, []).append(image)
    return tuple(Group(name=name, images=tuple(images)) for name, images in found.items())


def total(scope: Scope) -> Sums:
    """Add up a scope as a whole: each image once, shared are layers of several images."""
    images = {image.reference: image for group in scope.groups for image in group.images}
    every = Group(name="", images=tuple(images.values()))
    return Holders.of((every,)).sums(every)


def to_json(scope: Scope) -> dict[str, Any]:
    """Return the sums of a scope and of its groups."""
    holders = Holders.of(scope.groups)
    return {
        "title": scope.title,
        "platform": scope.platform,
        "archive": scope.archive or None,
        "total": total(scope).to_json() | {"elsewhere": holders.between()},
        "components": {group.name: holders.sums(group).to_json() for group in scope.groups},
    }
