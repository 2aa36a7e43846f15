"""``changelog FROM TO``: which charts and images differ between two trees, and what that means."""

from __future__ import annotations

from pathlib import Path

import click

from rke2pack import files
from rke2pack.console import Console
from rke2pack.manual import Manual
from rke2pack.options import chart_options
from rke2pack.settings import Settings


@click.command("changelog", cls=Manual, short_help="Tell what differs between two trees or tags.")
@chart_options
@click.argument("old", metavar="FROM")
@click.argument("new", metavar="TO")
@click.option(
    "--brief",
    "is_brief",
    is_flag=True,
    help="Versions and images alone; no chart repository is asked.",
)
@click.option(
    "--markdown",
    "markdown_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it as Markdown, too.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    old: str,
    new: str,
    is_brief: bool,
    markdown_file: Path | None,
) -> None:
    """Compare versions, charts and images of two trees.

    FROM and TO are folders of trees, or tags, branches or commits of the tree's
    own repository. Charts are compared as diff does.
    """
    # Slow to import, and not for a help or a completion.
    from rke2pack.release import changes, text, trees  # noqa: PLC0415

    with trees.opened(settings, old) as older, trees.opened(settings, new) as newer:
        found = changes.compare(older, newer, names=(old, new), is_brief=is_brief)
    console.step(f"changelog: {old} -> {new}")
    console.data("".join(f"{line}\n" for line in text.lines(found)))
    if markdown_file is not None and not settings.is_dry_run:
        title = f"# Changes from {text.code(old)} to {text.code(new)}\n\n"
        files.write(markdown_file, (title + text.markdown(found, level=2)).encode())
        console.detail(f"written  {markdown_file}")
    console.document(found.to_json())
