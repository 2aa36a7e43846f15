"""Planning a bump: everything is known and checked before the first byte is written."""

from __future__ import annotations

from pathlib import Path

from rke2pack.errors import ResolutionError, ValidationError
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff, diff
from rke2pack.helm.version import ChartVersion, Resolution, resolve
from rke2pack.lists import text
from rke2pack.lists.model import ImageLists
from rke2pack.stages.bump import checks, images
from rke2pack.stages.bump.model import FileChange, Move, Plan
from rke2pack.tree.versions import BundledChart
from rke2pack.workspace import Workspace

LISTS = "dist/images"


def choose(workspace: Workspace, chart: str, request: str) -> tuple[BundledChart, Resolution]:
    """Resolve what the user asked for; raises ConfigError or ResolutionError."""
    entry = workspace.bundled_chart(chart)
    available = [found.chart_version for found in workspace.repository.index().entries(chart)]
    return entry, resolve(request, available, chart=chart)


def make(
    workspace: Workspace,
    entry: BundledChart,
    resolution: Resolution,
    *,
    moves_alone: bool,
    allows_downgrade: bool,
) -> Plan:
    """Plan the move of ``entry`` and its companions to the resolved version."""
    target = resolution.version
    companions = () if moves_alone else workspace.tree.versions.companions(entry.name)
    moving = [each for each in (entry, *companions) if each.version != target]
    for each in moving:
        checks.check_direction(each, target, allows_downgrade=allows_downgrade)
    moves = tuple(_move(workspace, each, target, is_companion=each is not entry) for each in moving)
    findings = [finding for move in moves for finding in checks.findings(workspace, move)]
    versions = {**workspace.bundled(), **{move.entry.name: target for move in moves}}
    owners = [workspace.tree.components.of_chart(move.entry.name) for move in moves]
    affected = dict.fromkeys(owner.name for owner in owners if owner is not None)
    lists = images.build(workspace, affected, versions)
    findings += [*lists.findings, *images.stale(workspace, affected)]
    return Plan(
        resolution=resolution,
        moves=moves,
        files=tuple(_files(workspace, moves, lists)),
        images=images.changes(workspace, lists),
        findings=tuple(findings),
    )


def _move(
    workspace: Workspace, entry: BundledChart, target: ChartVersion, *, is_companion: bool
) -> Move:
    try:
        found = workspace.repository.index().entry(entry.name, target)
    except ResolutionError as exc:
        if is_companion:
            exc.hint = "pass --only to leave the charts that move along where they are"
        raise
    new = workspace.chart(entry.name, target)
    checks.check_kube_version(workspace, new)
    is_known = workspace.is_published(entry.name, entry.version)
    old = workspace.chart(entry.name, entry.version) if is_known else None
    difference, no_diff = _diff(workspace, old, new)
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


def _diff(workspace: Workspace, old: Chart | None, new: Chart) -> tuple[ChartDiff | None, str]:
    """Compare, or say why not: a bundled version that does not render must not stay for that."""
    if old is None:
        return None, f"it is not in {workspace.repository.url}"
    base = workspace.tree.components.rules(new.name).base
    kube = workspace.tree.kube_version
    try:
        return diff(old, new, workspace.renderer, kube_version=kube, base=base), ""
    except ValidationError as exc:
        return None, exc.message


def _files(workspace: Workspace, moves: tuple[Move, ...], lists: ImageLists) -> list[FileChange]:
    tree = workspace.tree
    versions = tree.versions.with_versions({move.entry.name: move.version for move in moves})
    new: dict[Path, bytes] = {tree.path("chart_versions.yaml"): versions.encode()}
    new |= {tree.manifest_path(m.entry.name): str(m.reference).encode() for m in moves}
    platforms = tree.components.platforms
    order = [component.name for component in tree.components.components]
    written = text.parse(tree.images_text, what=str(tree.images_path))
    sections = text.replaced(
        written,
        (text.section_of(each, all_platforms=platforms) for each in lists.lists),
        order=order,
    )
    new[tree.images_path] = text.format_images(sections).encode()
    tracked = set(new)
    listed = text.list_files(sections, all_platforms=platforms)
    new |= {tree.root / LISTS / name: content for name, content in listed.items()}
    return [
        FileChange(
            path=path,
            old=path.read_bytes() if path.is_file() else None,
            new=content,
            is_tracked=path in tracked,
        )
        for path, content in new.items()
    ]
