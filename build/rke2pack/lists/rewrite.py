"""Deciding what a bump changes in the lists of scripts/build-images, image by image.

A line that the moved chart's images stand in gets the new tag; a line whose image
went is taken by the image that came in its place, or goes; a new image stands
behind its neighbours of the same chart. A line that another chart of its list
needs stays as it is, and so does everything that is not of the moved charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from rke2pack.finding import Finding
from rke2pack.tree.scriptedit import Change, Key, Place, Site

_ALIKE = 0.6  # how much of two names is the same where one image took the other's place
Images = Mapping[Site, Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What lists must hold: for all charts after the change, and of the moved ones old and new.

    ``unsure`` are lists of which a chart is not known; nothing is deleted there.
    ``static`` are repositories of images that no chart names.
    """

    needed: Images
    old: Images
    new: Images
    unsure: frozenset[str] = frozenset()
    static: frozenset[str] = frozenset()


def decide(places: Iterable[Place], wanted: Wanted) -> tuple[Change, tuple[Finding, ...]]:
    """Return the change that gives every list what ``wanted`` says, and what is left open."""
    decision = _Decision(tuple(places), wanted)
    decision.retag()
    decision.rename()
    decision.insert()
    decision.delete()
    change = Change(images=decision.images, added=tuple(decision.added))
    return change, tuple(decision.findings)


def _repository(image: str) -> str:
    return image.rpartition(":")[0]


@dataclass
class _Decision:
    places: tuple[Place, ...]
    wanted: Wanted
    images: dict[Key, str | None] = field(default_factory=dict)
    added: list[tuple[Key, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.needed = {site: frozenset(images) for site, images in self.wanted.needed.items()}
        self.old = {site: frozenset(images) for site, images in self.wanted.old.items()}
        self.new = {site: tuple(images) for site, images in self.wanted.new.items()}
        self.mine = {_repository(image) for images in self.old.values() for image in images}
        self.coming = tuple(dict.fromkeys(i for images in self.new.values() for i in images))

    def retag(self) -> None:
        for image in self.coming:
            repository = _repository(image)
            while lacking := self._lacking(image):
                same = [p for p in self._free() if p.repository == repository]
                place = self._best(image, lacking, same)
                if place is None:
                    break
                self.images[place.key] = image

    def rename(self) -> None:
        """Give the line of an image that went to the one that is called much like it."""
        repositories = {_repository(image) for image in self.coming}
        for image in self.coming:
            lacking = self._lacking(image)
            gone = [
                place
                for place in self._free()
                if self._was_mine(place) and place.repository not in repositories
            ]
            alike = [p for p in gone if _likeness(p.repository, _repository(image)) >= _ALIKE]
            alike.sort(key=lambda p: -_likeness(p.repository, _repository(image)))
            place = self._best(image, lacking, alike) if lacking else None
            if place is not None:
                self.images[place.key] = image

    def insert(self) -> None:
        for image in self.coming:
            while lacking := self._lacking(image):
                if self._tell_unread(image, lacking):
                    break
                neighbour = self._neighbour(lacking)
                if neighbour is None:
                    self._tell_missing(image, lacking)
                    break
                self.added.append((neighbour.key, image))

    def delete(self) -> None:
        for place in self._free():
            if not self._was_mine(place):
                continue
            if any(name in self.wanted.unsure for name, _ in place.sites):
                self._tell_kept(place, "no other chart of the list to be unknown")
            elif self._is_last(place):
                self._tell_kept(place, "another image in the list, an empty one breaks the script")
            else:
                self.images[place.key] = None

    def _lacking(self, image: str) -> frozenset[Site]:
        """Where a moved chart needs an image that is not there yet."""
        has = {
            site
            for place in self.places
            if self.images.get(place.key, place.image) == image
            for site in place.sites
        }
        by_key = {place.key: place for place in self.places}
        has |= {site for key, new in self.added if new == image for site in by_key[key].sites}
        return frozenset(site for site, images in self.new.items() if image in images) - has

    def _free(self) -> list[Place]:
        """Places that nobody needs any more and that got nothing new."""
        return [
            place
            for place in self.places
            if place.key not in self.images
            and place.image is not None
            and place.repository not in self.wanted.static
            and not any(place.image in self.needed.get(site, ()) for site in place.sites)
        ]

    def _was_mine(self, place: Place) -> bool:
        """Whether a list of a moved chart has it for that chart, be it with a stale tag."""
        return place.repository in self.mine and any(site in self.old for site in place.sites)

    def _is_old(self, place: Place) -> bool:
        return any(place.image in self.old.get(site, ()) for site in place.sites)

    def _best(self, image: str, lacking: frozenset[Site], candidates: list[Place]) -> Place | None:
        fitting = [
            place
            for place in candidates
            if place.sites & lacking
            and all(image in self.needed.get(site, ()) for site in place.sites)
        ]
        fitting.sort(key=lambda p: (p.sites != lacking, not self._is_old(p)))
        return fitting[0] if fitting else None

    def _neighbour(self, lacking: frozenset[Site]) -> Place | None:
        """Return the last place of the moved charts, or of the list, with the same conditions."""
        kept = [place for place in self.places if self.images.get(place.key, "") is not None]
        for sites in (lacking, *(frozenset({site}) for site in sorted(lacking))):
            same = [place for place in kept if place.sites == sites]
            mine = [p for p in same if self.images.get(p.key, p.image) in self.coming]
            if mine or same:
                return (mine or same)[-1]
        return None

    def _is_last(self, place: Place) -> bool:
        """Whether a list, or a here-document in one, would have no image left."""
        fresh = {key for key, _ in self.added}
        left = [
            other
            for other in self.places
            if other.key in fresh
            or (other is not place and self.images.get(other.key, "") is not None)
        ]
        sites = frozenset(site for other in left for site in other.sites)
        documents = frozenset(start for other in left for start in other.documents)
        return not (place.sites <= sites and place.documents <= documents)

    def _tell_unread(self, image: str, lacking: frozenset[Site]) -> bool:
        """Tell of a line with this image whose tag is not known; return whether there is one."""
        for place in self.places:
            if place.image is None and place.repository == _repository(image):
                if not place.sites & lacking:
                    continue
                self.findings.append(
                    Finding(
                        severity="warning",
                        check="unknown-image",
                        subject=", ".join(sorted({name for name, _ in place.sites})),
                        expected=image,
                        got=f"{place.text.raw}, whose tag cannot be told; check it by hand",
                    )
                )
                return True
        return False

    def _tell_missing(self, image: str, lacking: frozenset[Site]) -> None:
        names = ", ".join(sorted(" of ".join(site) for site in lacking))
        self.findings.append(
            Finding(
                severity="error",
                check="missing-image",
                subject=names,
                expected=f"{image}",
                got="no line of that list alone to put it behind; add it by hand",
            )
        )

    def _tell_kept(self, place: Place, expected: str) -> None:
        self.findings.append(
            Finding(
                severity="warning",
                check="kept-image",
                subject=", ".join(sorted({name for name, _ in place.sites})),
                expected=f"{expected}, to delete {place.image}",
                got="the line was left",
            )
        )


def _likeness(left: str, right: str) -> float:
    return SequenceMatcher(None, left, right, autojunk=False).ratio()
