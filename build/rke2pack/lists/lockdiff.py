"""How images.lock differs from images.txt, and from what registries have now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rke2pack.finding import Finding
from rke2pack.lists.lock import Lock, LockedImage
from rke2pack.lists.text import Section
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.tree.components import Components

_SIGNS = {"added": "+", "removed": "-", "moved": "~", "changed": "~"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One image that a lock lacks, has too much, or has otherwise."""

    reference: Reference
    kind: Literal["added", "removed", "moved", "changed"]
    expected: str
    got: str

    def to_json(self) -> dict[str, str]:
        """Return the object that ``--json`` carries."""
        return {
            "reference": str(self.reference),
            "change": self.kind,
            "expected": self.expected,
            "got": self.got,
        }

    def finding(self) -> Finding:
        """Return the warning for a tag that moved, or for its entry."""
        return Finding(
            severity="warning",
            check=f"{self.kind}-tag" if self.kind == "moved" else "changed-lock",
            subject=str(self.reference),
            expected=self.expected,
            got=self.got,
        )

    def __str__(self) -> str:
        """Write the change as one line of a review."""
        facts = {
            "added": self.got,
            "removed": self.expected,
            "moved": f"{self.expected} -> {self.got}",
            "changed": f"{self.expected} -> {self.got}",
        }
        return f"{_SIGNS[self.kind]} {self.reference}  {facts[self.kind]}"


def wanted(
    components: Components, sections: Iterable[Section]
) -> dict[Reference, tuple[Platform, ...]]:
    """Return what a lock of these sections of images.txt has to hold, in their order."""
    found: dict[Reference, dict[Platform, None]] = {}
    for section in sections:
        names = components.image_platforms(section.platforms or components.platforms)
        for text in section.references:
            platforms = found.setdefault(Reference.parse(text), {})
            platforms.update(dict.fromkeys(map(Platform.parse, names)))
    return {reference: tuple(platforms) for reference, platforms in found.items()}


def between(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """Return what changes from one lock to another, by reference."""
    before = {image.reference: image for image in (old.images if old else ())}
    after = {image.reference: image for image in new.images}
    names = sorted({*before, *after}, key=str)
    return tuple(
        change
        for name in names
        if (change := _change(name, before.get(name), after.get(name))) is not None
    )


def _change(
    reference: Reference, old: LockedImage | None, new: LockedImage | None
) -> Change | None:
    if old == new:
        return None
    if old is None:
        got = str(new.root.digest) if new else ""
        return Change(reference=reference, kind="added", expected="no entry", got=got)
    if new is None:
        digest = str(old.root.digest)
        return Change(reference=reference, kind="removed", expected=digest, got="no entry")
    if old.root.digest != new.root.digest:
        one, two = str(old.root.digest), str(new.root.digest)
        return Change(reference=reference, kind="moved", expected=one, got=two)
    one, two = _facts(old), _facts(new)
    return Change(reference=reference, kind="changed", expected=one, got=two)


def _facts(image: LockedImage) -> str:
    return "; ".join(
        f"{each.platform} {each.manifest} ({each.blobs} blobs, {each.size} bytes)"
        for each in image.platforms
    )


def against(
    lock: Lock, wanted: Mapping[Reference, Iterable[Platform]], *, is_whole: bool
) -> tuple[Change, ...]:
    """Return where a lock is not for the images and platforms of the lists.

    ``is_whole`` says that ``wanted`` are all of them, so that no other is needed.
    """
    return tuple(sorted(_against(lock, wanted, is_whole=is_whole), key=str))


def _against(
    lock: Lock, wanted: Mapping[Reference, Iterable[Platform]], *, is_whole: bool
) -> Iterator[Change]:
    for reference, platforms in wanted.items():
        if reference in lock.unlocked:
            continue
        image = lock.get(reference)
        if image is None:
            yield Change(
                reference=reference, kind="added", expected="an entry", got="images.txt lists it"
            )
            continue
        names = tuple(platforms)
        if not image.is_for(names):
            has, needs = _names(each.platform for each in image.platforms), _names(names)
            yield Change(
                reference=reference, kind="changed", expected=f"locked for {has}",
                got=f"listed for {needs}",
            )  # fmt: skip
    known = (*(image.reference for image in lock.images), *lock.unlocked)
    for reference in known if is_whole else ():
        if reference not in wanted:
            yield Change(
                reference=reference,
                kind="removed",
                expected="images.txt does not list it",
                got="an entry",
            )


def _names(platforms: Iterable[Platform]) -> str:
    return ", ".join(sorted(str(each) for each in platforms))
