"""``cache``: look after the image store."""

from __future__ import annotations

import fnmatch
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.errors import IntegrityError
from rke2pack.manual import Manual
from rke2pack.oci.store import upkeep
from rke2pack.oci.store.layout import Layout
from rke2pack.options import store_option, store_options
from rke2pack.settings import Settings
from rke2pack.stages.cache import travel


@click.group("cache", short_help="Look after the image store, or let it travel.")
def command() -> None:
    """Look after the image store that pull fills, or let the whole cache travel."""


command.add_command(travel.push)
command.add_command(travel.pull)


@command.command("stats", cls=Manual)
@store_options
@store_option
def stats(*, settings: Settings, console: Console, store: Path | None) -> None:
    """Count images, blobs and bytes, and what no image needs."""
    found = upkeep.stats(_opened(settings, store))
    console.line(f"images       {found.images}")
    console.line(f"blobs        {found.blobs}, {wording.count(found.bytes, 'byte')}")
    unreachable = wording.count(found.unreachable_bytes, "byte")
    console.line(f"unreachable  {found.unreachable}, {unreachable}")
    console.line(f"partial      {found.partial}, {wording.count(found.partial_bytes, 'byte')}")
    console.document({"stats": asdict(found)})


@command.command("verify", cls=Manual, short_help="Hash every blob again.")
@store_options
@store_option
def verify(*, settings: Settings, console: Console, store: Path | None) -> None:
    """Hash every blob again; remove the damaged ones (not with --dry-run) and fail."""
    layout = _opened(settings, store)
    found = upkeep.verify(layout, is_dry_run=settings.is_dry_run)
    state = "damaged" if settings.is_dry_run else "removed"
    for digest in found.damaged:
        console.line(f"{state}  {digest}")
    for name in found.incomplete:
        console.line(f"incomplete  {name}")
    seen = f"{wording.count(found.blobs, 'blob')}, {wording.count(found.bytes, 'byte')}"
    console.line(f"{seen}, {len(found.damaged)} damaged")
    document: dict[str, Any] = {
        "blobs": found.blobs,
        "bytes": found.bytes,
        "damaged": [str(digest) for digest in found.damaged],
        "incomplete": list(found.incomplete),
    }
    console.document(document)
    if found.damaged or found.incomplete:
        blobs = wording.count(len(found.damaged), "blob is", "blobs are")
        images = wording.count(len(found.incomplete), "image is", "images are")
        msg = f"{layout.root}: {blobs} damaged, {images} incomplete"
        raise IntegrityError(msg, hint="pull them again", details=found.incomplete)


@command.command("gc", cls=Manual)
@store_options
@store_option
@click.option(
    "--older-than",
    "hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Keep what is younger: an interrupted pull may go on with it.",
)
@click.option(
    "--forget",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="First forget the images whose full reference is like this (repeatable).",
)
def gc(
    *,
    settings: Settings,
    console: Console,
    store: Path | None,
    hours: float,
    patterns: tuple[str, ...],
) -> None:
    """Remove blobs that no image of the store needs."""
    layout = _opened(settings, store)
    names = [entry.name for entry in layout.entries()]
    forgotten = sorted(n for n in names if any(fnmatch.fnmatchcase(n, p) for p in patterns))
    found = upkeep.gc(
        layout,
        now=time.time(),
        hours=hours,
        is_dry_run=settings.is_dry_run,
        without=frozenset(forgotten),
    )
    for name in forgotten:
        console.line(f"forgotten  {name}")
    removed = f"{wording.count(found.removed, 'file')} removed"
    young = f"{found.young} {wording.are(found.young)} too young"
    console.line(f"{removed}, {wording.count(found.bytes, 'byte')}; {young}")
    console.document({"forgotten": forgotten, **asdict(found)})


def _opened(settings: Settings, store: Path | None) -> Layout:
    return Layout.open(store or settings.store, must_exist=True)
