"""What a chart says of itself, checked against the tree."""

from __future__ import annotations

from rke2pack.errors import ConfigError, ResolutionError, ValidationError
from rke2pack.finding import Finding
from rke2pack.helm.chart import KUBE_VERSION_ANNOTATION, UPSTREAM_VERSION_ANNOTATION, Chart
from rke2pack.helm.constraint import KubeConstraint
from rke2pack.helm.version import ChartVersion
from rke2pack.stages.bump.model import Move
from rke2pack.tree.versions import BundledChart
from rke2pack.workspace import Workspace


def check_direction(entry: BundledChart, target: ChartVersion, *, allows_downgrade: bool) -> None:
    """Raise ResolutionError for a downgrade that was not asked for."""
    if target.is_removed or entry.version.is_removed:
        return
    if target < entry.version and not allows_downgrade:
        msg = f"{entry.name}: {target} is older than the bundled {entry.version}"
        raise ResolutionError(msg, hint="pass --allow-downgrade if that is meant")


def check_kube_version(workspace: Workspace, chart: Chart) -> None:
    """Raise ValidationError where Chart.yaml excludes the tree's Kubernetes version."""
    kube = workspace.any_tree.kube_version
    if chart.kube_version and not KubeConstraint.parse(chart.kube_version).is_satisfied_by(kube):
        needs = f"needs Kubernetes {chart.kube_version}, the tree is for {kube}"
        msg = f"{chart.name} {chart.version}: {needs}"
        raise ValidationError(msg, hint="choose a chart version made for this Kubernetes version")


def findings(workspace: Workspace, move: Move) -> list[Finding]:
    """Return what a person should know: annotations that disagree, a change without explanation."""
    chart, kube = move.new, workspace.any_tree.kube_version
    if chart is None:
        return []
    subject = f"{chart.name} {chart.version}"
    found: list[Finding] = []
    wanted = chart.annotations.get(KUBE_VERSION_ANNOTATION, "")
    if wanted and not _satisfies(wanted, kube):
        found.append(
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
        found.append(
            Finding(
                severity="info",
                check="upstream-version-annotation",
                subject=subject,
                expected=f"upstream version {move.version.upstream}",
                got=upstream,
            )
        )
    if move.entry.version.is_removed:
        found.append(
            Finding(
                severity="warning",
                check="revived-chart",
                subject=subject,
                expected="a chart that is bundled already",
                got="0.0.0: clusters remove this chart until now",
            )
        )
    elif move.diff is None:
        found.append(
            Finding(
                severity="warning",
                check="old-version",
                subject=f"{chart.name} {move.entry.version}",
                expected="a bundled version that renders, to explain the change",
                got=move.no_diff,
            )
        )
    return found


def _satisfies(wanted: str, kube: str) -> bool:
    try:
        return KubeConstraint.parse(wanted).is_satisfied_by(kube)
    except ConfigError:
        return False
