"""``validate``: the bundled charts against the rows of the support matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rke2pack import completion
from rke2pack.console import Console
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.manual import Manual
from rke2pack.options import validate_options
from rke2pack.settings import Settings
from rke2pack.stages.validate import importwish, kindwish, levels
from rke2pack.stages.validate.importwish import Importing
from rke2pack.stages.validate.kindwish import KindWish

if TYPE_CHECKING:
    from rke2pack.stages.validate.asked import Asked
    from rke2pack.validate.report import Report

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "validate", cls=Manual, short_help="Check the bundled charts against the support matrix."
)
@validate_options
@importwish.import_options
@kindwish.kind_options
@click.option(
    "--level",
    type=click.Choice(tuple(levels.LEVELS)),
    default=levels.DEFAULT,
    show_default=True,
    help="static needs neither docker nor a cluster; import tries archives in runtimes, kind "
    "charts in clusters.",
)
@click.option(
    "--row",
    "rows",
    multiple=True,
    metavar="NAME",
    help="Only this row (repeatable).",
    shell_complete=completion.rows,
)
@click.option(
    "--matrix", "matrix_file", type=_FILE, help="Further rows, in the form of support-matrix.yaml."
)
@click.option(
    "--chart",
    "charts",
    multiple=True,
    metavar="NAME",
    help="Only this chart (repeatable).",
    shell_complete=completion.charts,
)
@click.option(
    "--from",
    "origin",
    metavar="TREE|REV",
    help="Check the upgrade from the charts of another tree, or of this one at a git revision.",
)
@click.option(
    "--old",
    "older",
    multiple=True,
    metavar="CHART=VERSION",
    help="Check the upgrade from this version of a chart (repeatable).",
)
@click.option(
    "--values",
    "values_files",
    multiple=True,
    type=_FILE,
    help="A user's own values, plain or as a HelmChartConfig: render with them too (repeatable).",
)
@click.option(
    "--fail-on",
    "threshold",
    type=click.Choice(("error", "warning")),
    default="error",
    show_default=True,
    help="The least severity that fails.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder for report.json, .md and .xml.  [default: {levels.FOLDER} in the tree]",
)
def command(
    *,
    settings: Settings,
    console: Console,
    level: str,
    rows: tuple[str, ...],
    matrix_file: Path | None,
    charts: tuple[str, ...],
    origin: str | None,
    older: tuple[str, ...],
    values_files: tuple[Path, ...],
    threshold: str,
    output: Path | None,
    importing: Importing,
    kind: KindWish,
) -> None:
    """Turn every part of the support matrix that a machine can check into a result.

    Each row names what a release is verified on. What is checked here, what is
    checked by hand and what is not checked stands in one table and in the
    reports. Findings that are as they should be are explained in
    charts-manifest/validate-allow.yaml.

    With --level import, archives (or those of a folder; dist/artifacts unless named)
    go into docker and containerd themselves, and are removed again.

    With --level kind, each row gets a cluster of its Kubernetes version that can pull
    nothing. The archives go in, and each chart is installed from them, upgraded and removed.
    """
    # Slow to import, and not for a help or a completion.
    from rke2pack.stages.validate import asked as asking  # noqa: PLC0415
    from rke2pack.validate.allow import AllowList  # noqa: PLC0415
    from rke2pack.workspace import Workspace  # noqa: PLC0415

    levels.check(level, _given())
    workspace = Workspace(settings=settings)
    has_rows = level not in levels.ROWLESS
    asked = asking.Asked(
        workspace=workspace,
        rows=asking.read_rows(workspace, rows, matrix_file) if has_rows else (),
        allow=asking.read_allow(workspace) if has_rows else AllowList(),
        threshold="warning" if threshold == "warning" else "error",
        charts=tuple(dict.fromkeys(charts)),
        older=dict(map(_pair, older)),
        origin=origin,
        values=values_files,
        is_whole=not (rows or charts or settings.components or settings.is_prime),
        tell=console.detail,
        say=console.line,
        importing=importing,
        kind=kind,
    )
    on = f" on {', '.join(row.name for row in asked.rows)}" if asked.rows else ""
    console.step(f"validate: level {level}{on}")
    report = levels.run(level, asked)
    _tell(console, report, asked, folder=output or settings.tree / levels.FOLDER)


def _tell(console: Console, report: Report, asked: Asked, *, folder: Path) -> None:
    from rke2pack.stages.validate import output  # noqa: PLC0415 - slow to import

    for line in output.table(report):
        console.line(line)
    for each in report.explained:
        console.detail(f"explained: {each.issue.finding}: {each.entry.reason}")
    console.findings(report.findings)
    if not asked.workspace.settings.is_dry_run:
        for path in output.write(report, asked.rows, folder):
            console.detail(f"written  {path}")
    console.document(report.to_json())
    failing = report.failing
    if not failing:
        return
    msg = f"validate: {len(failing)} findings"
    if len(failing) == 1:
        msg = f"validate: {failing[0].finding.subject}: got {failing[0].finding.got}"
    raise ValidationError(
        msg,
        hint=levels.HINTS[report.level],
        details=tuple(str(each.finding) for each in failing) if len(failing) > 1 else (),
    )


def _given() -> dict[str, str]:
    """Return what stands on the command line: parameter -> how it is called there."""
    context = click.get_current_context()
    return {
        each.name: each.opts[0] if isinstance(each, click.Option) else "ARCHIVE"
        for each in context.command.params
        if each.name
        and context.get_parameter_source(each.name) is click.core.ParameterSource.COMMANDLINE
        and context.params.get(each.name)
    }


def _pair(text: str) -> tuple[str, str]:
    name, equals, version = text.partition("=")
    if not name or not equals or not version:
        msg = f"--old {text!r}: expected CHART=VERSION"
        raise ConfigError(msg, hint="write it as harvester-cloud-provider=0.2.900")
    return name, version
