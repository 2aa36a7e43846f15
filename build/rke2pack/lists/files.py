"""The files that lists are written to, and how they differ from what charts need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack.lists import text
from rke2pack.lists.model import ImageList, ImageLists
from rke2pack.lists.text import Section
from rke2pack.tree.native import NativeTree

FOLDER = "dist/images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One line that images.txt lacks (``is_missing``) or has too much, and why."""

    component: str
    reference: str
    is_missing: bool
    proof: str

    def __str__(self) -> str:
        """Write the difference as one line with its proof."""
        sign = "+" if self.is_missing else "-"
        return f"{sign} {self.component}: {self.reference}  ({self.proof})"


def written(tree: NativeTree) -> tuple[Section, ...]:
    """Parse the tree's images.txt; raises ConfigError."""
    return text.parse(tree.images_text, what=str(tree.images_path))


def sections(tree: NativeTree, lists: ImageLists) -> tuple[Section, ...]:
    """Return the sections that ``lists`` make."""
    platforms = tree.components.platforms
    return tuple(text.section_of(each, all_platforms=platforms) for each in lists.lists)


def merged(tree: NativeTree, lists: ImageLists) -> tuple[Section, ...]:
    """Return all sections of images.txt, those of ``lists`` made anew."""
    order = [component.name for component in tree.components.components]
    return text.replaced(written(tree), sections(tree, lists), order=order)


def list_files(tree: NativeTree, found: Iterable[Section]) -> dict[Path, bytes]:
    """Return the lists per component and platform below ``dist/images/``."""
    named = text.list_files(found, all_platforms=tree.components.platforms)
    return {tree.root / FOLDER / name: content for name, content in named.items()}


def compare(lists: ImageLists, has: Iterable[Section]) -> tuple[Difference, ...]:
    """Return where the sections differ from what ``lists`` need, in the lists' order."""
    references = {section.component: section.references for section in has}
    return tuple(
        difference
        for each in lists.lists
        for difference in _differences(each, references.get(each.component, ()))
    )


def strays(lists: ImageLists, has: Iterable[Section]) -> tuple[Difference, ...]:
    """Return the lines of sections that no list is for."""
    known = {each.component for each in lists.lists}
    return tuple(
        Difference(
            component=section.component,
            reference=reference,
            is_missing=False,
            proof="the tree has no such component",
        )
        for section in has
        if section.component not in known
        for reference in section.references
    )


def _differences(images: ImageList, has: tuple[str, ...]) -> Iterable[Difference]:
    proofs: Mapping[str, str] = {str(image.reference): image.proofs[0] for image in images.images}
    for reference in images.references:
        if reference not in has:
            yield Difference(
                component=images.component,
                reference=reference,
                is_missing=True,
                proof=proofs[reference],
            )
    for reference in has:
        if reference not in proofs:
            yield Difference(
                component=images.component,
                reference=reference,
                is_missing=False,
                proof="no chart and no rule names it",
            )
