"""Planning a bump: everything is known and checked before the first byte is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rke2pack.errors import ResolutionError, ValidationError
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff, diff
from rke2pack.helm.version import ChartVersion, Resolution, resolve
from rke2pack.stages.bump import checks, crds, images
from rke2pack.stages.bump.model import FileChange, ListChange, Move, Plan, Wish
from rke2pack.tree.native import NativeTree
from rke2pack.tree.versions import BundledChart
from rke2pack.workspace import Workspace

REMOVED = "0.0.0"


def choose(workspace: Workspace, chart: str, request: str) -> tuple[BundledChart, Resolution]:
    """Resolve what the user asked for; raises ConfigError or ResolutionError.

    ``0.0.0`` asks for what it means in chart_versions.yaml: to remove the chart.
    """
    entry = workspace.bundled_chart(chart)
    if request.strip() == REMOVED:
        return entry, Resolution(version=ChartVersion.parse(REMOVED), rule="removal")
    available = [found.chart_version for found in workspace.repository.index().entries(chart)]
    return entry, resolve(request, available, chart=chart)


def make(workspace: Workspace, entry: BundledChart, resolution: Resolution, wish: Wish) -> Plan:
    """Plan the move of ``entry`` and its companions to the resolved version."""
    moves = tuple(_moves(workspace, entry, resolution.version, moves_alone=wish.moves_alone))
    for move in moves:
        checks.check_direction(move.entry, move.version, allows_downgrade=wish.allows_downgrade)
    versions = {**workspace.bundled(), **{move.entry.name: move.version for move in moves}}
    versions = {name: version for name, version in versions.items() if not version.is_removed}
    change = _lists(workspace, moves, versions)
    findings = [
        *(finding for move in moves for finding in checks.findings(workspace, move)),
        *crds.findings(workspace, moves, versions),
        *change.findings,
    ]
    return Plan(
        resolution=resolution,
        moves=moves,
        files=tuple(_files(workspace, moves, change)),
        images=change.images,
        findings=tuple(findings),
    )


def _lists(
    workspace: Workspace, moves: tuple[Move, ...], versions: Mapping[str, ChartVersion]
) -> ListChange:
    tree = workspace.any_tree
    if isinstance(tree, NativeTree):
        return images.change(workspace, moves, versions)
    from rke2pack.stages.bump import checkout  # noqa: PLC0415 - not for native trees
    from rke2pack.tree.rke2 import Rke2Tree  # noqa: PLC0415 - not for native trees

    if isinstance(tree, Rke2Tree):
        return checkout.change(workspace, tree, moves, versions)
    msg = f"{type(tree).__name__}: a tree whose lists nobody knows how to change"
    raise TypeError(msg)


def _moves(
    workspace: Workspace, entry: BundledChart, target: ChartVersion, *, moves_alone: bool
) -> Iterator[Move]:
    yield _removal(entry, target) if target.is_removed else _move(workspace, entry, target)
    if moves_alone or target.is_removed:
        return
    for companion in workspace.any_tree.versions.companions(entry.name):
        version = _companion_version(workspace, companion, target)
        if version != companion.version:
            yield _move(workspace, companion, version)


def _companion_version(
    workspace: Workspace, entry: BundledChart, target: ChartVersion
) -> ChartVersion:
    """Return the target as the companion writes it: some -crd charts leave out the ``v``."""
    for version in (target, target.with_other_prefix()):
        if workspace.is_published(entry.name, version):
            return version
    msg = f"{entry.name}: the chart repository has no version {target}"
    hint = "pass --only to leave the charts that move along where they are"
    raise ResolutionError(msg, hint=hint)


def _removal(entry: BundledChart, target: ChartVersion) -> Move:
    return Move(
        entry=entry,
        version=target,
        source="",
        reference=None,
        new=None,
        old=None,
        diff=None,
        no_diff="the chart is removed",
    )


def _move(workspace: Workspace, entry: BundledChart, target: ChartVersion) -> Move:
    found = workspace.repository.index().entry(entry.name, target)
    new = workspace.chart(entry.name, target)
    checks.check_kube_version(workspace, new)
    is_known = workspace.is_published(entry.name, entry.version)
    old = workspace.chart(entry.name, entry.version) if is_known else None
    difference, no_diff = _diff(workspace, entry, old, new)
    return Move(
        entry=entry,
        version=target,
        source=workspace.repository.location(found),
        reference=workspace.reference(entry, found, new),
        new=new,
        old=old,
        diff=difference,
        no_diff=no_diff,
    )


def _diff(
    workspace: Workspace, entry: BundledChart, old: Chart | None, new: Chart
) -> tuple[ChartDiff | None, str]:
    """Compare, or say why not: a bundled version that does not render must not stay for that."""
    if entry.version.is_removed:
        return None, "it was bundled empty"
    if old is None:
        return None, "it is not in the chart repository"
    base = workspace.any_tree.components.rules(new.name).base
    kube = workspace.any_tree.kube_version
    try:
        return diff(old, new, workspace.renderer, kube_version=kube, base=base), ""
    except ValidationError as exc:
        return None, exc.message


def _files(workspace: Workspace, moves: tuple[Move, ...], change: ListChange) -> list[FileChange]:
    tree = workspace.any_tree
    versions = tree.versions.with_versions({move.entry.name: move.version for move in moves})
    tracked: dict[Path, bytes] = {tree.versions_path: versions.encode(), **change.files}
    return [
        FileChange(
            path=path,
            old=path.read_bytes() if path.is_file() else None,
            new=content,
            is_tracked=path in tracked,
        )
        for path, content in {**tracked, **change.generated}.items()
    ]
