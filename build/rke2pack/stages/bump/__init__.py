"""``bump CHART VERSION``: move a bundled chart, all or nothing."""

from __future__ import annotations

from pathlib import Path

import click

from rke2pack import completion
from rke2pack.console import Console
from rke2pack.manual import Manual
from rke2pack.options import chart_options
from rke2pack.settings import Settings


@click.command(
    "bump",
    cls=Manual,
    short_help="Move a bundled chart to another version: versions, manifest, lists.",
)
@chart_options
@click.argument("chart", shell_complete=completion.charts)
@click.argument("version", shell_complete=completion.versions)
@click.option(
    "--only",
    "moves_alone",
    is_flag=True,
    help="Do not move the -crd chart and charts of the same package and version.",
)
@click.option(
    "--allow-downgrade",
    "allows_downgrade",
    is_flag=True,
    help="Accept a version older than the bundled one.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path),
    help="Write the change as pull request text (Markdown); with --lines into this folder.",
)
@click.option(
    "--lines",
    metavar="LINE,...",
    help="Bump on these release lines (branches, or 'supported'): a new branch with one commit "
    "for each, named BRANCH/LINE, all or none. The checkout stays as it is.",
)
@click.option("--commit", "is_commit", is_flag=True, help="Commit exactly the touched files.")
@click.option(
    "--branch",
    metavar="NAME",
    help="With --commit: on a new branch.  [with --lines: bump/CHART-VERSION]",
)
@click.option("--message", metavar="TEXT", help="The commit's message.")
@click.option("--signoff", "is_signed_off", is_flag=True, help="Add Signed-off-by to the commit.")
def command(
    *,
    settings: Settings,
    console: Console,
    chart: str,
    version: str,
    moves_alone: bool,
    allows_downgrade: bool,
    report_file: Path | None,
    lines: str | None,
    is_commit: bool,
    branch: str | None,
    message: str | None,
    is_signed_off: bool,
) -> None:
    """Resolve VERSION of CHART, verify it, rewrite versions, manifest and lists, explain it.

    VERSION is a packaged version (0.2.1000), an upstream version (0.2.10: its
    newest packageVersion), a range over upstream versions ('~0.2', '0.2.x',
    '>=0.2.10 <0.3'), 'latest', or 0.0.0, which removes the chart. Either all
    files change or none.
    """
    if not is_commit and lines is None and (branch or message or is_signed_off):
        msg = "--branch, --message and --signoff go with --commit or --lines"
        raise click.UsageError(msg)
    if lines is not None and is_commit:
        msg = "--lines commits by itself, --commit does not go with it"
        raise click.UsageError(msg)
    # Slow to import, and not for a help or a completion.
    from rke2pack.stages.bump import work  # noqa: PLC0415
    from rke2pack.stages.bump.model import Wish  # noqa: PLC0415
    from rke2pack.workspace import Workspace  # noqa: PLC0415

    wish = Wish(
        chart=chart,
        version=version,
        branch=branch,
        message=message,
        is_signed_off=is_signed_off,
        moves_alone=moves_alone,
        allows_downgrade=allows_downgrade,
    )
    if lines is not None:
        work.on_lines(settings, console, wish, lines, report_file)
    else:
        work.here(Workspace(settings=settings), console, wish, report_file, is_commit=is_commit)
