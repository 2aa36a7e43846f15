"""Weights: what images are made of, as images.lock knows it; without a lock they are counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rke2pack.finding import Finding
from rke2pack.lists import lock as locks
from rke2pack.lists.lock import Lock, LockedPlatform
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.settings import Settings

Unit = Literal["bytes", "images"]
_SHOWN = 3
_WRITE = "'rke2pack images --lock' writes them"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Maps images to parts and their weights; notes which images have no sizes.

    An image that the lock lacks counts as the mean of those that it has.
    """

    lock: Lock | None
    _unsized: set[Reference] = field(default_factory=set, init=False)

    @classmethod
    def of(cls, settings: Settings) -> Weights:
        """Read the tree's lock; a folder that is no tree has none. Raises ConfigError."""
        return cls(lock=locks.of(settings) if settings.has_tree else None)

    @property
    def unit(self) -> Unit:
        """What weights are: bytes, or images where no size is known."""
        return "bytes" if self.lock and self.lock.images else "images"

    def parts(self, reference: Reference, platforms: Iterable[Platform]) -> Mapping[str, int]:
        """Return part -> weight of an image for platforms; none stands for all.

        Parts are digests of layers and configs, or whole images where the lock
        does not have their layers.
        """
        wanted = tuple(platforms)
        if self.lock is None or self.unit == "images":
            return {f"{reference} {each}": 1 for each in wanted} or {str(reference): 1}
        image = self.lock.get(reference)
        if image is not None and not wanted:
            found: Iterable[LockedPlatform | None] = image.platforms
        else:
            found = [image.platform(each) if image else None for each in wanted] or [None]
        names = [f"{reference} {each}" for each in wanted] or [str(reference)]
        parts: dict[str, int] = {}
        for number, each in enumerate(found):
            if each is not None:
                parts |= _parts(each)
            else:
                self._unsized.add(reference)
                parts[names[number]] = self._mean
        return parts

    def pin(self, reference: Reference) -> str:
        """Return the locked digest of an image, empty where there is none."""
        image = self.lock.get(reference) if self.lock else None
        return str(image.root.digest) if image else ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was not known about the images asked for so far."""
        if self.unit == "images":
            return (_finding("sizes of the images", f"none: images are counted; {_WRITE}"),)
        names = sorted(map(str, self._unsized))
        found = []
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            expected = f"sizes of {', '.join(names[:_SHOWN])}{more}"
            found.append(_finding(expected, f"none: each counts as the mean; {_WRITE}"))
        if not any(each.layers for each in self._every):
            found.append(_finding("the layers of images", f"none: sharing is not seen; {_WRITE}"))
        return tuple(found)

    @property
    def _every(self) -> tuple[LockedPlatform, ...]:
        images = self.lock.images if self.lock else ()
        return tuple(each for image in images for each in image.platforms)

    @property
    def _mean(self) -> int:
        sizes = [each.size for each in self._every]
        return sum(sizes) // len(sizes)


def _parts(locked: LockedPlatform) -> dict[str, int]:
    if not locked.layers:
        return {str(locked.manifest): locked.size}
    layers = {str(digest): size for digest, size in locked.layers}
    return {**layers, str(locked.config): locked.size - sum(layers.values())}


def _finding(expected: str, got: str) -> Finding:
    return Finding(
        severity="warning", check="no-sizes", subject=locks.NAME, expected=expected, got=got
    )
