"""What a bump does to the lists of a checkout of rancher/rke2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rke2pack.finding import Finding
from rke2pack.helm.version import ChartVersion
from rke2pack.lists import audit, needs, rewrite
from rke2pack.lists.needs import State
from rke2pack.oci.reference import DOCKER_HUB
from rke2pack.stages.bump.model import ImageChange, ListChange, Move
from rke2pack.tree import scriptedit, windows
from rke2pack.tree.imagescript import PRIME
from rke2pack.tree.rke2 import Rke2Tree
from rke2pack.tree.scriptedit import Place, Site, Sources
from rke2pack.workspace import Workspace

Versions = Mapping[str, ChartVersion]


@dataclass(frozen=True, kw_only=True)
class _Bump:
    """The lists before the bump, and what the charts need before and after it."""

    places: tuple[Place, ...]
    homes: Mapping[str, str]
    moved: frozenset[str]
    before: State
    after: State

    @property
    def sites(self) -> tuple[Site, ...]:
        """The lists of moved charts, in every edition that has them."""
        own = {home for chart, home in self.homes.items() if chart in self.moved}
        return tuple(site for site in needs.sites(self.places) if site[0] in own)


def change(
    workspace: Workspace, tree: Rke2Tree, moves: tuple[Move, ...], versions: Versions
) -> ListChange:
    """Plan the edits of scripts/build-images (and version.sh); raises ConfigError."""
    bump = _gather(workspace, tree, moves, versions)
    unsure = needs.unsure(bump.after, tree.components)
    needed = bump.after.by_site(bump.sites, bump.homes)
    decided, open_ends = rewrite.decide(
        bump.places,
        rewrite.Wanted(
            needed=needed,
            old=bump.before.by_site(bump.sites, bump.homes, bump.moved),
            new=bump.after.by_site(bump.sites, bump.homes, bump.moved),
            unsure=frozenset(unsure.values()),
            static=audit.static_repositories(tree.components),
        ),
    )
    texts: Mapping[str, str] = {}
    if decided.images or decided.added:
        texts = scriptedit.edited(tree.sources, decided, is_private=tree.is_private)
    dockerfile = windows.moved(tree.root, {move.entry.name: move.new for move in moves})
    return ListChange(
        files={
            **{tree.root / name: text.encode() for name, text in texts.items()},
            **dockerfile.files,
        },
        generated={},
        images=tuple(_images(bump, tree.sources.with_texts(texts).places, needed)),
        findings=(
            *_of_moved(moves, bump.after),
            *open_ends,
            *_homeless(bump),
            *_unknown(unsure, bump),
            *_earlier(tree, bump),
            *_assumed(tree.sources),
            *dockerfile.findings,
        ),
    )


def _gather(
    workspace: Workspace, tree: Rke2Tree, moves: tuple[Move, ...], versions: Versions
) -> _Bump:
    places = tree.sources.places
    bundled = workspace.bundled()
    before, after = (workspace.needs(of, tree=tree) for of in (bundled, versions))
    charts = dict.fromkeys((*bundled, *versions))
    return _Bump(
        places=places,
        homes=needs.homes((before, after), charts, places, tree.components),
        moved=frozenset(move.entry.name for move in moves),
        before=before,
        after=after,
    )


def _of_moved(moves: tuple[Move, ...], after: State) -> Iterator[Finding]:
    """Yield what was seen in the moved charts; the others' findings are not of this change."""
    subjects = {f"{move.entry.name} {move.version}" for move in moves}
    every = (finding for each in after.needs.values() for finding in each.findings)
    yield from dict.fromkeys(finding for finding in every if finding.subject in subjects)


def _images(bump: _Bump, places: tuple[Place, ...], after: audit.Needed) -> Iterator[ImageChange]:
    for site in bump.sites:
        was, has = _at(bump.places, site), _at(places, site)
        name, edition = site
        yield ImageChange(
            component=name if edition != PRIME else f"{name} (prime)",
            added=tuple(_full(image) for image in has if image not in was),
            removed=tuple(_full(image) for image in was if image not in has),
            proofs={_full(text): image.proofs for text, image in after[site].items()},
        )


def _full(image: str) -> str:
    return f"{DOCKER_HUB}/{image}"


def _at(places: Iterable[Place], site: Site) -> tuple[str, ...]:
    return tuple(p.image for p in places if site in p.sites and p.image is not None)


def _homeless(bump: _Bump) -> Iterator[Finding]:
    """Tell which moved charts have images and no list of the script to put them in."""
    for edition, each in bump.after.needs.items():
        for chart in bump.moved:
            images = each.images.get(chart, ())
            if images and chart not in bump.homes:
                yield Finding(
                    severity="error",
                    check="missing-list",
                    subject=f"{chart} ({edition})",
                    expected="a list of build-images with an image of this chart",
                    got=f"none lists {needs.bare(images[0])}; add it by hand",
                )


def _unknown(unsure: Mapping[str, str], bump: _Bump) -> Iterator[Finding]:
    affected = {name for name, _ in bump.sites}
    for chart, home in unsure.items():
        if home in affected:
            yield Finding(
                severity="warning",
                check="unknown-chart",
                subject=f"list {home}",
                expected=f"{chart} to render, to know which of its images must stay",
                got=bump.after.unknown[chart],
            )


def _earlier(tree: Rke2Tree, bump: _Bump) -> Iterator[Finding]:
    """Tell where the lists were not what the charts needed, before this bump."""
    before = bump.before.by_site(bump.sites, bump.homes)
    unsure = needs.unsure(bump.before, tree.components).values()
    for gap in audit.gaps(bump.places, before, tree.components, unsure):
        yield Finding(
            severity="warning",
            check="stale-list",
            subject=f"build-images, list {gap.where}",
            expected=f"before this bump {'' if gap.is_missing else 'no '}{gap.image}",
            got="it was missing" if gap.is_missing else f"it was listed: {gap.proof}",
        )


def _assumed(sources: Sources) -> Iterator[Finding]:
    for line in sources.parsed.assumed:
        yield Finding(
            severity="info",
            check="assumed-condition",
            subject=f"{sources.script}, line {line}",
            expected="a condition on REGISTRY or GOARCH",
            got="one that cannot be told here; its images count as listed",
        )
