"""A recorded bump run again in a checkout, and what differs from what the maintainers did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack.cli import run
from rke2pack.lists import needs
from rke2pack.lists.needs import State
from rke2pack.tree.rke2 import Rke2Tree
from rke2pack.workspace import Workspace
from tests.settings import settings
from tests.upstream.checkouts import FORMS, VERSIONS, versions_text, write_checkout
from tests.upstream.replay import Bump

_REGISTRY = "${REGISTRY}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An image that only one of the two lists has; ``reason`` is empty where nothing proves it."""

    component: str
    image: str
    is_ours: bool
    kind: str
    reason: str

    def __str__(self) -> str:
        side = "ours" if self.is_ours else "theirs"
        told = self.reason or "nothing explains it"
        return f"{self.component}: only {side}: {self.image}: {self.kind} ({told})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a bump ended: ``failures`` are commands that failed, ``versions_differ`` says it."""

    bump: Bump
    failures: tuple[str, ...]
    versions_differ: bool
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> str:
        """``equal``, ``explained``, or ``open``."""
        if self.failures or self.versions_differ or not all(d.reason for d in self.differences):
            return "open"
        return "explained" if self.differences else "equal"


def rerun(bump: Bump, root: Path, *, data: Path, cache: Path, form: str) -> Outcome:
    """Write the checkout, run the bumps of the record in it, and compare."""
    write_checkout(bump, root, form)
    charts_repo = data / "rke2-charts"
    common = ["--tree", str(root), "--charts-repo", str(charts_repo), "--cache-dir", str(cache)]
    failures = []
    for chart, (_, version) in bump.moves.items():
        arguments = ["bump", chart, version, *common, "--only", "--allow-downgrade", "--quiet"]
        if code := run(arguments):
            failures.append(f"{' '.join(arguments[:3])}: exit code {code}")
    versions = {**bump.charts, **{name: new for name, (_, new) in bump.moves.items()}}
    return Outcome(
        bump=bump,
        failures=tuple(failures),
        versions_differ=(root / VERSIONS).read_text() != versions_text(versions),
        differences=tuple(_differences(bump, root, charts_repo, cache)),
    )


def outcomes(data: Path, folder: Path, *, part: int = 0, parts: int = 1) -> Iterator[Outcome]:
    """Run every bump of one part of the records, each in one of the forms that scripts have."""
    forms = list(FORMS)
    for number, bump in enumerate(Bump.read_all(data)):
        if number % parts == part:
            form = forms[number % len(forms)]
            yield rerun(bump, folder / bump.commit, data=data, cache=folder / "cache", form=form)


def _differences(bump: Bump, root: Path, charts_repo: Path, cache: Path) -> Iterator[Difference]:
    tree = Rke2Tree.open(root)
    ours: dict[str, dict[str, None]] = {}
    for place in tree.sources.places:
        for name, _ in place.sites:
            ours.setdefault(name, {})[place.text.raw.removeprefix(_REGISTRY)] = None
    if all(set(ours[name]) == _theirs(bump, name) for name in bump.lists):
        return
    before, after = _needs(tree, charts_repo, cache, bump)
    states = (before, after)
    homes = needs.homes(states, bump.charts, tree.sources.places, tree.components)
    for name in bump.lists:
        theirs = _theirs(bump, name)
        for image in ours[name]:
            if image not in theirs:
                yield _explained(bump, name, image, states, homes, is_ours=True)
        for image in sorted(theirs - set(ours[name])):
            yield _explained(bump, name, image, states, homes, is_ours=False)


def _theirs(bump: Bump, name: str) -> set[str]:
    kept = set(bump.lists[name]) - set(bump.removed.get(name, ()))
    return kept | set(bump.added.get(name, ()))


def _needs(tree: Rke2Tree, charts_repo: Path, cache: Path, bump: Bump) -> tuple[State, State]:
    """What the charts need before and after, rendered for the record's Kubernetes version."""
    own = settings(tree.root, charts_repo=str(charts_repo), cache_dir=cache)
    workspace = Workspace(settings=own)
    after = {c.name: c.version for c in tree.versions.charts if not c.version.is_removed}
    known = {
        name: entry.chart_version
        for name, version in bump.charts.items()
        for entry in workspace.repository.index().charts.get(name, ())
        if entry.version == version
    }

    def state(versions: Mapping[str, object]) -> State:
        return State.read(["community"], lambda _: workspace.builder(versions), versions)  # type: ignore[arg-type]

    return state(known), state(after)


def _explained(
    bump: Bump,
    name: str,
    image: str,
    states: tuple[State, State],
    homes: Mapping[str, str],
    *,
    is_ours: bool,
) -> Difference:
    kind, reason = "open", ""
    own = {
        repository
        for chart in bump.moves
        for state in states
        for repository in state.repositories(chart)
    }
    rendered = states[1].needs["community"].of(c for c, home in homes.items() if home == name)
    changed = (bump.removed if is_ours else bump.added).get(name, ())
    if image.rpartition(":")[0] not in own and image in changed:
        kind, reason = "other", "the record changed it, and no bumped chart renders it"
    elif is_ours and image in rendered:
        kind, reason = "omission", rendered[image].proofs[0]
    elif not is_ours and image not in rendered:
        tags = [text for text in rendered if _is_same_but_tag(text, image)]
        kind = "stale"
        reason = (
            f"no chart of the list renders it, they render {', '.join(tags) or 'none of that name'}"
        )
    return Difference(component=name, image=image, is_ours=is_ours, kind=kind, reason=reason)


def _is_same_but_tag(left: str, right: str) -> bool:
    """Whether two images differ in their tags alone."""
    return left.rpartition(":")[0] == right.rpartition(":")[0]
