"""``pull``: images from registries, or from a local docker engine, into the image store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from rke2pack import completion, wishes, wording
from rke2pack.console import Console
from rke2pack.fetch import report
from rke2pack.fetch import run as runs
from rke2pack.fetch.run import Fetch
from rke2pack.lists.guard import Guard
from rke2pack.manual import Manual
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.transfer import Outcome
from rke2pack.options import allow_moved_tags, current_app, image_options, store_option
from rke2pack.registries import engine_option, registry_options
from rke2pack.settings import Settings
from rke2pack.shards.asked import Asked, Bundles, By, bundle_option, by_option, shard_options
from rke2pack.stages.pull import wanted


@click.command("pull", cls=Manual, short_help="Bring images into the image store, verified.")
@image_options
@registry_options
@click.argument("references", nargs=-1, metavar="[IMAGE]...", shell_complete=completion.images)
@store_option
@click.option(
    "--all-platforms",
    "is_whole",
    is_flag=True,
    help="Every platform of an image, and its attestations.",
)
@engine_option
@shard_options
@by_option
@bundle_option
@allow_moved_tags
def command(
    *,
    settings: Settings,
    console: Console,
    references: tuple[str, ...],
    store: Path | None,
    access: Access,
    jobs: int,
    is_whole: bool,
    engine_patterns: tuple[str, ...],
    asked: Asked | None,
    by: By | None,
    bundles: Bundles,
    allows_moved: bool,
) -> None:
    """Bring the images of images.txt, or the named ones, into the image store.

    For the platforms asked, or the tree's. What the store has is not fetched
    again; an interrupted run is taken up where it stopped. Every image is
    tried; the command fails at the end with the list of what is missing.
    With images.lock in the tree, a tag has to point at what is locked. With
    --shard, only what the archives of that shard need.
    """
    guard = Guard.of(settings, allows_moved=allows_moved)
    every = wishes.asked(settings, references, is_whole=is_whole)
    runs.check_patterns(engine_patterns, every)
    wanted.check_shard(asked, by, bundles, is_whole=is_whole, is_named=bool(references))
    part = wanted.chosen(settings, asked, every, references, by=by, bundles=bundles)
    wished = wishes.guarded(part.wishes if part else every, guard)
    console.step(f"pull: {wording.count(len(wished), 'image')} into {store or settings.store}")
    if part:
        console.line(str(part))
    with console.progress("pull") as meter:
        fetch = Fetch(
            settings=settings,
            access=access,
            environment=current_app().environment,
            store=store or settings.store,
            jobs=jobs,
            engine_patterns=engine_patterns,
        )
        outcomes = tuple(_told(console, fetch.run(wished, meter)))
    findings = (*guard.findings, *(part.findings if part else ()))
    console.findings(findings)
    more = part.to_json() if part else {}
    found = [finding.to_json() for finding in findings]
    told = report.tell_sums(console, access, outcomes, is_dry_run=settings.is_dry_run)
    console.document({**told, "findings": found, **more})
    report.fail("pull", outcomes)


def _told(console: Console, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        report.tell(console, outcome)
        yield outcome
