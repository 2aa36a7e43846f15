"""The two ways of a bump: in the tree itself, or on release lines; and what it says."""

from __future__ import annotations

from pathlib import Path

from rke2pack import files
from rke2pack.console import Console
from rke2pack.helm.version import Resolution
from rke2pack.settings import Settings
from rke2pack.stages.bump import lines as release_lines
from rke2pack.stages.bump import plan as planning
from rke2pack.stages.bump import report, writing
from rke2pack.stages.bump.model import Plan, Wish
from rke2pack.workspace import Workspace


def here(
    workspace: Workspace,
    console: Console,
    wish: Wish,
    report_file: Path | None,
    *,
    is_commit: bool,
) -> None:
    """Bump in the tree, all or nothing, and with ``is_commit`` commit what it touched."""
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


def on_lines(
    settings: Settings, console: Console, wish: Wish, names: str, reports: Path | None
) -> None:
    """Bump on the release lines ``names`` (``a,b``), all or none."""
    done = release_lines.run(settings, console, wish, release_lines.split(names), reports)
    release_lines.tell(console, done, is_dry_run=settings.is_dry_run)
    console.document(release_lines.document(done, wish))


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
