"""``plan``: the work of a release split into jobs, for a matrix of GitHub Actions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rke2pack import completion, files, wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.manual import Manual
from rke2pack.options import image_options
from rke2pack.progress import as_size
from rke2pack.settings import Settings
from rke2pack.shards import choose
from rke2pack.shards.asked import Bundles, By, bundle_option, by_option
from rke2pack.shards.plan import Plan
from rke2pack.shards.shard import MAX_COUNT


@click.command("plan", cls=Manual, short_help="Split the work into shards, for a matrix of jobs.")
@image_options
@click.argument("references", nargs=-1, metavar="[IMAGE]...", shell_complete=completion.images)
@click.option(
    "--shards",
    "count",
    type=click.IntRange(1, MAX_COUNT),
    required=True,
    metavar="N",
    help="How many jobs; those without work are left out.",
)
@by_option
@bundle_option
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the plan, for --plan FILE of the jobs.",
)
@click.option(
    "--matrix",
    "is_matrix",
    is_flag=True,
    help="Write one line for a job's output: include, with shard, name, plan and weight.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    references: tuple[str, ...],
    count: int,
    by: By | None,
    bundles: Bundles,
    output: Path | None,
    is_matrix: bool,
) -> None:
    """Split archives, or images, into N shards of about the same bytes.

    What shares layers goes into the same shard as far as that keeps shards
    alike. Asks nobody: the same tree, images.lock and options make the same
    plan in every job. Without sizes in images.lock images are counted.
    """
    if is_matrix and console.is_json:
        msg = "--matrix and --json: stdout has one document"
        raise ConfigError(msg, hint="choose one of them; --json has include, too")
    plan, _ = choose.make(settings, references, count, by=by, bundles=bundles)
    asked = wording.count(len(plan.references), plan.by.removesuffix("s"))
    console.step(f"plan: {asked} in {wording.count(count, 'shard')}, {plan.digest}")
    _tell(console, plan)
    console.findings(plan.findings)
    document = plan.to_json()
    if output is not None and not settings.is_dry_run:
        is_new = files.write_changed(output, (json.dumps(document, indent=2) + "\n").encode())
        console.line(f"{'written' if is_new else 'unchanged'}  {output}")
    if is_matrix:
        console.data(json.dumps(plan.matrix(), separators=(",", ":")) + "\n")
    console.document(document)


def _tell(console: Console, plan: Plan) -> None:
    rows = []
    for shard, share in plan.shards():
        count = len(share.names) if plan.by == "archives" else ""
        size = as_size(share.weight) if plan.unit == "bytes" else ""
        rows.append((str(shard), str(count), str(len(plan.images(share))), size))
    console.table(("shard", "archives", "images", "bytes"), rows)
