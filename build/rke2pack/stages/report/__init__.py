"""``report``: one HTML file for people who would rather look than read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rke2pack import files, wording
from rke2pack.console import Console
from rke2pack.manual import Manual
from rke2pack.options import validate_options
from rke2pack.page.validation import FILE
from rke2pack.progress import as_size
from rke2pack.settings import Settings

if TYPE_CHECKING:
    from rke2pack.page.release import PageData

OUTPUT = "dist/report.html"
ARTIFACTS = "dist/artifacts"
MAX_BYTES = 1_000_000
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "report", cls=Manual, short_help="One HTML page to look at: sizes, images, changes, checks."
)
@validate_options
@click.option(
    "-o",
    "--output",
    type=_FILE,
    help=f"File to write.  [default: {OUTPUT} in the tree]",
)
@click.option(
    "--artifacts",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder of the archives.  [default: {ARTIFACTS} in the tree]",
)
@click.option(
    "--against",
    metavar="TREE|TAG|DIR",
    help="The release before: a tree, a git revision, or a folder with lists of a release.  "
    "[default: the git tag before]",
)
@click.option(
    "--validation",
    "validations",
    type=_FILE,
    multiple=True,
    help=f"A report.json of validate (repeatable).  [default: {FILE} in the tree]",
)
@click.option(
    "--history",
    type=_FILE,
    help="Sizes of earlier releases, as JSON; this one is added to the file.",
)
@click.option(
    "--no-charts",
    "without_charts",
    is_flag=True,
    help="Leave out what only the charts tell: proofs and differences; the page says so.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    output: Path | None,
    artifacts: Path | None,
    against: str | None,
    validations: tuple[Path, ...],
    history: Path | None,
    without_charts: bool,
) -> None:
    """Make one self-contained page of the release: nothing in it asks a network for anything.

    It shows what every archive holds and shares, each image with its digest and
    the proof why it is needed, what changed since the release before, the
    results of validate, and how sizes grew. What is not there yet is named on
    the page, with the command that makes it. Same inputs, same bytes.
    """
    # Slow to import, and not for a help or a completion.
    from rke2pack.page import history as histories  # noqa: PLC0415
    from rke2pack.stages.report import html  # noqa: PLC0415
    from rke2pack.stages.report.gather import Asked, gather  # noqa: PLC0415
    from rke2pack.workspace import Workspace  # noqa: PLC0415

    workspace = Workspace(settings=settings)
    asked = Asked(
        artifacts=artifacts or settings.tree / ARTIFACTS,
        against=against,
        validations=validations,
        history=history,
        with_charts=not without_charts,
        tell=console.detail,
    )
    path = output or settings.tree / OUTPUT
    console.step(f"report: {workspace.tree.environment['RKE2_VERSION']} to {path}")
    data = gather(workspace, asked)
    page = html.render(data).encode()
    _tell(console, data, path, page)
    if not settings.is_dry_run:
        files.write_changed(path, page)
        if history is not None and data.history is not None:
            histories.add(history, data.history, name=data.release)
    console.document(data.to_json())


def _tell(console: Console, data: PageData, path: Path, page: bytes) -> None:
    proofs = sum(len(image.proofs or ()) for image in data.images)
    console.line(f"images      {len(data.images)}, {wording.count(proofs, 'proof')}")
    console.line(f"archives    {len(data.archives)}")
    charts = wording.count(len(data.changes.charts), "chart") if data.changes else "unknown"
    console.line(f"changes     {charts}")
    for each in data.validations:
        failed, count = each.totals["failed"], len(each.results)
        console.line(f"validation  {each.level}: {wording.count(count, 'result')}, {failed} failed")
    for section, text in data.missing.items():
        console.line(f"not there   {section}: {text}")
    console.findings(data.findings)
    console.line(f"{path}  {as_size(len(page))}")
    if len(page) > MAX_BYTES:
        console.line(f"large       {path} is larger than {as_size(MAX_BYTES)}")
