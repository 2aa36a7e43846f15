"""``bump CHART VERSION``: move a bundled chart, all or nothing."""

from __future__ import annotations

from pathlib import Path

import click

from rke2pack import files
from rke2pack.console import Console
from rke2pack.helm.version import Resolution
from rke2pack.options import chart_options
from rke2pack.settings import Settings
from rke2pack.stages.bump import lines as on_lines
from rke2pack.stages.bump import plan as planning
from rke2pack.stages.bump import report, writing
from rke2pack.stages.bump.model import Plan, Wish
from rke2pack.workspace import Workspace


@click.command(
    "bump", short_help="Move a bundled chart to another version: versions, manifest, lists."
)
@chart_options
@click.argument("chart")
@click.argument("version")
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
    '>=0.2.10 <0.3') or 'latest'. Either all files change or none.
    """
    if not is_commit and lines is None and (branch or message or is_signed_off):
        msg = "--branch, --message and --signoff go with --commit or --lines"
        raise click.UsageError(msg)
    if lines is not None and is_commit:
        msg = "--lines commits by itself, --commit does not go with it"
        raise click.UsageError(msg)
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
        _on_lines(settings, console, wish, lines, report_file)
    else:
        _here(Workspace(settings=settings), console, wish, report_file, is_commit=is_commit)


def _here(
    workspace: Workspace,
    console: Console,
    wish: Wish,
    report_file: Path | None,
    *,
    is_commit: bool,
) -> None:
    is_dry_run = workspace.settings.is_dry_run
    with workspace.locked():
        console.step(f"bump: {wish.chart} {wish.version} from {workspace.repository.url}")
        entry, resolution = planning.choose(workspace, wish.chart, wish.version)
        _say_choice(console, resolution, wish.version)
        if resolution.version == entry.version:
            console.line(f"{wish.chart}: {entry.version} is bundled already, nothing to do")
            console.document(report.nothing_to_do(entry, resolution.rule))
            return
        plan = planning.make(workspace, entry, resolution, wish)
        checkout = writing.open_checkout(workspace, plan, wish.branch) if is_commit else None
        if report_file is not None:  # before the tree: a report that cannot be written stops it
            _write_report(workspace, plan, report_file)
        commit = None
        if checkout is not None and not is_dry_run:
            commit = writing.commit(workspace, plan, checkout, wish, branch=wish.branch)
        elif not is_dry_run:
            writing.write(workspace, plan)
    _tell(workspace, console, plan, commit)
    if report_file is not None:
        console.line(f"report   {report_file}")


def _on_lines(
    settings: Settings, console: Console, wish: Wish, names: str, reports: Path | None
) -> None:
    done = on_lines.run(settings, console, wish, on_lines.split(names), reports)
    on_lines.tell(console, done, is_dry_run=settings.is_dry_run)
    console.document(on_lines.document(done, wish))


def _say_choice(console: Console, resolution: Resolution, request: str) -> None:
    if resolution.others and resolution.rule.startswith("upstream version"):
        others = ", ".join(str(version) for version in resolution.others)
        console.line(
            f"{request} has several packageVersions: {resolution.version} is the newest, "
            f"others are {others}"
        )
    elif str(resolution.version) != request:
        console.line(f"{request} is {resolution.version} ({resolution.rule})")


def _write_report(workspace: Workspace, plan: Plan, path: Path) -> None:
    tree = workspace.any_tree
    files.write(path, report.markdown(plan, tree.root, kube_version=tree.kube_version).encode())


def _tell(workspace: Workspace, console: Console, plan: Plan, commit: str | None) -> None:
    for line in report.lines(plan, is_full=console.verbosity > 0):
        console.line(line)
    console.findings(plan.findings)
    if workspace.settings.is_dry_run:
        console.data(report.patch(plan, workspace.any_tree.root))
        console.line("dry run: the tree was not changed")
    if commit is not None:
        console.line(f"commit   {commit}")
    document = report.document(plan, workspace.any_tree.root, commit=commit)
    if workspace.settings.is_dry_run:
        document["patch"] = report.patch(plan, workspace.any_tree.root)
    console.document(document)
