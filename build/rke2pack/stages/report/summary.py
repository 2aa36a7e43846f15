"""What stands at the top of the page, and the tables that say what the treemap shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rke2pack import wording
from rke2pack.page import sharing
from rke2pack.page.release import PageData
from rke2pack.page.sharing import Holders, Scope, Sums
from rke2pack.progress import as_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number and what it counts; ``target`` is the section that tells more."""

    value: str
    label: str
    note: str
    target: str
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeRow:
    """A component in a scope with its sums, and the archive's size on the disk."""

    name: str
    sums: Sums
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeTable:
    """A scope as a table; ``shared`` are the bytes that several components have."""

    scope: Scope
    rows: tuple[ScopeRow, ...]
    total: Sums
    shared: int
    size: int | None


def tiles(data: PageData) -> tuple[Tile, ...]:
    """Return the numbers of the overview."""
    return (*_contents(data), *_archives(data), *_changes(data), *_checks(data))


def _contents(data: PageData) -> Iterator[Tile]:
    charts = sum(len(each.charts) for each in data.components)
    proved = sum(bool(image.proofs) for image in data.images)
    yield Tile(
        value=str(len(data.images)),
        label="images",
        note="the charts were not read" if "proofs" in data.missing else f"{proved} proved",
        target="images",
    )
    note = wording.count(len(data.components), "component")
    yield Tile(value=str(charts), label="charts", note=note, target="charts")


def _archives(data: PageData) -> Iterator[Tile]:
    if not data.archives:
        yield Tile(value="-", label="archives", note="none yet", target="sizes")
        return
    platforms: dict[str, int] = {}
    for each in data.archives:
        if each.component:
            platforms[each.platform] = platforms.get(each.platform, 0) + each.size
    for platform, size in sorted(platforms.items()):
        note = "archives of all components"
        yield Tile(value=as_size(size), label=platform, note=note, target="sizes")


def _changes(data: PageData) -> Iterator[Tile]:
    found = data.changes
    if found is None:
        yield Tile(value="-", label="changes", note="nothing to compare with", target="changes")
        return
    images = sum(len(each.added) + len(each.removed) for each in found.images)
    yield Tile(
        value=str(len(found.charts)),
        label="charts changed",
        note=f"{wording.count(images, 'line')} of image lists, against {found.against}",
        target="changes",
    )


def _checks(data: PageData) -> Iterator[Tile]:
    if not data.validations:
        yield Tile(value="-", label="checks", note="not validated yet", target="validation")
        return
    totals = [each.totals for each in data.validations]
    failed, passed = (sum(each[key] for each in totals) for key in ("failed", "passed"))
    manual = sum(each["manual"] for each in totals)
    yield Tile(
        value=str(failed or passed),
        label="checks failed" if failed else "checks passed",
        note=f"{passed} passed, {manual} by hand" if failed else f"{manual} more by hand",
        target="validation",
        tone="bad" if failed else "good",
    )


def scopes(data: PageData) -> tuple[ScopeTable, ...]:
    """Return the table of each scope."""
    sizes = {(each.platform, each.component): each.size for each in data.archives}
    whole = {each.name: each.size for each in data.archives}
    return tuple(_table(scope, sizes, whole) for scope in data.scopes)


def _table(scope: Scope, sizes: dict[tuple[str, str], int], whole: dict[str, int]) -> ScopeTable:
    holders = Holders.of(scope.groups)
    found = [
        ScopeRow(
            name=group.name,
            sums=holders.sums(group),
            size=None if scope.archive else sizes.get((scope.platform, group.name)),
        )
        for group in scope.groups
    ]
    found.sort(key=lambda row: -row.sums.alone)
    listed = [row.size for row in found if row.size is not None]
    return ScopeTable(
        scope=scope,
        rows=tuple(found),
        total=sharing.total(scope),
        shared=holders.between(),
        size=whole.get(scope.archive) if scope.archive else sum(listed) or None,
    )
