"""Where the lists of scripts/build-images differ from what the bundled charts need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rke2pack.lists.model import ListedImage
from rke2pack.tree.components import Components
from rke2pack.tree.imagescript import COMMUNITY
from rke2pack.tree.scriptedit import Place, Site

Needed = Mapping[Site, Mapping[str, ListedImage]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One image that a list lacks (``is_missing``) or has too much, and why."""

    site: Site
    image: str
    is_missing: bool
    proof: str

    @property
    def where(self) -> str:
        """The list, with its edition where that is not the community's."""
        name, edition = self.site
        return name if edition == COMMUNITY else f"{name} ({edition})"

    def __str__(self) -> str:
        sign = "+" if self.is_missing else "-"
        return f"{sign} {self.where}: {self.image}  ({self.proof})"

    def to_json(self) -> dict[str, str]:
        """Return the object that ``--json`` carries."""
        name, edition = self.site
        return {
            "list": name,
            "edition": edition,
            "image": self.image,
            "kind": "missing" if self.is_missing else "stale",
            "proof": self.proof,
        }


def gaps(
    places: Iterable[Place], needed: Needed, components: Components, unsure: Iterable[str] = ()
) -> tuple[Gap, ...]:
    """Return missing and stale images of the lists in ``needed``, in its order.

    An image is stale where its repository is a chart's and its tag is none's, or
    where nothing knows it; in the lists of ``unsure``, of which a chart is not
    known, only the former counts. What version.sh has the tag of is never stale.
    """
    listed = _listed(places)
    static = static_repositories(components)
    left_open = frozenset(unsure)
    return tuple(
        gap
        for site, images in needed.items()
        for gap in (
            *_missing(site, images, listed.get(site, {})),
            *_stale(site, images, listed.get(site, {}), static, is_sure=site[0] not in left_open),
        )
    )


def _listed(places: Iterable[Place]) -> dict[Site, dict[str, bool]]:
    """Return what each list has, and whether the release itself says the tag."""
    listed: dict[Site, dict[str, bool]] = {}
    for place in places:
        for site in place.sites:
            if place.image is not None:
                listed.setdefault(site, {})[place.image] = place.is_of_release
    return listed


def static_repositories(components: Components) -> frozenset[str]:
    """Return the repositories of the images that no chart names."""
    return frozenset(
        image.image.partition(":")[0]
        for component in components.components
        for image in component.images
    )


def _missing(
    site: Site, images: Mapping[str, ListedImage], has: Mapping[str, bool]
) -> Iterator[Gap]:
    for image, listed in images.items():
        if image not in has:
            yield Gap(site=site, image=image, is_missing=True, proof=listed.proofs[0])


def _stale(
    site: Site,
    images: Mapping[str, ListedImage],
    has: Mapping[str, bool],
    static: frozenset[str],
    *,
    is_sure: bool,
) -> Iterator[Gap]:
    tags: dict[str, list[str]] = {}
    for image in images:
        repository, _, tag = image.rpartition(":")
        tags.setdefault(repository, []).append(tag)
    for image, is_of_release in has.items():
        repository = image.rpartition(":")[0]
        if image in images or is_of_release or repository in static:
            continue
        if repository in tags:
            proof = f"the charts need {repository}:{', '.join(tags[repository])}"
            yield Gap(site=site, image=image, is_missing=False, proof=proof)
        elif is_sure:
            proof = "no bundled chart and no rule names it"
            yield Gap(site=site, image=image, is_missing=False, proof=proof)
