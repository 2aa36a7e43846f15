"""``audit``: what the lists of a checkout of rancher/rke2 lack or hold too much, now or in time."""

from __future__ import annotations

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.manual import Manual
from rke2pack.options import chart_options
from rke2pack.settings import Settings
from rke2pack.stages.audit import history, state
from rke2pack.tree.rke2 import Rke2Tree
from rke2pack.workspace import Workspace


@click.command(
    "audit",
    cls=Manual,
    short_help="Compare the lists of a rancher/rke2 checkout with what its charts need.",
)
@chart_options
@click.option(
    "--since",
    metavar="REV",
    help="Go through the history after this commit or tag: which change made which gap.",
)
@click.option(
    "--lines",
    metavar="BRANCH,...",
    help="Audit these release lines (branches, or 'supported') instead of what is checked out.",
)
@click.option(
    "--allow-unknown",
    "allows_unknown",
    is_flag=True,
    help="Do not fail for charts that cannot be had or rendered; they are told.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    since: str | None,
    lines: str | None,
    allows_unknown: bool,
) -> None:
    """Render every bundled chart and name each image that a list lacks, and each stale one.

    An image is missing where a chart needs it and its list in scripts/build-images
    has it not; it is stale where the list has it and no chart needs it. Rancher
    Prime's lists are compared with what the charts need there. Fails where an
    image is missing, or where a chart cannot be asked; stale images are told.
    """
    if since is not None and lines is not None:
        msg = "--since and --lines do not go together"
        raise click.UsageError(msg)
    workspace = Workspace(settings=settings)
    tree = workspace.any_tree
    if not isinstance(tree, Rke2Tree):
        msg = f"{settings.tree.absolute()}: not a checkout of rancher/rke2"
        raise ConfigError(msg, hint="check the lists of this tree with 'rke2pack images --check'")
    console.step(f"audit: {settings.tree} with charts from {workspace.repository.url}")
    workspace.repository.index()  # out of reach: no chart would be known
    if since is not None:
        now = history.run(workspace, tree, console, since)
        _fail(settings, (now,), allows_unknown=allows_unknown)
        return
    audits = (
        (state.audit(workspace, tree, ""),)
        if lines is None
        else state.of_lines(workspace, tree, _split(lines))
    )
    for each in audits:
        state.tell(console, each)
    console.document({"audits": [each.to_json() for each in audits]})
    _fail(settings, audits, allows_unknown=allows_unknown)


def _fail(settings: Settings, audits: tuple[state.Audit, ...], *, allows_unknown: bool) -> None:
    """Raise ValidationError for what is missing, and for charts that nobody could ask."""
    missing = [str(gap) for each in audits for gap in each.gaps if gap.is_missing]
    if missing:
        images = wording.count(len(missing), "image is", "images are")
        msg = f"{settings.tree}: {images} missing from the lists"
        hint = "bump the chart to the version it has, or add them by hand"
        raise ValidationError(msg, hint=hint, details=tuple(missing))
    unknown = [f"{name}: {why}" for each in audits for name, why in each.unknown.items()]
    if unknown and not allows_unknown:
        charts = wording.count(len(unknown), "chart")
        they_need = "it needs" if len(unknown) == 1 else "they need"
        msg = f"{settings.tree}: {charts} could not be asked which images {they_need}"
        hint = "use a chart repository that has them, or pass --allow-unknown"
        raise ValidationError(msg, hint=hint, details=tuple(unknown))


def _split(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        msg = "--lines names no line"
        raise ConfigError(msg, hint="write --lines release-1.31,release-1.32")
    return names
