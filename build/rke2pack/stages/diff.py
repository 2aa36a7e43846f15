"""``diff CHART OLD NEW``: what changes between two versions of a chart, and for whom."""

from __future__ import annotations

from pathlib import Path

import click

from rke2pack import completion, files
from rke2pack.console import Console
from rke2pack.manual import Manual
from rke2pack.options import chart_options
from rke2pack.settings import Settings


@click.command(
    "diff", cls=Manual, short_help="Explain what changes between two versions of a chart."
)
@chart_options
@click.argument("chart", shell_complete=completion.charts)
@click.argument("old", shell_complete=completion.versions)
@click.argument("new", shell_complete=completion.versions)
@click.option(
    "--values",
    "values_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Your own values, plain or as a HelmChartConfig: tell what the change means for them.",
)
@click.option(
    "--kube-version",
    metavar="VERSION",
    help="Render for this Kubernetes version.  [default: the tree's]",
)
def command(
    *,
    settings: Settings,
    console: Console,
    chart: str,
    old: str,
    new: str,
    values_file: Path | None,
    kube_version: str | None,
) -> None:
    """Compare values, rendered objects, RBAC, CRDs, images and questions of two chart versions.

    OLD and NEW are given as for bump: 0.2.1000, 0.2.10, '~0.2' or latest.
    """
    # Slow to import, and not for a help or a completion.
    from rke2pack.helm.diff import UserValues, diff  # noqa: PLC0415
    from rke2pack.helm.version import resolve  # noqa: PLC0415
    from rke2pack.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace(settings=settings)
    index = workspace.repository.index()
    available = [entry.chart_version for entry in index.entries(chart)]
    old_chart, new_chart = (
        workspace.repository.fetch(
            index.entry(chart, resolve(request, available, chart=chart).version)
        )
        for request in (old, new)
    )
    user = None
    if values_file is not None:
        user = UserValues.parse(files.read_text(values_file), what=str(values_file), chart=chart)
    rules = workspace.any_tree.components.rules(chart)
    found = diff(
        old_chart,
        new_chart,
        workspace.renderer,
        kube_version=kube_version or workspace.any_tree.kube_version,
        base=rules.base,
        user=user,
    )
    console.step(f"diff: {chart} {old_chart.version} -> {new_chart.version}")
    lines = found.summary() or ("no difference",)
    console.data("".join(f"{line}\n" for line in lines))
    console.document(
        {
            "chart": chart,
            "from": old_chart.version,
            "to": new_chart.version,
            "diff": found.to_json(),
        }
    )
