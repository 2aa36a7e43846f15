"""``pull``: images from registries, or from a local docker engine, into the image store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from rke2pack import completion, wishes
from rke2pack.console import Console
from rke2pack.lists.guard import Guard
from rke2pack.manual import Manual
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.transfer import Outcome, Transfer
from rke2pack.oci.wish import Wish
from rke2pack.options import allow_moved_tags, current_app, image_options, store_option
from rke2pack.progress import Meter
from rke2pack.registries import open_store, registry_options
from rke2pack.settings import Settings
from rke2pack.shards.asked import Asked, Bundles, By, bundle_option, by_option, shard_options
from rke2pack.stages.pull import report, wanted

_TAG_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Pull:
    """One run of the command."""

    settings: Settings
    console: Console
    access: Access
    environment: Mapping[str, str]
    store: Path
    jobs: int
    engine_patterns: tuple[str, ...]
    meter: Meter

    def run(self, wishes: tuple[Wish, ...]) -> Iterator[Outcome]:
        """Bring every image and let its name point at it; yield outcomes as they are ready."""
        local = [wish for wish in wishes if wanted.is_local(wish, self.engine_patterns)]
        remote = [wish for wish in wishes if wish not in local]
        if self._is_read_only:
            yield from self._outcomes(Layout(self.store), local, remote)
            return
        layout = open_store(self.settings, self.store)
        with layout.in_use():
            yield from self._tagged(layout, local, remote)

    def _tagged(self, layout: Layout, local: list[Wish], remote: list[Wish]) -> Iterator[Outcome]:
        names: dict[str, Descriptor] = {}
        told = time.monotonic()
        try:
            for outcome in self._outcomes(layout, local, remote):
                if outcome.status == "copied" and outcome.image is not None:
                    names[str(outcome.wish.reference)] = outcome.image.root
                if time.monotonic() - told > _TAG_SECONDS:
                    layout.tag(names)
                    names, told = {}, time.monotonic()
                yield outcome
        finally:
            layout.tag(names)

    def _outcomes(self, layout: Layout, local: list[Wish], remote: list[Wish]) -> Iterator[Outcome]:
        transfer = Transfer(
            access=self.access,
            layout=layout,
            jobs=self.jobs,
            is_dry_run=self.settings.is_dry_run,
            is_offline=self.settings.is_offline,
            meter=self.meter,
        )
        if local and self.settings.is_offline:
            remote = [*local, *remote]
        elif local:
            yield from self._from_engine(layout, local)
        yield from transfer.run(remote)

    def _from_engine(self, layout: Layout, wishes: list[Wish]) -> Iterator[Outcome]:
        # docker's package is slow to import and rarely needed.
        from rke2pack.engine import Engine  # noqa: PLC0415
        from rke2pack.oci.store.local import LocalImages  # noqa: PLC0415

        with closing(Engine.connect(self.environment)) as engine:
            is_dry_run = self.settings.is_dry_run
            images = LocalImages(engine=engine, layout=layout, is_dry_run=is_dry_run)
            yield from map(images.bring, wishes)

    @property
    def _is_read_only(self) -> bool:
        return self.settings.is_dry_run or self.settings.is_offline


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
@click.option(
    "--from-engine",
    "engine_patterns",
    multiple=True,
    metavar="PATTERN",
    help="Take images like rancher/rke2-runtime from the local docker engine (repeatable).",
)
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
    wanted.check_patterns(engine_patterns, every)
    wanted.check_shard(asked, by, bundles, is_whole=is_whole, is_named=bool(references))
    part = wanted.chosen(settings, asked, every, references, by=by, bundles=bundles)
    wished = wishes.guarded(part.wishes if part else every, guard)
    console.step(f"pull: {len(wished)} images into {store or settings.store}")
    if part:
        console.line(str(part))
    with console.progress("pull") as meter:
        pull = Pull(
            settings=settings,
            console=console,
            access=access,
            environment=current_app().environment,
            store=store or settings.store,
            jobs=jobs,
            engine_patterns=engine_patterns,
            meter=meter,
        )
        outcomes = tuple(_told(console, pull.run(wished)))
    findings = (*guard.findings, *(part.findings if part else ()))
    console.findings(findings)
    more = part.to_json() if part else {}
    report.report(
        console, access, outcomes, is_dry_run=settings.is_dry_run, findings=findings, more=more
    )
    report.fail(outcomes)


def _told(console: Console, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    for outcome in outcomes:
        report.tell(console, outcome)
        yield outcome
