"""Image lists: what each component needs, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rke2pack.finding import Finding
from rke2pack.oci.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """One image of a list with one line of proof per place that needs it."""

    reference: Reference
    proofs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList:
    """The ordered unique images of one component."""

    component: str
    platforms: tuple[str, ...]
    images: tuple[ListedImage, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """The full references, in order."""
        return tuple(str(image.reference) for image in self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLists:
    """The lists of several components, and what was seen while making them."""

    lists: tuple[ImageList, ...]
    findings: tuple[Finding, ...]
