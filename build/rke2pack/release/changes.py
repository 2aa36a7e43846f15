"""Changes: what differs between two trees, for changelogs and release notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rke2pack.errors import IntegrityError, ValidationError
from rke2pack.helm.diff import ChartDiff, diff
from rke2pack.lists import lock as locks
from rke2pack.oci.reference import Reference

if TYPE_CHECKING:
    from rke2pack.helm.chart import Chart
    from rke2pack.lists.lock import Lock
    from rke2pack.tree.versions import BundledChart
    from rke2pack.workspace import Workspace

# What a cluster notices: these areas of a difference whole, and of values what moves.
_WHOLE = ("kube version", "rbac", "crds: removed")
_HARMLESS = ("values: added", "values: removed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartChange:
    """A chart at two versions; None where one of the trees has none (or a removed chart).

    ``diff`` is None where the two were not compared; ``no_diff`` says why.
    """

    chart: str
    old: str | None
    new: str | None
    old_upstream: str = ""
    new_upstream: str = ""
    diff: ChartDiff | None = None
    no_diff: str = ""

    @property
    def summary(self) -> tuple[str, ...]:
        """The difference, a line each."""
        return self.diff.summary() if self.diff else ()

    @property
    def vital(self) -> tuple[str, ...]:
        """Those lines that whoever upgrades should read before."""
        return tuple(
            line
            for line in self.summary
            if line.startswith(_WHOLE)
            or (line.startswith("values:") and not line.startswith(_HARMLESS))
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` carries."""
        return {
            "chart": self.chart,
            "from": self.old,
            "to": self.new,
            "upstream": {"from": self.old_upstream or None, "to": self.new_upstream or None},
            "diff": self.diff.to_json() if self.diff else None,
            "no_diff": self.no_diff or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedImage:
    """An image that has another tag; or the same tag, and images.lock another digest."""

    repository: str
    old: str
    new: str

    def to_json(self) -> dict[str, str]:
        """Return the object that ``--json`` carries."""
        return {"image": self.repository, "from": self.old, "to": self.new}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChanges:
    """What a component's section of images.txt gains and loses, and which images move."""

    component: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[MovedImage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the component has the same images."""
        return not (self.added or self.removed or self.moved)

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` carries."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "moved": [each.to_json() for each in self.moved],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Everything that differs; ``old`` and ``new`` name the two sides."""

    old: str
    new: str
    versions: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    charts: tuple[ChartChange, ...] = ()
    images: tuple[ImageChanges, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the two trees are of the same charts and images."""
        return not (self.versions or self.charts or self.images)

    def to_json(self) -> dict[str, Any]:
        """Return the document of ``--json``."""
        return {
            "from": self.old,
            "to": self.new,
            "versions": {
                name: {"from": old, "to": new} for name, (old, new) in self.versions.items()
            },
            "charts": [each.to_json() for each in self.charts],
            "images": {each.component: each.to_json() for each in self.images},
        }


def compare(
    old: Workspace, new: Workspace, *, names: tuple[str, str], is_brief: bool = False
) -> Changes:
    """Compare two trees, what ``new`` has in its own order.

    Charts are fetched from the chart repository of ``new`` and compared as `diff`
    does, unless ``is_brief``.
    """
    return Changes(
        old=names[0],
        new=names[1],
        versions=_versions(old.any_tree.environment, new.any_tree.environment),
        charts=tuple(_charts(old, new, is_brief=is_brief)),
        images=tuple(_images(old, new)),
    )


def _versions(
    old: Mapping[str, str], new: Mapping[str, str]
) -> Mapping[str, tuple[str | None, str | None]]:
    names = dict.fromkeys((*new, *old))
    return {n: (old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)}


def _charts(old: Workspace, new: Workspace, *, is_brief: bool) -> Iterator[ChartChange]:
    before, after = _bundled(old), _bundled(new)
    for name in dict.fromkeys((*after, *before)):
        ours, theirs = after.get(name), before.get(name)
        if ours and theirs and ours.version == theirs.version:
            continue
        found, reason = None, "one of the two does not bundle it"
        if ours and theirs:
            found, reason = (None, "left out") if is_brief else _diff(old, new, theirs, ours)
        yield ChartChange(
            chart=name,
            old=theirs.version.text if theirs else None,
            new=ours.version.text if ours else None,
            old_upstream=theirs.version.upstream if theirs else "",
            new_upstream=ours.version.upstream if ours else "",
            diff=found,
            no_diff=reason,
        )


def _diff(
    old: Workspace, new: Workspace, theirs: BundledChart, ours: BundledChart
) -> tuple[ChartDiff | None, str]:
    for entry in (theirs, ours):
        if not new.is_published(entry.name, entry.version):
            return None, f"{entry.version} is not in the chart repository"
    base = new.any_tree.components.rules(ours.name).base
    kube = new.any_tree.kube_version
    before, after = _older(old, new, theirs), new.chart(ours.name, ours.version)
    try:
        return diff(before, after, new.renderer, kube_version=kube, base=base), ""
    except ValidationError as exc:
        return None, exc.message


def _bundled(workspace: Workspace) -> dict[str, BundledChart]:
    charts = workspace.any_tree.versions.charts
    return {each.name: each for each in charts if not each.version.is_removed}


def _older(old: Workspace, new: Workspace, theirs: BundledChart) -> Chart:
    """Fetch the older chart; raises IntegrityError where its tree was of other bytes."""
    chart = new.chart(theirs.name, theirs.version)
    reference = old.any_tree.reviewed(theirs.name)
    if reference and reference.version == chart.version and reference.digest != chart.digest:
        msg = (
            f"{theirs.name} {theirs.version}: {new.repository.url} has {chart.digest}, "
            f"the older tree says {reference.digest}"
        )
        raise IntegrityError(msg, hint="find out who replaced a published chart")
    return chart


def _images(old: Workspace, new: Workspace) -> Iterator[ImageChanges]:
    before = {each.component: each.references for each in old.listed()}
    after = {each.component: each.references for each in new.listed()}
    ours, theirs = (locks.read(each.any_tree.root / locks.NAME) for each in (new, old))
    for component in dict.fromkeys((*after, *before)):
        found = _of_component(component, before.get(component, ()), after.get(component, ()))
        both = {*before.get(component, ())} & {*after.get(component, ())}
        moved = (*found.moved, *_relocked(both, ours, theirs))
        found = ImageChanges(
            component=component, added=found.added, removed=found.removed, moved=moved
        )
        if not found.is_empty:
            yield found


def _of_component(component: str, old: Iterable[str], new: Iterable[str]) -> ImageChanges:
    """Compare two sections: one tag of a repository that gives way to another is a move."""
    before, after = tuple(old), tuple(new)
    gone = _by_repository(each for each in before if each not in after)
    come = _by_repository(each for each in after if each not in before)
    moved = tuple(
        MovedImage(repository=name, old=gone[name][0].tag, new=found[0].tag)
        for name, found in come.items()
        if len(found) == 1 == len(gone.get(name, ()))
    )
    pairs = {each.repository for each in moved}
    return ImageChanges(
        component=component,
        added=tuple(str(e) for name, found in come.items() if name not in pairs for e in found),
        removed=tuple(str(e) for name, found in gone.items() if name not in pairs for e in found),
        moved=moved,
    )


def _by_repository(references: Iterable[str]) -> Mapping[str, list[Reference]]:
    found: dict[str, list[Reference]] = {}
    for text in references:
        reference = Reference.parse(text)
        found.setdefault(f"{reference.registry}/{reference.repository}", []).append(reference)
    return found


def _relocked(both: set[str], ours: Lock | None, theirs: Lock | None) -> Iterator[MovedImage]:
    """Yield images whose tag is the same and whose locked digest is not."""
    for name in sorted(both) if ours and theirs else ():
        reference = Reference.parse(name)
        new, old = (lock.get(reference) if lock else None for lock in (ours, theirs))
        if new and old and new.root.digest != old.root.digest:
            yield MovedImage(repository=name, old=str(old.root.digest), new=str(new.root.digest))
