"""``cache push`` and ``cache pull``: the cache as an artifact in a registry."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.errors import NotFoundError
from rke2pack.files import Cache
from rke2pack.manual import Manual
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Layout
from rke2pack.options import store_option, travel_options
from rke2pack.progress import as_size
from rke2pack.registries import open_store, registry_options
from rke2pack.settings import Settings

if TYPE_CHECKING:
    from rke2pack.oci.travel.pull import Received


@click.command("push", cls=Manual, short_help="Send the cache to a registry.")
@travel_options
@registry_options
@click.argument("place", metavar="REFERENCE")
@store_option
def push(
    *,
    settings: Settings,
    console: Console,
    access: Access,
    jobs: int,
    place: str,
    store: Path | None,
) -> None:
    """Send the image store and the frames of archives to REFERENCE, as one artifact.

    What the registry has is not sent again. REFERENCE is a name with a tag,
    like registry.example.com/ci/rke2pack-cache:main.
    """
    from rke2pack.oci.travel import cargo as cargos  # noqa: PLC0415 - knows HTTP, slow
    from rke2pack.oci.travel.push import Push, parse  # noqa: PLC0415 - as above

    reference = parse(place)
    layout = Layout.open(store or settings.store, must_exist=True)
    with layout.in_use(), console.progress("cache push") as meter:
        cargo = cargos.pack(layout, Cache(settings.cache_dir))
        console.step(f"cache push: {layout.root} to {reference}")
        sent = Push(
            registry=access.registry(reference.registry),
            reference=reference,
            jobs=jobs,
            is_dry_run=settings.is_dry_run,
            meter=meter,
        ).run(cargo)
    verb = "to send" if settings.is_dry_run else "sent"
    status = "planned" if settings.is_dry_run and sent.is_new else "copied"
    status = status if sent.is_new else "present"
    console.line(f"{status:<8} {reference}  {sent.digest}  {as_size(sent.size)}")
    console.line(f"{as_size(sent.sent)} {verb}, {wording.count(sent.layers, 'layer')}")
    console.document(
        {
            "reference": str(reference),
            "digest": str(sent.digest),
            "layers": sent.layers,
            "bytes": sent.size,
            "sent_bytes": sent.sent,
            "status": status,
        }
    )


@click.command("pull", cls=Manual, short_help="Fetch a cache from a registry.")
@travel_options
@registry_options
@click.argument("place", metavar="REFERENCE")
@store_option
@click.option(
    "--if-there", "may_lack", is_flag=True, help="Be content where REFERENCE is not there yet."
)
def pull(
    *,
    settings: Settings,
    console: Console,
    access: Access,
    jobs: int,
    place: str,
    store: Path | None,
    may_lack: bool,
) -> None:
    """Fetch a cache that cache push has sent, into the image store and the frames.

    Every blob is held against its digest, frames against the layer that they
    are of. Names that the store has stay as they are.
    """
    from rke2pack.oci.travel.pull import Pull  # noqa: PLC0415 - knows HTTP, slow
    from rke2pack.oci.travel.push import parse  # noqa: PLC0415 - as above

    reference = parse(place)
    root = store or settings.store
    layout = Layout(root) if settings.is_dry_run else open_store(settings, root)
    console.step(f"cache pull: {reference} into {root}")
    in_use = nullcontext() if settings.is_dry_run else layout.in_use()
    try:
        with in_use, console.progress("cache pull") as meter:
            received = Pull(
                registry=access.registry(reference.registry),
                reference=reference,
                layout=layout,
                cache=Cache(settings.cache_dir),
                jobs=jobs,
                is_dry_run=settings.is_dry_run,
                meter=meter,
            ).run()
    except NotFoundError as exc:
        if not may_lack:
            raise
        console.line(f"not there: {exc.message}")
        console.document({"reference": str(reference), "status": "missing"})
        return
    _tell(console, received, is_dry_run=settings.is_dry_run)
    console.document(
        {
            "reference": str(reference),
            "digest": str(received.digest),
            "layers": received.layers,
            "received_bytes": received.received,
            "images": list(received.names),
            "kept": list(received.kept),
            "incomplete": list(received.incomplete),
            "frames": received.frames,
            "status": "planned" if settings.is_dry_run else "copied",
        }
    )


def _tell(console: Console, received: Received, *, is_dry_run: bool) -> None:
    verb = "to fetch" if is_dry_run else "fetched"
    new = wording.count(len(received.names), "image is new", "images are new")
    kept = wording.count(len(received.kept), "stays as it is", "stay as they are")
    framed = wording.count(received.frames, "layer has", "layers have")
    console.line(f"{new}, {kept}, {framed} frames now")
    for name in received.incomplete:
        console.line(f"incomplete  {name}: not named, the cache lacks blobs of it")
    console.line(f"{as_size(received.received)} {verb}, {wording.count(received.layers, 'layer')}")
