"""``airgap``: archives for nodes without a network, from the image store."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rke2pack.console import Console
from rke2pack.files import Cache
from rke2pack.lists.guard import Guard
from rke2pack.manual import Manual
from rke2pack.oci.pack import outfolder
from rke2pack.oci.pack.framecache import FrameCache
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from rke2pack.options import allow_moved_tags, image_options, max_size_option, store_option
from rke2pack.settings import Settings
from rke2pack.shards import archives
from rke2pack.shards.archives import Archives
from rke2pack.shards.asked import Asked, Bundles, bundle_option, shard_options
from rke2pack.stages.airgap.work import Request, Work
from rke2pack.workspace import Workspace

if TYPE_CHECKING:
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
    bundles: Bundles,
    asked: Asked | None,
    allows_moved: bool,
) -> None:
    """Build the archives of every component and platform, their lists and checksums.

    Takes the images of images.txt from the image store that pull has filled.
    Same images, same bytes; what is unchanged is not built again. Images that
    the store lacks are all named at the end, and their archives not written;
    so are those that are not what images.lock has. With --shard, the archives of
    that shard, for merge.
    """
    found = archives.find(Workspace(settings=settings), bundles)
    part = _part(settings, asked, found) if asked else None
    planned = part.archives(found) if part else found
    layout = Layout.open(store or settings.store, must_exist=True)
    request = Request(
        output=output or settings.tree / OUTPUT,
        profile=profile,
        formats=tuple(dict.fromkeys(formats)),
        max_size=max_size,
        is_dry_run=settings.is_dry_run,
    )
    cache = Cache(settings.cache_dir)
    console.step(f"airgap: {len(planned.targets)} archives of {layout.root}, profile {profile}")
    with nullcontext() if settings.is_dry_run else outfolder.writing(request.output):
        if part:
            part.begin(request, console)
        in_use = nullcontext() if settings.is_dry_run else layout.in_use()
        with in_use, console.progress("airgap") as meter:
            work = Work(
                request=request,
                console=console,
                store=Store(layout=layout),
                cache=cache,
                guard=Guard.of(settings, allows_moved=allows_moved),
                meter=meter,
            )
            for target in planned.targets:
                work.build(target)
        if not settings.is_dry_run:
            _write_texts(work, planned)
            FrameCache(cache=cache).prune(now=time.time(), days=_KEPT_DAYS)
        if part:
            part.end(work)
    work.tell_sums()
    console.findings(work.all_findings)
    console.document({**work.document(), **(part.to_json() if part else {})})
    work.fail()


def _part(settings: Settings, asked: Asked, found: Archives) -> Part:
    from rke2pack.stages.airgap.sharding import Part  # noqa: PLC0415 - only for shards

    return Part.of(settings, asked, found)


def _write_texts(work: Work, planned: Archives) -> None:
    for names in (*planned.targets, *planned.lists):
        if names.has_list and names.name not in work.incomplete:
            work.write_list(names)
    work.write_sums()
