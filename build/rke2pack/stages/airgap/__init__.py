"""``airgap``: archives for nodes without a network, from the image store."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.files import Cache
from rke2pack.lists.guard import Guard
from rke2pack.manual import Manual
from rke2pack.oci.pack import outfolder
from rke2pack.oci.pack.framecache import FrameCache
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from rke2pack.options import (
    allow_moved_tags,
    current_app,
    image_options,
    max_size_option,
    store_option,
)
from rke2pack.registries import engine_option, open_store, registry_options_with
from rke2pack.settings import Settings
from rke2pack.shards import archives
from rke2pack.shards.archives import Archives
from rke2pack.shards.asked import Asked, Bundles, bundle_option, shard_options
from rke2pack.stages.airgap.work import Request, Work
from rke2pack.workspace import Workspace

if TYPE_CHECKING:
    from rke2pack.fetch.run import Fetch
    from rke2pack.oci.registry.access import Access
    from rke2pack.stages.airgap.arrival import Arrival
    from rke2pack.stages.airgap.sharding import Part

OUTPUT = "dist/artifacts"
_KEPT_DAYS = 30.0


@click.command("airgap", cls=Manual, short_help="Make archives for nodes without a network.")
@image_options
@store_option
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder to write to.  [default: {OUTPUT} in the tree]",
)
@click.option(
    "--profile",
    type=click.Choice(["fast", "default", "small"]),
    default="default",
    show_default=True,
    help="fast: the registry's blobs and digests; default: smaller; small: smallest, slow.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(["zst", "gz"]),
    multiple=True,
    default=("zst",),
    show_default=True,
    help="Write .tar.zst or .tar.gz (repeatable).",
)
@max_size_option
@click.option(
    "--pull",
    is_flag=True,
    help="Fetch the images first, and compress what has come meanwhile.",
)
@engine_option
@registry_options_with("pull", "engine_patterns")
@bundle_option
@shard_options
@allow_moved_tags
def command(
    *,
    settings: Settings,
    console: Console,
    store: Path | None,
    output: Path | None,
    profile: ProfileName,
    formats: tuple[Format, ...],
    max_size: int | None,
    pull: bool,
    engine_patterns: tuple[str, ...],
    access: Callable[[], Access],
    jobs: int,
    bundles: Bundles,
    asked: Asked | None,
    allows_moved: bool,
) -> None:
    """Build the archives of every component and platform, their lists and checksums.

    Takes the images of images.txt from the image store that pull has filled, or
    fills it with --pull: what tags point at now, as pull brings it. Same images,
    same bytes; what is unchanged is not built again. Images that the store lacks
    are all named at the end, and their archives not written; so are those that
    are not what images.lock has. With --shard, the archives of that shard, for
    merge.
    """
    found = archives.find(Workspace(settings=settings), bundles)
    part = _part(settings, asked, found) if asked else None
    planned = part.archives(found) if part else found
    place, guard = store or settings.store, Guard.of(settings, allows_moved=allows_moved)
    layout = _filled(settings, place) if pull else Layout.open(place, must_exist=True)
    fetch = _fetch(settings, access(), place, jobs, engine_patterns) if pull else None
    arrival = _arrival(fetch, console, planned, guard, every=found) if fetch else None
    request = Request(
        output=output or settings.tree / OUTPUT,
        profile=profile,
        formats=tuple(dict.fromkeys(formats)),
        max_size=max_size,
        is_dry_run=settings.is_dry_run,
    )
    wished = wording.count(len(planned.targets), "archive")
    console.step(f"airgap: {wished} of {layout.root}, profile {profile}")
    with ExitStack() as held:
        if not settings.is_dry_run:
            held.enter_context(layout.in_use())
        meter = held.enter_context(console.progress("airgap"))
        work = Work(
            request=request, console=console, guard=guard, meter=meter,
            store=Store(layout=layout), cache=Cache(settings.cache_dir), is_shard=part is not None,
        )  # fmt: skip
        if arrival:
            arrival.run(work)
        with nullcontext() if settings.is_dry_run else outfolder.writing(request.output):
            _build(work, planned, part)
    pulled = arrival.tell() if arrival else {}
    work.tell_sums()
    console.findings(work.all_findings)
    console.document({**work.document(), **pulled, **(part.to_json() if part else {})})
    work.fail()


def _build(work: Work, planned: Archives, part: Part | None) -> None:
    """Write archives, lists, checksums and a shard's record."""
    is_dry_run = work.request.is_dry_run
    if part:
        part.begin(work.request, work.console)
    for target in planned.targets:
        work.build(target)
    if not is_dry_run:
        _write_texts(work, planned)
        FrameCache(cache=work.cache).prune(now=time.time(), days=_KEPT_DAYS)
    if part:
        part.end(work)


def _filled(settings: Settings, place: Path) -> Layout:
    """Open the store that images come into; a dry run makes none."""
    if settings.is_dry_run:
        return Layout(place)
    return (
        Layout.open(place, must_exist=True) if settings.is_offline else open_store(settings, place)
    )


def _fetch(
    settings: Settings, access: Access, place: Path, jobs: int, engine_patterns: tuple[str, ...]
) -> Fetch:
    from rke2pack.fetch.run import Fetch  # noqa: PLC0415 - only where something is fetched

    return Fetch(
        settings=settings,
        access=access,
        environment=current_app().environment,
        store=place,
        jobs=jobs,
        engine_patterns=engine_patterns,
    )


def _arrival(
    fetch: Fetch, console: Console, planned: Archives, guard: Guard, *, every: Archives
) -> Arrival:
    from rke2pack.stages.airgap.arrival import Arrival  # noqa: PLC0415 - as in _fetch

    return Arrival.of(fetch, console, planned.targets, guard, every=every.targets)


def _part(settings: Settings, asked: Asked, found: Archives) -> Part:
    from rke2pack.stages.airgap.sharding import Part  # noqa: PLC0415 - only for shards

    return Part.of(settings, asked, found)


def _write_texts(work: Work, planned: Archives) -> None:
    for names in (*planned.targets, *planned.lists):
        if names.has_list and names.name not in work.incomplete:
            work.write_list(names)
    work.write_sums()
