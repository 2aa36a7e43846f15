"""``lab``: one release's work from bump to manifests, on this machine, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from rke2pack.console import Console
from rke2pack.errors import ToolError
from rke2pack.lab import scratch
from rke2pack.options import chart_options, current_app
from rke2pack.settings import Settings
from rke2pack.stages.bump import command as bump
from rke2pack.stages.charts import command as charts
from rke2pack.stages.diff import command as diff
from rke2pack.stages.images import command as images

CHART = "harvester-cloud-provider"
STEPS: tuple[tuple[click.Command, tuple[str, ...]], ...] = (
    (images, ("--check", "--quiet")),
    (diff, (CHART, "0.2.9", "0.2.11")),
    (bump, (CHART, "0.2.10")),
    (bump, (CHART, "0.2.11", "--dry-run")),
    (images, ("--check", "--quiet")),
    (charts, ()),
    (charts, ()),
)


@click.command("lab", short_help="Show everything on this machine, without a network.")
@chart_options
def command(*, settings: Settings, console: Console) -> None:
    """Run every command on the built-in charts, in one scratch copy of the tree.

    Shows what a bump does, and that a second build of the manifests changes no byte. The
    scratch copy stays in dist/lab/ to look at.
    """
    if settings.is_lab:
        _walk(settings, console)
        return
    with scratch.opened(replace(settings, is_lab=True), console) as lab_settings:
        _walk(lab_settings, console)


def _walk(settings: Settings, console: Console) -> None:
    for step, arguments in STEPS:
        _run(step, arguments, settings, console)
    console.document({"steps": [[str(step.name), *arguments] for step, arguments in STEPS]})
    console.step(f"lab: {len(STEPS)} steps, all as they should be; the tree is in {settings.tree}")


def _run(
    step: click.Command, arguments: Sequence[str], settings: Settings, console: Console
) -> None:
    """Run one command on the scratch tree, echoed as a user would type it."""
    where = ["--tree", str(settings.tree), "--charts-repo", str(settings.charts_repo)]
    where += ["--cache-dir", str(settings.cache_dir)]
    console.line()
    console.step(f"+ rke2pack {step.name} {' '.join(arguments)}".rstrip())
    quiet = ["--quiet"] if console.verbosity < 0 or console.is_json else []
    status = step.main(
        [*arguments, *where, *quiet], str(step.name), standalone_mode=False, obj=current_app()
    )
    if status:
        msg = f"{step.name}: ended with {status}"
        raise ToolError(msg)
