"""Custom resource definitions that a bump leaves without an owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rke2pack.finding import Finding
from rke2pack.helm.chart import Chart
from rke2pack.helm.version import ChartVersion
from rke2pack.stages.bump.model import Move
from rke2pack.workspace import Workspace


def findings(
    workspace: Workspace, moves: tuple[Move, ...], versions: Mapping[str, ChartVersion]
) -> Iterator[Finding]:
    """Yield a finding for each definition that no bundled chart has any more.

    ``versions`` are all bundled charts after the bump. Users' objects go with a
    definition that Helm removes.
    """
    for move in moves:
        yield from _missing_companion(workspace, move, versions)
        gone = move.diff.crds.removed if move.diff is not None else ()
        if not gone:
            continue
        bundled = [workspace.chart(name, version) for name, version in versions.items()]
        for name in gone:
            if not any(_defines(chart, name) for chart in bundled):
                yield Finding(
                    severity="warning",
                    check="removed-crd",
                    subject=f"{move.entry.name} {move.version}",
                    expected=f"{name} in a bundled chart, as in {move.entry.version}",
                    got="none has it: clusters lose it with all objects of that kind",
                )


def _missing_companion(
    workspace: Workspace, move: Move, versions: Mapping[str, ChartVersion]
) -> Iterator[Finding]:
    name = f"{move.entry.name}-crd"
    if move.version.is_removed or name in versions:
        return
    spellings = (move.version, move.version.with_other_prefix())
    if any(workspace.is_published(name, version) for version in spellings):
        yield Finding(
            severity="warning",
            check="missing-companion",
            subject=f"{move.entry.name} {move.version}",
            expected=f"{name} of the same version in chart_versions.yaml",
            got="the chart repository has it, the tree does not bundle it",
        )


def _defines(chart: Chart, name: str) -> bool:
    """Whether one of the chart's files is the definition, told from its text."""
    needle = f"name: {name}".encode()
    return any(
        needle in content and b"CustomResourceDefinition" in content
        for content in chart.files.values()
    )
