"""How images.lock differs from images.txt, and from what registries have now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rke2pack import wording
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
    was_out, is_out = frozenset(old.unlocked if old else ()), frozenset(new.unlocked)
    names = sorted({*before, *after, *was_out, *is_out}, key=str)
    found = (
        _change(
            name, before.get(name) or _blank(name, was_out), after.get(name) or _blank(name, is_out)
        )
        for name in names
    )
    return tuple(change for change in found if change is not None)


def _blank(name: Reference, left_out: frozenset[Reference]) -> str:
    """Say what stands there for an image without an entry."""
    return "left out" if name in left_out else "no entry"


def _change(reference: Reference, old: LockedImage | str, new: LockedImage | str) -> Change | None:
    if old == new:
        return None
    if isinstance(old, str):
        got = new if isinstance(new, str) else str(new.root.digest)
        kind: Literal["added", "removed"] = "removed" if got == "no entry" else "added"
        return Change(reference=reference, kind=kind, expected=old, got=got)
    if isinstance(new, str):
        return Change(reference=reference, kind="removed", expected=str(old.root.digest), got=new)
    if old.root.digest != new.root.digest:
        one, two = str(old.root.digest), str(new.root.digest)
        return Change(reference=reference, kind="moved", expected=one, got=two)
    one, two = _facts(old), _facts(new)
    return Change(reference=reference, kind="changed", expected=one, got=two)


def _facts(image: LockedImage) -> str:
    return "; ".join(
        f"{each.platform} {each.manifest} ({wording.count(each.blobs, 'blob')}, {each.size} bytes)"
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
