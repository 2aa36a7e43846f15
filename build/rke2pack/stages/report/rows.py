"""Rows of the page's table of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rke2pack.page.images import PageImage, Proof
from rke2pack.page.release import PageData


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One row; ``sizes`` are what a node downloads, or ``is_unpacked`` what an archive holds."""

    image: PageImage
    registry: str
    repository: str
    tag: str
    sizes: tuple[tuple[str, int], ...]
    is_unpacked: bool
    charts: tuple[str, ...]

    @property
    def size(self) -> int | None:
        """The largest platform's size, by which the table is sorted."""
        return max((size for _, size in self.sizes), default=None)

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """Why the image is needed."""
        return self.image.proofs or ()


def image_rows(data: PageData) -> tuple[ImageRow, ...]:
    """Return a row an image, in the order of the data."""
    archived: dict[str, dict[str, int]] = {}
    for archive in data.archives:
        for image in archive.images:
            archived.setdefault(image.reference, {})[archive.platform] = image.size
    return tuple(_row(image, archived.get(image.reference, {})) for image in data.images)


def _row(image: PageImage, archived: Mapping[str, int]) -> ImageRow:
    registry, _, rest = image.reference.partition("/")
    repository, _, tag = rest.partition(":")
    locked = tuple((each.platform, each.size) for each in image.sizes)
    return ImageRow(
        image=image,
        registry=registry,
        repository=repository,
        tag=tag,
        sizes=locked or tuple(sorted(archived.items())),
        is_unpacked=not locked and bool(archived),
        charts=tuple(dict.fromkeys(each.chart for each in image.proofs or () if each.chart)),
    )
