"""Planning a bump: everything is known and checked before the first byte is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack.errors import ConfigError, PackError, ResolutionError, ValidationError
from rke2pack.finding import Finding
from rke2pack.helm.chart import KUBE_VERSION_ANNOTATION, UPSTREAM_VERSION_ANNOTATION, Chart
from rke2pack.helm.constraint import KubeConstraint
from rke2pack.helm.diff import ChartDiff, diff
from rke2pack.helm.manifest import ChartReference
from rke2pack.helm.version import ChartVersion, Resolution, resolve
from rke2pack.lists import text
from rke2pack.lists.model import ImageList, ImageLists
from rke2pack.tree.versions import BundledChart
from rke2pack.workspace import Workspace

LISTS = "dist/images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One chart that goes to another version; ``old`` is None where it is not to be had."""

    entry: BundledChart
    version: ChartVersion
    source: str
    reference: ChartReference
    new: Chart
    old: Chart | None
    diff: ChartDiff | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that the bump owns, with its old and new content (old None: not there)."""

    path: Path
    old: bytes | None
    new: bytes
    is_tracked: bool

    @property
    def is_changed(self) -> bool:
        """Whether anything is to be written."""
        return self.old != self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """What a component's section of images.txt gains and loses, gains with their proof."""

    component: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    proofs: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A bump that is ready to be written; ``moves[0]`` is the chart that was asked for."""

    resolution: Resolution
    moves: tuple[Move, ...]
    files: tuple[FileChange, ...]
    images: tuple[ImageChange, ...]
    findings: tuple[Finding, ...]


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
        _check_direction(each, target, allows_downgrade=allows_downgrade)
    moves = tuple(_move(workspace, each, target, is_companion=each is not entry) for each in moving)
    findings = [finding for move in moves for finding in _chart_findings(workspace, move)]
    versions = {**workspace.bundled(), **{move.entry.name: target for move in moves}}
    owners = [workspace.tree.components.of_chart(move.entry.name) for move in moves]
    affected = dict.fromkeys(owner.name for owner in owners if owner is not None)
    lists = _lists(workspace, affected, versions)
    findings += [*lists.findings, *_stale(workspace, affected)]
    return Plan(
        resolution=resolution,
        moves=moves,
        files=tuple(_files(workspace, moves, lists)),
        images=_image_changes(workspace, lists),
        findings=tuple(findings),
    )


def _check_direction(entry: BundledChart, target: ChartVersion, *, allows_downgrade: bool) -> None:
    if target < entry.version and not allows_downgrade:
        msg = f"{entry.name}: {target} is older than the bundled {entry.version}"
        raise ResolutionError(msg, hint="pass --allow-downgrade if that is meant")


def _move(
    workspace: Workspace, entry: BundledChart, target: ChartVersion, *, is_companion: bool
) -> Move:
    index = workspace.repository.index()
    try:
        found = index.entry(entry.name, target)
    except ResolutionError as exc:
        if is_companion:
            exc.hint = "pass --only to leave the charts that move along where they are"
        raise
    new = workspace.chart(entry.name, target)
    _check_kube_version(workspace, new)
    old = _old_chart(workspace, entry)
    return Move(
        entry=entry,
        version=target,
        source=workspace.repository.location(found),
        reference=workspace.reference(entry, found, new),
        new=new,
        old=old,
        diff=_diff(workspace, old, new) if old is not None else None,
    )


def _old_chart(workspace: Workspace, entry: BundledChart) -> Chart | None:
    if entry.version.is_removed:
        return None
    try:
        workspace.repository.index().entry(entry.name, entry.version)
    except ResolutionError:
        return None
    return workspace.chart(entry.name, entry.version)


def _diff(workspace: Workspace, old: Chart, new: Chart) -> ChartDiff:
    rules = workspace.tree.components.rules(new.name)
    return diff(
        old, new, workspace.renderer, kube_version=workspace.tree.kube_version, base=rules.base
    )


def _check_kube_version(workspace: Workspace, chart: Chart) -> None:
    kube = workspace.tree.kube_version
    if chart.kube_version and not KubeConstraint.parse(chart.kube_version).is_satisfied_by(kube):
        needs = f"needs Kubernetes {chart.kube_version}, the tree is for {kube}"
        msg = f"{chart.name} {chart.version}: {needs}"
        raise ValidationError(msg, hint="choose a chart version made for this Kubernetes version")


def _chart_findings(workspace: Workspace, move: Move) -> list[Finding]:
    chart, kube = move.new, workspace.tree.kube_version
    subject = f"{chart.name} {chart.version}"
    findings: list[Finding] = []
    wanted = chart.annotations.get(KUBE_VERSION_ANNOTATION, "")
    if wanted and not _satisfies(wanted, kube):
        findings.append(
            Finding(
                severity="warning",
                check="kube-version-annotation",
                subject=subject,
                expected=f"{KUBE_VERSION_ANNOTATION} that allows {kube}",
                got=wanted,
            )
        )
    upstream = chart.annotations.get(UPSTREAM_VERSION_ANNOTATION, "")
    if upstream and upstream != move.version.upstream:
        findings.append(
            Finding(
                severity="info",
                check="upstream-version-annotation",
                subject=subject,
                expected=f"upstream version {move.version.upstream}",
                got=upstream,
            )
        )
    if move.old is None and not move.entry.version.is_removed:
        findings.append(
            Finding(
                severity="warning",
                check="old-version",
                subject=f"{chart.name} {move.entry.version}",
                expected="the bundled version in the chart repository, to explain the change",
                got=f"not in {workspace.repository.url}",
            )
        )
    return findings


def _satisfies(wanted: str, kube: str) -> bool:
    try:
        return KubeConstraint.parse(wanted).is_satisfied_by(kube)
    except ConfigError:
        return False


def _lists(
    workspace: Workspace, components: Mapping[str, None], versions: Mapping[str, ChartVersion]
) -> ImageLists:
    bundled = workspace.component_charts(components)
    rules = workspace.tree.components
    wanted = {
        name: tuple(c for c in rules.get(name).charts if c in versions) for name in components
    }
    return workspace.builder(versions).build({**bundled, **wanted})


def _stale(workspace: Workspace, components: Mapping[str, None]) -> list[Finding]:
    """Find where images.txt was not what the bundled versions need, before this bump."""
    available = {
        name: version
        for name, version in workspace.bundled().items()
        if _is_published(workspace, name, version)
    }
    charts = workspace.component_charts(components)
    known = {c: names for c, names in charts.items() if all(n in available for n in names)}
    try:
        before = workspace.builder(available).build(known)
    except PackError as exc:
        return [
            Finding(
                severity="warning",
                check="old-list",
                subject=", ".join(components),
                expected="the bundled charts to render, to compare images.txt with them",
                got=exc.message,
            )
        ]
    written = _written(workspace)
    return [
        Finding(
            severity="warning",
            check="stale-list",
            subject=f"images.txt, component {each.component}",
            expected=f"before this bump {'' if is_missing else 'no '}{reference}",
            got="it was missing" if is_missing else "it was listed",
        )
        for each in before.lists
        for reference, is_missing in _differences(each, written.get(each.component, ()))
    ]


def _is_published(workspace: Workspace, name: str, version: ChartVersion) -> bool:
    try:
        workspace.repository.index().entry(name, version)
    except ResolutionError:
        return False
    return True


def _differences(images: ImageList, written: tuple[str, ...]) -> list[tuple[str, bool]]:
    missing = [(r, True) for r in images.references if r not in written]
    return missing + [(r, False) for r in written if r not in images.references]


def _written(workspace: Workspace) -> Mapping[str, tuple[str, ...]]:
    tree = workspace.tree
    return {
        s.component: s.references for s in text.parse(tree.images_text, what=str(tree.images_path))
    }


def _image_changes(workspace: Workspace, lists: ImageLists) -> tuple[ImageChange, ...]:
    written = _written(workspace)
    changes = []
    for each in lists.lists:
        has = written.get(each.component, ())
        proofs = {str(image.reference): image.proofs for image in each.images}
        changes.append(
            ImageChange(
                component=each.component,
                added=tuple(r for r in each.references if r not in has),
                removed=tuple(r for r in has if r not in each.references),
                proofs=proofs,
            )
        )
    return tuple(changes)


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
